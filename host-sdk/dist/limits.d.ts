import { BittersError } from "./error.js";
/** What every request may be told. */
export interface Limits {
    /** Its abortion rejects with `Aborted`, and the signal's reason as the cause. */
    signal?: AbortSignal | undefined;
    /** Milliseconds until it rejects with `Timeout`; 15,000 unless told otherwise. */
    timeout?: number | undefined;
}
/** What was limited no longer is. */
export interface Limited {
    /** When time is up, on the clock of `performance.now()`. */
    end: number;
    /** Time doesn't matter any longer. */
    untime(): void;
    /** Neither time nor signal matter any longer. */
    unlimit(): void;
}
/** Gives up when time is up or the signal says so, which may be at once. */
export declare function limit({ signal, timeout }: Limits, giveUp: (error: BittersError) => void): Limited;
