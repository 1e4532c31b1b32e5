import { BittersError } from "./error.js";
/**
 * An async iterator that keeps what its reader hasn't taken yet. Nothing is lost in silence: beyond the bounds it takes no more
 * and, after what it has, fails with `Quota`.
 */
export declare class Queue<T> implements AsyncIterableIterator<T> {
    #private;
    /** `onEnd` runs when nothing more is wanted. */
    constructor(onEnd: () => void);
    /** Another one, of so many bytes. */
    put(value: T, size?: number): void;
    /** The latest takes the place of all that wait. */
    replace(value: T): void;
    /** No more will come. `Closed` is an end like any other: it was the site that closed. */
    end(error?: BittersError): void;
    next(): Promise<IteratorResult<T, undefined>>;
    return(): Promise<IteratorResult<T, undefined>>;
    [Symbol.asyncIterator](): this;
}
