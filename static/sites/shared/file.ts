// A file over a stream: one line of JSON that says what comes, then the bytes; then, the other way, a line with the hash of
// what arrived. What a peer says is bounded and checked, for anybody may open this protocol.

import type { Stream } from "@bitters/host-sdk";

/** The name under which the demo serves and opens these streams. */
export const PROTOCOL = "bitters-demo-file";

/** More wouldn't fit well in a page's memory. */
export const MAX_SIZE = 256 * 1024 * 1024;
/** The browser hashes in one piece only, so beyond this nothing is hashed and the size alone is compared. */
const MAX_HASHED = 64 * 1024 * 1024;
const MAX_LINE = 4096;
const LINE_END = 0x0a;
const MAX_NAME = 120;
/** A peer that is silent for longer has gone or is stuck. */
const MAX_SILENCE_MS = 60_000;
const STRANGE = "They don’t speak this demo’s language.";

/** What the sender says first. */
export interface Header {
  name: string;
  size: number;
  type: string;
}

/** A file that arrived whole. */
export interface Arrived {
  blob: Blob;
  hash: string;
}

/** Sends a file and resolves with its hash ("" if too large to hash) once the peer confirmed the same. */
export async function send(stream: Stream, file: File, progress: (bytes: number) => void): Promise<string> {
  const hash = await sha256(file);
  const { name, size, type } = file;
  const writer = stream.writable.getWriter();
  await writer.write(line({ name: name.slice(-MAX_NAME), size, type: type.slice(0, MAX_NAME) }));
  writer.releaseLock();
  await file.stream().pipeThrough(counting(progress)).pipeTo(stream.writable);

  const receipt = (await readLine(stream.readable.getReader())).value;
  if (receipt["size"] !== size || receipt["hash"] !== hash) throw new Error("It arrived changed.");
  return hash;
}

/** Receives a file; `begun` is told what is coming. */
export async function receive(
  stream: Stream,
  begun: (header: Header) => void,
  progress: (bytes: number) => void,
): Promise<Arrived> {
  const reader = stream.readable.getReader();
  const { value, rest } = await readLine(reader);
  const header = parseHeader(value);
  begun(header);

  const parts: BlobPart[] = [];
  let size = 0;
  for (let chunk: Uint8Array | undefined = rest; chunk; chunk = await readChunk(reader)) {
    size += chunk.byteLength;
    if (size > header.size) throw new Error("More came than was announced.");
    parts.push(chunk as Uint8Array<ArrayBuffer>);
    progress(size);
  }
  if (size !== header.size) throw new Error("Less came than was announced.");

  // Of no type that a browser would open: a page in disguise must not run with this site's rights.
  const blob = new Blob(parts, { type: "application/octet-stream" });
  const hash = await sha256(blob);
  const writer = stream.writable.getWriter();
  await writer.write(line({ size, hash }));
  await writer.close();
  return { blob, hash };
}

function parseHeader({ name, size, type }: Record<string, unknown>): Header {
  if (typeof name !== "string" || typeof type !== "string") throw new Error("It came without a name.");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw new Error("It came without a size.");
  if (size > MAX_SIZE) throw new Error("It is too large for this demo.");
  return { name: name.replace(/[\\/\p{C}]/gu, "_").slice(-MAX_NAME) || "file", size, type: type.slice(0, MAX_NAME) };
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** The first line, and the bytes behind it that came along. */
async function readLine(reader: Reader): Promise<{ value: Record<string, unknown>; rest: Uint8Array }> {
  let bytes = new Uint8Array();
  for (let chunk = await readChunk(reader); chunk; chunk = await readChunk(reader)) {
    const end = chunk.indexOf(LINE_END);
    bytes = joined(bytes, end < 0 ? chunk : chunk.subarray(0, end));
    if (bytes.length > MAX_LINE) break;
    if (end >= 0) return { value: parseLine(bytes), rest: chunk.subarray(end + 1) };
  }
  throw new Error(STRANGE);
}

function parseLine(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value ? (value as Record<string, unknown>) : {};
  } catch (cause) {
    throw new Error(STRANGE, { cause });
  }
}

/** The next bytes; nothing at the end. */
async function readChunk(reader: Reader): Promise<Uint8Array | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("Nothing came for a minute.")), MAX_SILENCE_MS);
  });
  try {
    return (await Promise.race([reader.read(), silence])).value;
  } finally {
    clearTimeout(timer);
  }
}

function line(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Passes bytes on and tells how many have gone. */
function counting(progress: (bytes: number) => void): TransformStream<Uint8Array, Uint8Array> {
  let gone = 0;
  return new TransformStream({
    transform(chunk, controller) {
      gone += chunk.byteLength;
      progress(gone);
      controller.enqueue(chunk);
    },
  });
}

async function sha256(blob: Blob): Promise<string> {
  if (blob.size > MAX_HASHED) return "";
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
