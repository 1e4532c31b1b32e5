// Messages over a stream: each is a length of four bytes, the high one first, then so many bytes of JSON.

import type { BittersError, Fault } from "./error.js";
import type { Stream } from "./stream.js";

/** Which call this stream is for, as the end that opened it names them; the other end repeats it. */
export interface Hello {
  hello: string;
  /** Its first stream was lost: no other call may take its place. */
  again: boolean;
}

/** One step of a negotiation: a way, a description, or the wish that the other end looks for ways anew. */
export type Step =
  | { candidate: RTCIceCandidateInit }
  | { description: { type: "answer" | "offer"; sdp: string } }
  | { restart: true };

/** Characters of a session description. */
const MAX_SDP = 64 * 1024;

/** Characters of a candidate. */
const MAX_CANDIDATE = 1024;

/** Characters of names inside a message: a call's, a media section's, a username fragment's. */
const MAX_NAME = 256;

/** Bytes of a message: in a description no more than every other character is written as an escape. */
const MAX_MESSAGE = 2 * MAX_SDP + 1024;

/** Bytes that may wait for a peer that doesn't read. */
const MAX_UNSENT = 1024 * 1024;

/** Messages that an honest peer sends within `WINDOW`: dozens of negotiations, each with dozens of candidates. */
const MAX_RATE = 1000;
const WINDOW = 60_000;

const HEAD = 4;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The two ends' messages. What breaks the protocol ends it with `Remote`. */
export class Channel {
  readonly #stream: Stream;
  readonly #fault: Fault;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** When the last messages came, the oldest first. */
  readonly #times: number[] = [];
  #bytes: Uint8Array = new Uint8Array();
  #unsent = 0;
  /** What the peer did to end it. */
  #broken: BittersError | undefined;

  constructor(stream: Stream, fault: Fault) {
    this.#stream = stream;
    this.#fault = fault;
    this.#reader = stream.readable.getReader();
    this.#writer = stream.writable.getWriter();
    // Whoever reads learns of it.
    this.#writer.closed.catch(() => {});
  }

  /** Sends it after all others. A channel that fails tells so by `next`. */
  send(message: Hello | Step): void {
    const text = encoder.encode(JSON.stringify(message));
    const bytes = new Uint8Array(HEAD + text.length);
    new DataView(bytes.buffer).setUint32(0, text.length);
    bytes.set(text, HEAD);
    this.#unsent += bytes.length;
    if (this.#unsent > MAX_UNSENT) this.#break("the peer doesn't read");
    this.#writer.write(bytes).then(
      () => (this.#unsent -= bytes.length),
      () => {},
    );
  }

  /** The next message, checked, or nothing when the peer is done. Rejects when the stream failed or the peer broke the protocol. */
  async next<T>(check: (message: unknown) => T | undefined): Promise<T | undefined> {
    try {
      const head = await this.#take(HEAD);
      if (!head) return undefined;
      const length = new DataView(head.buffer, head.byteOffset).getUint32(0);
      const text = length > MAX_MESSAGE ? undefined : await this.#take(length);
      const message = text && check(parsed(text));
      if (!message || this.#isFlooded()) this.#break("the peer broke the protocol");
      if (!this.#broken) return message;
    } catch (error) {
      this.#broken ??= error as BittersError;
    }
    throw this.#broken;
  }

  /** Says that nothing follows, after what has been sent. */
  close(): void {
    this.#writer.close().catch(() => {});
    this.#reader.cancel().catch(() => {});
  }

  /** Gives it up at once, and tells the peer why. */
  abort(reason: string): void {
    this.#stream.abort(reason);
  }

  /** So many bytes; none where the peer is done. */
  async #take(count: number): Promise<Uint8Array | undefined> {
    const chunks = [this.#bytes];
    let length = this.#bytes.length;
    while (length < count) {
      const { value } = await this.#reader.read();
      if (!value) return undefined;
      chunks.push(value);
      length += value.length;
    }
    const bytes = chunks.length > 1 ? joined(chunks, length) : this.#bytes;
    this.#bytes = bytes.subarray(count);
    return bytes.subarray(0, count);
  }

  #isFlooded(): boolean {
    this.#times.push(performance.now());
    return this.#times.length > MAX_RATE && performance.now() - (this.#times.shift() as number) < WINDOW;
  }

  #break(message: string): void {
    this.#broken ??= new this.#fault("Remote", message);
    this.abort(message);
  }
}

/** The message, if it is a hello. */
export function helloOf(message: unknown): Hello | undefined {
  const { hello, again } = fieldsOf(message);
  return isText(hello, MAX_NAME) && hello ? { hello, again: again === true } : undefined;
}

/** The message, if it is a step: nothing but what was checked. A rollback isn't: descriptions of ours are ours to take back. */
export function stepOf(message: unknown): Step | undefined {
  const { candidate, description, restart } = fieldsOf(message);
  if (restart === true) return { restart };
  return description ? describing(fieldsOf(description)) : offering(fieldsOf(candidate));
}

function describing({ sdp, type }: Fields): Step | undefined {
  if ((type != "offer" && type != "answer") || !isText(sdp, MAX_SDP)) return undefined;
  return { description: { type: type as "answer" | "offer", sdp } };
}

function offering({ candidate, sdpMid = null, sdpMLineIndex = null, usernameFragment = null }: Fields): Step | undefined {
  if (!isText(candidate, MAX_CANDIDATE)) return undefined;
  if (sdpMid !== null && !isText(sdpMid, MAX_NAME)) return undefined;
  if (usernameFragment !== null && !isText(usernameFragment, MAX_NAME)) return undefined;
  if (sdpMLineIndex !== null && !isIndex(sdpMLineIndex)) return undefined;
  return { candidate: { candidate, sdpMid, sdpMLineIndex, usernameFragment } };
}

type Fields = Record<string, unknown>;

function fieldsOf(value: unknown): Fields {
  return typeof value == "object" && value ? (value as Fields) : {};
}

function isText(value: unknown, max: number): value is string {
  return typeof value == "string" && value.length <= max;
}

function isIndex(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 16;
}

function parsed(text: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(text));
  } catch {
    return undefined;
  }
}

function joined(chunks: Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
