/// <reference lib="esnext.disposable" preserve="true" />
import { type Data, type Received } from "./data.js";
import type { Limits } from "./limits.js";
import type { SiteWelcome } from "./rpc.js";
import { type Returned, type Service } from "./service.js";
import type { Scope, Status } from "./status.js";
import { type Stream } from "./stream.js";
import { Topic } from "./topic.js";
/** How a call may be made. */
export interface CallOptions extends Limits {
    /** It may run twice: then a change of leader or frame repeats it instead of failing it. */
    idempotent?: boolean | undefined;
}
/** What a handler of calls learns besides the argument. */
export interface CallContext {
    /** Who calls: a persona's id. */
    from: string;
    /** Aborted when the caller doesn't wait any longer. */
    signal: AbortSignal;
}
/** What may be told to end. */
export interface Abortable {
    /** Ends it. */
    signal?: AbortSignal | undefined;
}
export interface BittersNode extends AsyncDisposable {
    addEventListener(type: "scope", listener: ((event: CustomEvent<Scope>) => void) | null, options?: AddEventListenerOptions | boolean): void;
    addEventListener(type: "identity", listener: ((event: CustomEvent<string>) => void) | null, options?: AddEventListenerOptions | boolean): void;
    addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: AddEventListenerOptions | boolean): void;
    removeEventListener(type: "scope", listener: ((event: CustomEvent<Scope>) => void) | null, options?: EventListenerOptions | boolean): void;
    removeEventListener(type: "identity", listener: ((event: CustomEvent<string>) => void) | null, options?: EventListenerOptions | boolean): void;
    removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: EventListenerOptions | boolean): void;
}
/** The person's node, as this site has it. Event `scope`: how much it covers changed; `identity`: its id had to change with that. */
export declare class BittersNode extends EventTarget {
    #private;
    /** Whose software answers. */
    readonly origin: string;
    /** This site's persona: 52 characters of z-base-32, the same on every visit and another on every other site. */
    readonly id: string;
    /** The node software's version. */
    readonly version: string;
    /** Whether this is one node for all sites of the browser or one for this site. */
    readonly scope: Scope;
    /** The node now, as this site may see it. */
    status(limits?: Limits): Promise<Status>;
    /** Statuses: one now, one after each change. A slow reader gets the latest. */
    watch({ signal }?: Abortable): AsyncIterable<Status>;
    /** Connects to a persona; resolves with its id. */
    dial(where: string, limits?: Limits): Promise<string>;
    /** Joins a topic. The limits are those of joining: to go, `leave()`. */
    join<T = Received>(name: string, limits?: Limits): Promise<Topic<T>>;
    /** Opens a stream to a peer that serves the protocol. The limits are those of opening: to end it, `abort()` it. */
    open(peer: string, protocol: string, limits?: Limits): Promise<Stream>;
    /** Accepts streams until the signal is aborted; resolves when it does. A handler that throws aborts its stream. */
    serve(protocol: string, handler: (stream: Stream) => unknown, { signal }?: Abortable): Promise<void>;
    /** Calls a method of a peer's; at most 256 KiB each way. */
    call<T = Received>(peer: string, method: string, data: Data, { idempotent, ...limits }?: CallOptions): Promise<T>;
    /**
     * Answers calls until the signal is aborted; resolves when it does. What the handler returns is the result (nothing is
     * `null`), what it throws is told to the caller.
     */
    answer<T = Received>(method: string, handler: (data: T, context: CallContext) => Data | void | Promise<Data | void>, { signal }?: Abortable): Promise<void>;
    /** A proxy for a node author's own API: `await node.service("guestbook").sign("hello")`. */
    service<T extends {
        [M in keyof T]: (...args: any[]) => Returned;
    } = Service>(name: string, limits?: Limits): T;
    /** Ends everything and takes the node out of the page. */
    close(): Promise<void>;
}
/** The node learned about itself. */
export declare function update(node: BittersNode, news: Partial<SiteWelcome>): void;
