import { type Data, type Received } from "./data.js";
import type { Limits } from "./limits.js";
/** What somebody said in a topic. */
export interface Message<T = Received> {
    /** Who said it: a persona's id. */
    from: string;
    /** What, as the kind that was sent. */
    data: T;
    /** The message's id, the same for everyone. */
    id: string;
}
export interface Topic<T = Received> {
    addEventListener(type: "peerjoin" | "peerleave", listener: ((event: CustomEvent<string>) => void) | null, options?: AddEventListenerOptions | boolean): void;
    addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: AddEventListenerOptions | boolean): void;
    removeEventListener(type: "peerjoin" | "peerleave", listener: ((event: CustomEvent<string>) => void) | null, options?: EventListenerOptions | boolean): void;
    removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: EventListenerOptions | boolean): void;
    /** Messages, from now on; the first reader gets those since the joining, too. */
    [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>>;
}
/**
 * A topic that this site is in, until it leaves. Events `peerjoin` and `peerleave` have the peer's id as their `detail`.
 *
 * A reader that is more than 1024 messages or 8 MiB behind gets what it has, then `Quota`.
 */
export declare class Topic<T = Received> extends EventTarget {
    #private;
    /** The topic's name. */
    readonly name: string;
    /** Who else is there: personas' ids. */
    get peers(): string[];
    /** Says something to all others in the topic; at most 256 KiB. */
    publish(data: Data, limits?: Limits): Promise<void>;
    /** Leaves it; reading ends. */
    leave(): void;
}
