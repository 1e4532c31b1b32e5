// How the two ends of a call find each other. The end with the lower id opens a stream, the other serves it, under a name that
// says who is meant. Whoever comes first waits without asking again: the opener finds nothing served, and the server, when it
// comes, pokes the opener by a call.

import { Channel, type Hello, helloOf } from "./channel.js";
import type { BittersError, Fault } from "./error.js";
import type { BittersNode } from "./node.js";
import type { Stream } from "./stream.js";

/** As much of a node as this needs. */
export type Meets = Pick<BittersNode, "answer" | "call" | "id" | "open" | "serve">;

/** Names of streams and calls begin with this; the id of whoever asks follows, and the label if there is one. */
const NAME = "bitters/signal/1/";

/** How long the node is asked once: the seats have limits of their own. */
const timeout = 2 ** 31 - 1;

/** Attempts to open while our own frame or leader goes away. */
const MAX_TRIES = 3;

/** Milliseconds between attempts to open a lost stream again, of which there are few: its end is soon given up. */
const TRY_EVERY = 1000;

/** One call of `signal`, which gets a channel at first, and perhaps another when that is lost. */
export class Seat {
  /** Which call it is: the opener's choice. */
  call = "";
  /** It has had a channel. */
  met = false;
  /** Ends the waiting. */
  signal = new AbortController().signal;
  readonly #line: Line;
  #current: Channel | undefined;
  /** The peer lost the channel sooner than we noticed, and here is the next. */
  #next: Channel | undefined;
  #got: ((channel: Channel) => void) | undefined;
  #failed: ((error: unknown) => void) | undefined;

  constructor(line: Line) {
    this.#line = line;
  }

  /** Whether it waits for a channel. */
  get waits(): boolean {
    return !!this.#got;
  }

  /** Whether there is another channel already. */
  get moved(): boolean {
    return !!this.#next;
  }

  /** The way to the peer. Rejects when there can be none; waits as long as the peer isn't there, until the signal is aborted. */
  channel(signal: AbortSignal): Promise<Channel> {
    return new Promise((resolve, reject) => {
      this.signal = signal;
      this.#got = resolve;
      this.#failed = reject;
      signal.addEventListener("abort", () => this.fail(signal.reason), { once: true });
      if (signal.aborted) this.fail(signal.reason);
      else if (this.#next) this.take(this.#next);
      else void this.#line.want(this);
    });
  }

  take(channel: Channel): void {
    this.met = true;
    if (this.#got) {
      this.#current = channel;
      this.#next = undefined;
      this.#got(channel);
      this.#got = undefined;
    } else {
      this.#next?.abort("another came");
      this.#next = channel;
      this.#current?.abort("another came");
    }
  }

  fail(error: unknown): void {
    this.#got = undefined;
    this.#failed?.(error);
  }

  /** Nothing more is wanted. */
  leave(): void {
    this.fail(undefined);
    this.#next?.abort("given up");
    this.#line.leave(this);
  }
}

/** All calls of a node with the same peer and label. Those that have no peer yet are matched in their order. */
abstract class Line {
  readonly seats: Seat[] = [];
  protected readonly node: Meets;
  protected readonly peer: string;
  protected readonly fault: Fault;
  readonly #label: string;
  readonly #empty: () => void;
  readonly #life = new AbortController();
  #listening: Promise<void> | undefined;

  constructor(node: Meets, peer: string, label: string, fault: Fault, empty: () => void) {
    this.node = node;
    this.peer = peer;
    this.fault = fault;
    this.#label = label;
    this.#empty = empty;
  }

  sit(): Seat {
    const seat = new Seat(this);
    this.seats.push(seat);
    return seat;
  }

  leave(seat: Seat): void {
    this.seats.splice(this.seats.indexOf(seat), 1);
    this.changed();
    if (this.seats.length) return;
    this.#life.abort();
    this.#empty();
  }

