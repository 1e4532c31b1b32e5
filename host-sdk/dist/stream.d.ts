import type { Talk } from "./port.js";
/** A two-way conversation with one peer, in bytes. */
export interface Stream {
    /** Whose other end it is: a persona's id. */
    readonly peer: string;
    /** What it was opened for. */
    readonly protocol: string;
    /** What the peer writes. Unread it stops the peer after 1 MiB; cancelled it ends the peer's writing, not ours. */
    readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
    /** For the peer. A write is done when the node has taken all of its bytes, which it does as the peer reads. */
    readonly writable: WritableStream<Uint8Array>;
    /** Finishes writing, after what has been written before. Reading goes on. */
    close(): Promise<void>;
    /** Gives it up, both ways. The peer is told the reason. */
    abort(reason?: unknown): void;
}
/** A stream over a talk that both ends have agreed on. */
export declare function streamOf(talk: Talk, peer: string, protocol: string): Stream;
