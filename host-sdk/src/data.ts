// What sites say to one another, and what they call things.

import { BittersError, badArgument } from "./error.js";
import { tagOf, unsendable, walk, whole } from "./json.js";
import type { WireData } from "./rpc.js";

/** A JSON value. */
export type Json = boolean | null | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** What may be sent: it arrives as the kind that was sent. */
export type Data = BufferSource | Json;

/** What arrives: bytes, a string or another JSON value. It may be sent as it is. */
export type Received = Uint8Array<ArrayBuffer> | Json;

/** Bytes of a topic's message, a call's argument or result, a service's arguments. */
const MAX_MESSAGE = 256 * 1024;

const encoder = new TextEncoder();

/** @throws `BadArgument` for what can't arrive as it is, `TooLarge`. */
export function toWire(data: unknown): WireData {
  if (typeof data == "string") return { text: whole(fitting(data)) };
  const bytes = viewOf(data);
  if (!bytes) return { json: toJson(data) };
  fits(bytes.length);
  // A copy: the site keeps its buffer, and the frame gets the viewed part only.
  return { bytes: bytes.slice() };
}

/** @throws `Remote` for what isn't JSON: a peer made it, so anything may come. */
export function fromWire(data: WireData): Received {
  if ("bytes" in data) return data.bytes;
  return "text" in data ? data.text : fromJson(data.json);
}

/** Bytes or characters of content: for bounds on memory. */
export function sizeOf(data: WireData): number {
  return Object.values(data)[0].length;
}

/** @throws `BadArgument` for what isn't a JSON value, `TooLarge`. */
export function toJson(value: unknown): string {
  try {
    let size = 0;
    // What is far too large takes no longer than what just is.
    walk(value, (characters) => fits((size += characters)));
    return fitting(JSON.stringify(value));
  } catch (cause) {
    // Of a getter or a `toJSON` of the site's, or of a stack that was almost full.
    throw cause instanceof BittersError ? cause : badArgument("no JSON", cause);
  }
}

/** @throws `Remote` for what isn't JSON. */
export function fromJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new BittersError("Remote", "no JSON", { cause });
  }
}

/**
 * The bytes of a `BufferSource` of any realm, not copied.
 *
 * @throws `BadArgument` where they are no longer there.
 */
export function viewOf(data: unknown): Uint8Array | undefined {
  const isView = ArrayBuffer.isView(data);
  if (!isView && !/ArrayBuffer$/.test(tagOf(data))) return undefined;
  try {
    if (!isView) return new Uint8Array(data as ArrayBuffer);
    // Throws where its length would be 0 for want of a buffer. A DataView's length does so by itself.
    (data as Partial<Uint8Array>).keys?.();
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  } catch (cause) {
    throw detached(cause);
  }
}

/** Bytes that were given away, or cut off. */
export function detached(cause?: unknown): BittersError {
  return unsendable("a detached buffer, or a view outside its buffer", "", cause);
}

/** @throws `BadArgument` unless it has 1 to 128 characters (code points), no control characters and no lone surrogates. */
export function nameOf(name: unknown): string {
  return whole(matching(name, /^\P{Cc}{1,128}$/u, "not 1-128 characters"));
}

/** @throws `BadArgument` unless it is a persona's id: z-base-32, 52 characters. */
export function peerOf(peer: unknown): string {
  return matching(peer, /^[13-9a-km-uw-z]{52}$/, "not a peer's id");
}

/** @throws `BadArgument` unless it is a persona's id or an address: base64url, longer, of at most 400 characters. */
export function whereOf(where: unknown): string {
  return matching(where, /^([13-9a-km-uw-z]{52}|[\w-]{53,400})$/, "no id or address");
}

function matching(text: unknown, pattern: RegExp, message: string): string {
  if (typeof text != "string" || !pattern.test(text)) throw badArgument(message);
  return text;
}

function fitting(text: string): string {
  fits(encoder.encode(text).length);
  return text;
}

function fits(size: number): void {
  if (size > MAX_MESSAGE) throw new BittersError("TooLarge", "over 256 KiB");
}