  /** Listens first: whoever finds nobody is poked after that, or pokes. */
  async want(seat: Seat): Promise<void> {
    try {
      await (this.#listening ??= this.listen(this.nameOf(this.peer), this.#life.signal));
      await this.seek(this.nameOf(this.node.id), seat);
    } catch (error) {
      seat.fail(error);
    }
  }

  /** Hears those who ask under this name, from when it resolves until the signal is aborted. */
  protected abstract listen(name: string, signal: AbortSignal): Promise<void>;

  /** Asks the peer under this name. */
  protected abstract seek(name: string, seat: Seat): Promise<void>;

  /** Somebody waits no longer. */
  protected abstract changed(): void;

  private nameOf(asker: string): string {
    return NAME + asker + (this.#label && `/${this.#label}`);
  }
}

/** At the end that opens: one stream at a time, so that they come in the order of the calls. */
class Opener extends Line {
  #opening = false;
  #poked = false;
  #wake = (): void => {};

  protected override listen(name: string, signal: AbortSignal): Promise<void> {
    return this.node.answer(name, (_, { from }) => (from == this.peer ? this.changed() : undefined), { signal });
  }

  protected override async seek(name: string): Promise<void> {
    this.changed();
    if (this.#opening) return;
    this.#opening = true;
    for (let seat; (seat = this.seats.find(({ waits }) => waits)); ) {
      this.#poked = false;
      if (await this.#open(name, seat)) continue;
      // Poked while it was being refused, it asks again at once.
      if (!this.#poked) await this.#rest(seat);
    }
    this.#opening = false;
  }

  protected override changed(): void {
    this.#poked = true;
    this.#wake();
  }

  /** Until somebody comes. Who was there and is about to come back may not know that it was missed. */
  async #rest({ met }: Seat): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (met) timer = setTimeout(resolve, TRY_EVERY);
    });
    clearTimeout(timer);
  }

  /** Whether the seat waits no longer. */
  async #open(name: string, seat: Seat): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      let opened = false;
      try {
        const stream = await this.node.open(this.peer, name, { signal: seat.signal, timeout });
        opened = true;
        seat.take(await this.#greet(stream, seat));
        return true;
      } catch (error) {
        const { code } = error as BittersError;
        if (code == "LeaderLost" && tries < MAX_TRIES) continue;
        // Nobody waits there yet; and who was there may be about to come back, whatever this says.
        if (seat.waits && (opened || seat.met || code == "NotFound")) return false;
        seat.fail(error);
        return true;
      }
    }
  }

  async #greet(stream: Stream, seat: Seat): Promise<Channel> {
    const { signal } = seat;
    const channel = new Channel(stream, this.fault);
    const giveUp = (): void => channel.abort("given up");
    signal.addEventListener("abort", giveUp);
    try {
      signal.throwIfAborted();
      seat.call ||= randomName();
      channel.send({ hello: seat.call, again: seat.met });
      if ((await channel.next(helloOf))?.hello == seat.call) return channel;
      throw new this.fault("Remote", "the peer is in another call");
    } catch (error) {
      channel.abort("no such call");
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }
}

/** At the end that serves. */
class Server extends Line {
  /** It hasn't said yet which call it is for. There is one at most: an honest opener opens one at a time. */
  #strange: Channel | undefined;

  protected override listen(name: string, signal: AbortSignal): Promise<void> {
    return this.node.serve(name, (stream) => this.#take(stream), { signal });
  }

  protected override async seek(name: string, { met, signal }: Seat): Promise<void> {
    try {
      await this.node.call(this.peer, name, null, { signal, timeout, idempotent: true });
    } catch (error) {
      // Nobody is there yet; and who was there may be about to come back, whatever this says.
      if (!met && (error as BittersError).code != "NotFound") throw error;
    }
  }

  protected override changed(): void {
    if (!this.seats.length) this.#strange?.abort("given up");
  }

  /** What is thrown here aborts the stream. */
  async #take(stream: Stream): Promise<void> {
    if (stream.peer != this.peer) throw new Error("somebody else is meant");
    this.#strange?.abort("another came");
    const channel = (this.#strange = new Channel(stream, this.fault));
    const hello = await channel.next(helloOf).catch((error: unknown) => {
      // Our frame may have taken it along, and whoever waits here has poked already.
      const seat = this.seats.find(({ waits }) => waits);
      if (seat && this.#strange == channel) void this.want(seat);
      throw error;
    });
    if (this.#strange == channel) this.#strange = undefined;
    const seat = hello && this.#seatOf(hello);
    if (!seat) throw new Error("nobody waits");
    seat.call = hello.hello;
    channel.send(hello);
    seat.take(channel);
  }

  #seatOf({ hello, again }: Hello): Seat | undefined {
    const known = this.seats.find(({ call }) => call == hello);
    return known ?? (again ? undefined : this.seats.find(({ met, waits }) => waits && !met));
  }
}

const lines = new WeakMap<Meets, Map<string, Line>>();

/** A seat in the line of this peer and label. */
export function sit(node: Meets, peer: string, label: string, fault: Fault): Seat {
  const all = lines.get(node) ?? new Map<string, Line>();
  lines.set(node, all);
  const name = `${peer}/${label}`;
  let line = all.get(name);
  if (!line) all.set(name, (line = new (node.id < peer ? Opener : Server)(node, peer, label, fault, () => all.delete(name))));
  return line.sit();
}

function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
}
