import { BittersError, aborted, badArgument } from "./error.js";

/** What every request may be told. */
export interface Limits {
  /** Its abortion rejects with `Aborted`, and the signal's reason as the cause. */
  signal?: AbortSignal | undefined;
  /** Milliseconds until it rejects with `Timeout`; 15,000 unless told otherwise. */
  timeout?: number | undefined;
}

/** Milliseconds that a node which said that it began has to be ready: a first visit loads 425 KiB, over the slowest networks 15 a second. */
export const BEGUN_WITHIN = 45_000;

/** The longest that a browser's timer can wait. */
const MAX_DELAY = 2 ** 31 - 1;

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
export function limit({ signal, timeout = 15_000 }: Limits, giveUp: (error: BittersError) => void): Limited {
  const untime = (): void => clearTimeout(timer);
  const unlimit = (): void => {
    untime();
    signal?.removeEventListener("abort", onAbort);
  };
  const stop = (error: BittersError): void => {
    unlimit();
    giveUp(error);
  };
  const onAbort = (): void => stop(aborted(signal?.reason));
  const delay = Math.min(timeout, MAX_DELAY);
  const timer = setTimeout(() => stop(new BittersError("Timeout", "no answer")), delay);
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted) onAbort();
  else if (!(timeout > 0)) stop(badArgument("timeout"));
  return { end: performance.now() + delay, unlimit, untime };
}
