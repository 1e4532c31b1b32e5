// Nodes that call and open streams to each other in memory, each message after a time of its own, as far as `signal` uses them.

import { BittersError } from "../src/index.js";
import type { Data } from "../src/data.js";
import type { Meets } from "../src/meeting.js";
import type { Abortable, CallContext } from "../src/node.js";
import type { Stream } from "../src/stream.js";
import type { Delay } from "./connection.js";

type Handler = (data: null, context: CallContext) => unknown;
type Server = Parameters<Meets["serve"]>[1];

/** All nodes, by their ids. */
export class Network {
  readonly nodes = new Map<string, FakeNode>();
  readonly delay: Delay;

  constructor(delay: Delay = () => 1) {
    this.delay = delay;
  }

  node(id: string): FakeNode {
    const node = new FakeNode(this, id);
    this.nodes.set(id, node);
    return node;
  }

  pass(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.delay()));
  }
}

/** One site's node. */
export class FakeNode implements Meets {
  readonly id: string;
  readonly answers = new Map<string, Handler>();
  readonly servers = new Map<string, Server>();
  /** What it asked others: the names of methods and protocols. */
  readonly asked: string[] = [];
  /** Streams with one end here. */
  readonly streams = new Set<FakeStream>();
  /** Nobody reaches it, and it reaches nobody. */
  unreachable = false;
  readonly #network: Network;

  constructor(network: Network, id: string) {
    this.#network = network;
    this.id = id;
  }

  answer<T>(method: string, handler: (data: T, context: CallContext) => Data | void | Promise<Data | void>, { signal }: Abortable = {}): Promise<void> {
    return this.#lasting(this.answers, method, handler as Handler, signal);
  }

  serve(protocol: string, handler: Server, { signal }: Abortable = {}): Promise<void> {
    return this.#lasting(this.servers, protocol, handler, signal);
  }

  async call<T>(peer: string, method: string, _: unknown, { signal }: Abortable = {}): Promise<T> {
    this.asked.push(method);
    const node = await this.#reach(peer, signal);
    const handler = node.answers.get(method);
    await this.#network.pass();
    if (!handler) throw new BittersError("NotFound", "nobody answers");
    return (await handler(null, { from: this.id, signal: new AbortController().signal })) as T;
  }

  async open(peer: string, protocol: string, { signal }: Abortable = {}): Promise<Stream> {
    this.asked.push(protocol);
    const node = await this.#reach(peer, signal);
    const handler = node.servers.get(protocol);
    await this.#network.pass();
    if (!handler) throw new BittersError("NotFound", "nobody serves");
    const ours = new FakeStream(this.#network, peer, protocol);
    const theirs = new FakeStream(this.#network, this.id, protocol);
    ours.join(theirs);
    for (const [owner, stream] of [[this, ours], [node, theirs]] as const) owner.streams.add(stream);
    void (async () => handler(theirs))().catch((error) => theirs.abort(error));
    await this.#network.pass();
    if (signal?.aborted) {
      ours.abort("given up");
      throw new BittersError("Aborted", "given up");
    }
    return ours;
  }

  /** Its frame loads again: its streams are gone, here at once and for the peers as if its page were. */
  reload(): void {
    for (const stream of this.streams) stream.lose();
    this.streams.clear();
  }

  async #reach(peer: string, signal: AbortSignal | undefined): Promise<FakeNode> {
    await this.#network.pass();
    if (signal?.aborted) throw new BittersError("Aborted", "given up");
    const node = this.#network.nodes.get(peer);
    if (!node || node.unreachable || this.unreachable) throw new BittersError("PeerUnreachable", "no way");
    return node;
  }

  async #lasting<T>(all: Map<string, T>, name: string, handler: T, signal: AbortSignal | undefined): Promise<void> {
    await this.#network.pass();
    if (signal?.aborted) throw new BittersError("Aborted", "given up");
    all.set(name, handler);
    signal?.addEventListener("abort", () => all.get(name) == handler && all.delete(name));
  }
}

/** One end of a stream. Chunks arrive in order, in other pieces than they were written. */
export class FakeStream implements Stream {
  readonly peer: string;
  readonly protocol: string;
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array>;
  /** Why it was aborted, by this end. */
  aborted: unknown;
  /** Nobody reads what this end writes. */
  stalled = false;
  #input!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  #output!: WritableStreamDefaultController;
  #other!: FakeStream;
  #over = false;
  #sent: Promise<void> = Promise.resolve();
  readonly #network: Network;

  constructor(network: Network, peer: string, protocol: string) {
    this.#network = network;
    this.peer = peer;
    this.protocol = protocol;
    this.readable = new ReadableStream({ start: (controller) => void (this.#input = controller) });
    this.writable = new WritableStream({
      start: (controller) => void (this.#output = controller),
      write: (chunk) => this.#flow((other) => other.#put(chunk)),
      close: () => this.#flow((other) => other.#finish()),
    });
  }

  join(other: FakeStream): void {
    this.#other = other;
    other.#other = this;
  }

  async close(): Promise<void> {
    await this.writable.close();
  }

  abort(reason?: unknown): void {
    if (this.#over) return;
    this.aborted = reason;
    this.fail(new BittersError("Aborted", "aborted"));
    void this.#say((other) => other.fail(new BittersError("Remote", String(reason))));
  }

  /** The frame of this end is gone. */
  lose(): void {
    this.fail(new BittersError("LeaderLost", "the frame is gone"));
    void this.#say((other) => other.fail(new BittersError("PeerUnreachable", "its page is gone")));
  }

  fail(error: BittersError): void {
    if (this.#over) return;
    this.#over = true;
    this.#input.error(error);
    this.#output.error(error);
  }

  #flow(what: (other: FakeStream) => void): Promise<void> {
    return this.stalled ? new Promise(() => {}) : this.#say(what);
  }

  #say(what: (other: FakeStream) => void): Promise<void> {
    return (this.#sent = this.#sent.then(() => this.#network.pass()).then(() => what(this.#other)));
  }

  #put(chunk: Uint8Array): void {
    const half = chunk.length >> 1;
    for (const piece of [chunk.slice(0, half), chunk.slice(half)]) {
      if (!this.#over && piece.length) this.#enqueue(piece);
    }
  }

  #enqueue(piece: Uint8Array): void {
    try {
      this.#input.enqueue(piece as Uint8Array<ArrayBuffer>);
    } catch {
      // Nobody reads any longer.
    }
  }

  #finish(): void {
    try {
      this.#input.close();
    } catch {
      // Nobody reads any longer.
    }
  }
}
