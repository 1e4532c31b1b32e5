import { type Data, type Json, type Received, fromJson, fromWire, sizeOf, toJson, toWire } from "./data.js";
import { BittersError } from "./error.js";
import type { Limits } from "./limits.js";
import type { Port, Talk, Terms } from "./port.js";
import { tellOf } from "./news.js";
import { Queue } from "./queue.js";
import type { Ask } from "./rpc.js";

/** What somebody said in a topic. */
export interface Message<T = Received> {
  /** Who said it: a persona's id. */
  from: string;
  /** What, as the kind that was sent. */
  data: T;
  /** The message's id, the same for everyone. */
  id: string;
}

/** What the members of a topic show of themselves. When that changes, the topic has an event `presence`. */
export interface Presence {
  /** What a member shows; this site's own id counts, too. */
  get(peer: string): Json | undefined;
  /**
   * Shows the other members something, and those who come: at most 4 KiB of JSON, until it shows something else, or nothing (`undefined`), or
   * leaves. Of several pages of the site in one topic the one counts that showed something last.
   *
   * @throws `BadArgument`, `TooLarge`, `Closed`.
   */
  set(value: Json | undefined, limits?: Limits): Promise<void>;
}

export interface Topic<T = Received> {
  addEventListener(
    type: "peerjoin" | "peerleave" | "presence",
    listener: ((event: CustomEvent<string>) => void) | null,
    options?: AddEventListenerOptions | boolean,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: AddEventListenerOptions | boolean): void;
  removeEventListener(
    type: "peerjoin" | "peerleave" | "presence",
    listener: ((event: CustomEvent<string>) => void) | null,
    options?: EventListenerOptions | boolean,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: EventListenerOptions | boolean): void;
  /** Messages, from now on; the first reader gets those since the joining, too. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>>;
}

/**
 * A topic that this site is in, until it leaves. Events `peerjoin`, `peerleave` and `presence` have the peer's id as their `detail`.
 *
 * A reader that is more than 1024 messages or 8 MiB behind gets what it has, then `Quota`.
 */
export class Topic<T = Received> extends EventTarget {
  /** The topic's name. */
  declare readonly name: string;
  /** Whether there are more members than `peers` tells. */
  readonly more: boolean = false;
  /** What the members show of themselves. */
  declare readonly presence: Presence;
  readonly #port: Port;
  readonly #talk: Talk;
  readonly #peers = new Set<string>();
  readonly #shown = new Map<string, string | undefined>();
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
    let shows: string | undefined;
    const tell = (value?: string, limits?: Limits): Promise<void> => this.#ask(() => ({ presence: { topic: talk.id, value } }), { ...limits, again: true });
    this.presence = {
      get: (peer) => {
        try {
          return fromJson(this.#shown.get(peer) as string);
        } catch {
          // It calls something JSON that isn't, or shows nothing.
          return undefined;
        }
      },
      set: async (json, limits) => {
        const value = json === undefined ? json : toJson(json);
        await tell(value, limits);
        shows = value;
      },
    };
    const left = (peer: string): void => {
      this.#shown.delete(peer);
      if (this.#peers.delete(peer)) tellOf(this, "peerleave", peer);
    };
    talk.listener = {
      // Joined again, with another frame: who is there is told anew, and it is told what is shown.
      done: () => {
        this.peers.forEach(left);
        this.#shown.clear();
        if (shows) tell(shows).catch(() => {});
      },
      failed: (error) => this.#end(error),
      message: ({ from, data, id }) => {
        const size = sizeOf(data);
        for (const reader of this.#readers) {
          try {
            reader.put({ from, data: fromWire(data) as T, id }, size);
          } catch {
            // A peer calls something JSON that isn't: no message.
          }
        }
      },
      peerJoin: (peer) => {
        if (this.#peers.size < this.#peers.add(peer).size) tellOf(this, "peerjoin", peer);
      },
      peerLeave: left,
      presence: ({ peer, value }) => {
        this.#shown.set(peer, value);
        tellOf(this, "presence", peer);
      },
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
    await this.#ask(() => ({ publish: { topic: this.#talk.id, data: wire } }), limits);
  }

  /** Leaves it; reading ends. */
  leave(): void {
    this.#talk.cancel();
    this.#end(new BittersError("Closed", "topic closed"));
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>> {
    const reader = this.#unread ?? this.#reader();
    this.#unread = undefined;
    return reader;
  }

  async #ask(ask: () => Ask, terms: Terms): Promise<void> {
    if (this.#over) throw this.#over;
    await this.#port.begin(ask, ["done"], terms, () => {}).answer;
  }

  #reader(): Queue<Message<T>> {
    const reader: Queue<Message<T>> = new Queue(() => this.#readers.delete(reader));
    this.#readers.add(reader);
    if (this.#over) reader.end(this.#over);
    return reader;
  }

  #end(error: BittersError): void {
    this.#over ??= error;
    for (const reader of this.#readers) reader.end(error);
  }
}
