import type { Limits } from "./limits.js";
import type { Port } from "./port.js";
/** What a service's method returns: await its value, or iterate over its sequence. */
export interface Returned<T = any> extends Promise<T> {
    /** What the method yields, one after another. */
    [Symbol.asyncIterator](): AsyncIterator<T, undefined>;
}
/** A node author's own API: any method, JSON arguments. */
export type Service = Record<string, (...args: any[]) => Returned>;
/** A proxy for one service. Its symbols and `then` are no methods, so that it can be returned from an async function. */
export declare function serviceOf(port: Port, name: string, limits: Limits): Service;
