import { BittersError } from "./error.js";
import { type Limited, type Limits } from "./limits.js";
import type { Ask, Tells } from "./rpc.js";
/** How a request lives. */
export interface Terms extends Limits {
    /** It is asked again on the next port. Without this it fails with `LeaderLost` when its port is lost. */
    again?: boolean;
    /** It goes on after its first answer. */
    lasts?: boolean;
    /** Its signal ends it after the first answer, too. */
    bound?: boolean;
}
/** Who hears what is told. Anything that it doesn't name is a failure. */
export type Listener = {
    [K in keyof Tells as Exclude<K, "failed">]?: (value: Tells[K]) => void;
} & {
    failed(error: BittersError): void;
};
/** One request, or one stream or call that came in: what is said about one number of one port. */
export declare class Talk<T = unknown> {
    #private;
    readonly id: number;
    /** The first answer. */
    answer: Promise<T>;
    /** What is asked, now. */
    ask: (() => Ask) | undefined;
    /** It is asked again on the next port. */
    again: boolean | undefined;
    /** Until the first answer, or longer. */
    limited: Limited | undefined;
    /** Who hears it. */
    listener: Listener;
    /** Whether it was ever asked. */
    sent: boolean;
    /** What is said when nothing more is wanted. */
    farewell: Ask;
    constructor(port: Port, id: number);
    /** Unless it is over. */
    say(ask: Ask, transfer?: Transferable[]): void;
    /** Nobody here listens any longer. */
    over(): void;
    /** Nothing more is wanted. */
    cancel(): void;
    fail(error: BittersError): void;
}
/** The way to the frame. It outlives the frame's documents: each brings a MessagePort of its own. */
export declare class Port {
    #private;
    /** Asks. The answer is what `made` makes of the first of `kinds` that is told; what it throws is a failure. */
    begin<K extends Exclude<keyof Tells, "failed">, T>(ask: (timeout: number) => Ask, kinds: readonly K[], terms: Terms, made: (value: Tells[K], talk: Talk<T>, kind: K) => T): Talk<T>;
    /** A stream or call that came in, or (0) the node itself. */
    adopt(id: number): Talk;
    say(talk: Talk, ask: Ask, transfer?: Transferable[]): void;
    forget(talk: Talk): void;
    /** Another document of the frame's. Requests wait until it is welcomed. */
    use(port: MessagePort): void;
    /** The document answered the hello: what was asked of the last one and lasts is asked again. */
    welcomed(): void;
    /** The frame's document is gone, and with it the streams and what may not be asked twice. */
    lost(): void;
    /** Everything fails, now and until the next document. */
    refuse(error: BittersError): void;
}
