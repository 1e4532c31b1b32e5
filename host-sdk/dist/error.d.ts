/** What went wrong, as a closed set. */
export type Code = "Aborted" | "BadArgument" | "Closed" | "Denied" | "LeaderLost" | "NoNode" | "NotFound" | "PeerUnreachable" | "Quota" | "Remote" | "Timeout" | "TooLarge" | "Unsupported" | "VersionMismatch";
/** Whether a call's handler ran. */
export type Executed = "no" | "unknown" | "yes";
/** The only error that this package throws or rejects with. */
export declare class BittersError extends Error {
    /** What went wrong. */
    readonly code: Code;
    /** Whether the same request may succeed later, unchanged. */
    readonly retryable: boolean;
    /** Of calls: whether the handler ran. */
    readonly executed?: Executed | undefined;
}
/** The same error, which now says whether the call was executed. */
export declare function ofCall(error: unknown, executed: Executed): unknown;
/** Somebody gave it up: the reason is the cause. */
export declare function aborted(cause: unknown): BittersError;
/** The caller did it wrong. */
export declare function badArgument(message: string, cause?: unknown): BittersError;
/** What was thrown, for whoever only reads text. */
export declare function textOf(thrown: unknown): string;
