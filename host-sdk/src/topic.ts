import { type Data, type Received, fromWire, sizeOf, toWire } from "./data.js";
import { BittersError } from "./error.js";
import type { Limits } from "./limits.js";
import type { Port, Talk } from "./port.js";
import { tellOf } from "./news.js";
import { Queue } from "./queue.js";

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
  addEventListener(
    type: "peerjoin" | "peerleave",
    listener: ((event: CustomEvent<string>) => void) | null,
    options?: AddEventListenerOptions | boolean,
  ): void;
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
export class Topic<T = Received> extends EventTarget {
  /** The topic's name. */
  declare readonly name: string;
  /** Whether there are more members than `peers` tells. */
  readonly more: boolean = false;
  readonly #port: Port;
  readonly #talk: Talk;
  readonly #peers = new Set<string>();
  readonly #readers = new Set<Queue<Message<T>>>();
  #unread: Queue<Message<T>> | undefined;
  #over: BittersError | undefined;

  /** @internal */
  constructor(port: Port, talk: Talk, name: string) {
    super();
    this.#port = port;
    this.#talk = talk;
    this.name = name;
    this.#unread = this.#reader();
    talk.listener = {
      // Joined again, with another frame: who is there is told anew.
      done: () => this.peers.forEach((peer) => this.#left(peer)),
      failed: (error) => this.#end(error),
      message: (message) => this.#message(message),
      peerJoin: (peer) => {
        if (this.#peers.size < this.#peers.add(peer).size) tellOf(this, "peerjoin", peer);
      },
      peerLeave: (peer) => this.#left(peer),
      more: (more) => void ((this as { more: boolean }).more = more),
    };
  }

  /** Who else is there: personas' ids, at most 256. */
  get peers(): string[] {
    return [...this.#peers];
  }

  /** Says something to all others in the topic; at most 256 KiB. */
  async publish(data: Data, limits: Limits = {}): Promise<void> {
    const wire = toWire(data);
    if (this.#over) throw this.#over;
    await this.#port.begin(() => ({ publish: { topic: this.#talk.id, data: wire } }), ["done"], limits, () => {}).answer;
  }

  /** Leaves it; reading ends. */
  leave(): void {
    this.#talk.cancel();
    this.#end(new BittersError("Closed", "the topic was closed"));
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>> {
    const reader = this.#unread ?? this.#reader();
    this.#unread = undefined;
    return reader;
  }

  #reader(): Queue<Message<T>> {
    const reader: Queue<Message<T>> = new Queue(() => this.#readers.delete(reader));
    this.#readers.add(reader);
    if (this.#over) reader.end(this.#over);
    return reader;
  }

  #message({ from, data, id }: { from: string; data: Parameters<typeof fromWire>[0]; id: string }): void {
    const size = sizeOf(data);
    for (const reader of this.#readers) {
      try {
        reader.put({ from, data: fromWire(data) as T, id }, size);
      } catch {
        // A peer calls something JSON that isn't: no message.
      }
    }
  }

  #left(peer: string): void {
    if (this.#peers.delete(peer)) tellOf(this, "peerleave", peer);
  }

  #end(error: BittersError): void {
    this.#over ??= error;
    for (const reader of this.#readers) reader.end(error);
  }
}
