import type { WireData } from "./rpc.js";
/** A JSON value. */
export type Json = boolean | null | number | string | readonly Json[] | {
    readonly [key: string]: Json | undefined;
};
/** What may be sent: it arrives as the kind that was sent. */
export type Data = BufferSource | Json;
/** What arrives: bytes, a string or another JSON value. It may be sent as it is. */
export type Received = Uint8Array<ArrayBuffer> | Json;
/** @throws `BadArgument` for what is neither bytes nor text nor JSON, `TooLarge`. */
export declare function toWire(data: unknown): WireData;
/** @throws `Remote` for what isn't JSON: a peer made it, so anything may come. */
export declare function fromWire(data: WireData): Received;
/** Bytes or characters of content: for bounds on memory. */
export declare function sizeOf(data: WireData): number;
/** @throws `BadArgument` for what isn't a JSON value, `TooLarge`. */
export declare function toJson(value: unknown): string;
/** @throws `Remote` for what isn't JSON. */
export declare function fromJson(text: string): Json;
/** The bytes of a `BufferSource` of any realm, not copied. */
export declare function viewOf(data: unknown): Uint8Array | undefined;
/** @throws `BadArgument` unless it has 1 to 128 characters (code points) and no control characters. */
export declare function nameOf(name: unknown): string;
/** @throws `BadArgument` unless it is a persona's id: z-base-32, 52 characters. */
export declare function peerOf(peer: unknown): string;
