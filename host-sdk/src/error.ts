import type { Failure } from "./rpc.js";

/** What went wrong, as a closed set. */
export type Code =
  | "Aborted"
  | "BadArgument"
  | "Closed"
  | "Denied"
  | "LeaderLost"
  | "NoNode"
  | "NotFound"
  | "PeerUnreachable"
  | "Quota"
  | "Remote"
  | "Timeout"
  | "TooLarge"
  | "Unsupported"
  | "VersionMismatch";

/** Whether a call's handler ran. */
export type Executed = "no" | "unknown" | "yes";

/** The only error that this package throws or rejects with. */
export class BittersError extends Error {
  /** What went wrong. */
  declare readonly code: Code;
  /** Whether the same request may succeed later, unchanged. */
  declare readonly retryable: boolean;
  /** Of calls: whether the handler ran. */
  declare readonly executed?: Executed | undefined;

  /** @internal */
  constructor(code: Code, message: string, more: ErrorOptions & Partial<Failure> = {}) {
    super(message, more);
    this.name = "BittersError";
    this.code = code;
    this.retryable = more.retryable ?? /Lost|Unr|Quo|Time/.test(code);
    this.executed = more.executed ?? undefined;
  }
}

/** `BittersError` for modules that load later: a second copy of the class would be another class. */
export type Fault = new (code: Code, message: string, more?: ErrorOptions) => BittersError;

/** The same error, which now says whether the call was executed. */
export function ofCall(error: unknown, executed: Executed): unknown {
  (error as { executed?: Executed | undefined }).executed ??= executed;
  return error;
}

/** Somebody gave it up: the reason is the cause. */
export function aborted(cause: unknown): BittersError {
  return new BittersError("Aborted", "aborted", { cause });
}

/** The caller did it wrong. */
export function badArgument(message: string, cause?: unknown): BittersError {
  return new BittersError("BadArgument", message, { cause });
}

/** What was thrown, for whoever only reads text: nothing where it is no text, as of an object without a prototype. */
export function textOf(thrown: unknown): string {
  try {
    return String((thrown as Error | null | undefined)?.message ?? thrown ?? "");
  } catch {
    return "";
  }
}
