import { BittersError } from "./error.js";
import { type Limited, type Limits, limit } from "./limits.js";
import type { Ask, Event, Request, Tells } from "./rpc.js";

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
export type Listener = { [K in keyof Tells as Exclude<K, "failed">]?: (value: Tells[K]) => void } & {
  failed(error: BittersError): void;
};

/** One request, or one stream or call that came in: what is said about one number of one port. */
export class Talk<T = unknown> {
  declare readonly id: number;
  /** The first answer. */
  declare answer: Promise<T>;
  /** What is asked, now. */
  declare ask: (() => Ask) | undefined;
  /** It is asked again on the next port. */
  declare again: boolean | undefined;
  /** Until the first answer, or longer. */
  declare limited: Limited | undefined;
  /** Who hears it. */
  declare listener: Listener;
  /** Whether it was ever asked. */
  declare sent: boolean;
  /** What is said when nothing more is wanted. */
  farewell: Ask = "cancel";
  readonly #port: Port;

  constructor(port: Port, id: number) {
    this.#port = port;
    this.id = id;
  }

  /** Unless it is over. */
  say(ask: Ask, transfer?: Transferable[]): void {
    this.#port.say(this, ask, transfer);
  }

  /** Nobody here listens any longer. */
  over(): void {
    this.limited?.unlimit();
    this.#port.forget(this);
  }

  /** Nothing more is wanted. */
  cancel(): void {
    this.say(this.farewell);
    this.over();
  }

  fail(error: BittersError): void {
    this.cancel();
    this.listener.failed(error);
  }
}

/** The way to the frame. It outlives the frame's documents: each brings a MessagePort of its own. */
export class Port {
  #port: MessagePort | undefined;
  #welcomed = false;
  #talks = new Map<unknown, Talk>();
  #next = 1;
  #refusal: BittersError | undefined;

  /** Asks, or only waits where there is nothing to ask. The answer is what `made` makes of the first of `kinds` that is told; what it throws is a failure. */
  begin<K extends Exclude<keyof Tells, "failed">, T>(
    ask: ((timeout: number) => Ask) | undefined,
    kinds: readonly K[],
    terms: Terms,
    made: (value: Tells[K], talk: Talk<T>, kind: K) => T,
  ): Talk<T> {
    const talk = this.#talk<T>(this.#next++);
    talk.answer = new Promise<T>((resolve, failed) => {
      const heard = (kind: K, value: Tells[K]): void => {
        talk.limited?.untime();
        if (!terms.bound) talk.limited?.unlimit();
        if (!terms.lasts) talk.over();
        resolve(made(value, talk, kind));
      };
      talk.listener = { failed };
      for (const kind of kinds) (talk.listener as Record<K, (value: Tells[K]) => void>)[kind] = (value) => heard(kind, value);
      talk.again = terms.again;
      if (this.#refusal) return talk.fail(this.#refusal);
      talk.limited = limit(terms, (error) => talk.fail(error));
      const { end } = talk.limited;
      talk.ask = ask && (() => ask(Math.max(1, Math.ceil(end - performance.now()))));
      this.#send(talk);
    });
    return talk;
  }

  /** A stream or call that came in, or (0) the node itself. */
  adopt(id: number): Talk {
    const talk = this.#talk(id);
    talk.sent = true;
    return talk;
  }

  say(talk: Talk, ask: Ask, transfer?: Transferable[]): void {
    if (talk.sent && this.#lives(talk)) this.#post(talk.id, ask, transfer);
  }

  forget(talk: Talk): void {
    if (this.#lives(talk)) this.#talks.delete(talk.id);
  }

  /** Another document of the frame's. Requests wait until it is welcomed. */
  use(port: MessagePort): void {
    this.lost();
    this.#refusal = undefined;
    this.#port = port;
    port.onmessage = (event) => this.#onMessage(event);
  }

  /** The document answered the hello: what was asked of the last one and lasts is asked again. */
  welcomed(): void {
    this.#welcomed = true;
    for (const talk of this.#talks.values()) this.#send(talk);
  }

  /** The frame's document is gone, and with it the streams and what may not be asked twice. */
  lost(): void {
    this.#port?.close();
    this.#port = undefined;
    this.#welcomed = false;
    this.#failAll(new BittersError("LeaderLost", "gone"), (talk) => talk.sent && !talk.again);
  }

  /** Everything fails, now and until the next document. */
  refuse(error: BittersError): void {
    this.#refusal = error;
    this.#failAll(error, () => true);
    this.lost();
  }

  #lives(talk: Talk): boolean {
    return this.#talks.get(talk.id) == talk;
  }

  #talk<T>(id: number): Talk<T> {
    const talk = new Talk<T>(this, id);
    this.#talks.set(id, talk);
    return talk;
  }

  #failAll(error: BittersError, which: (talk: Talk) => boolean): void {
    this.#talks.delete(0);
    for (const talk of [...this.#talks.values()]) if (which(talk)) talk.fail(error);
  }

  #send(talk: Talk): void {
    if (!this.#welcomed || !talk.ask || !this.#lives(talk)) return;
    talk.sent = true;
    this.say(talk, talk.ask());
  }

  #post(id: number, ask: Ask, transfer: Transferable[] = []): void {
    this.#port?.postMessage({ id, ask } satisfies Request, transfer);
  }

  #onMessage({ data }: MessageEvent<Partial<Event> | null>): void {
    const { id, tell } = data ?? {};
    const [kind, value] = typeof tell == "string" ? [tell] : (Object.entries(tell ?? {})[0] ?? []);
    const talk = this.#talks.get(id);
    if (!talk) return this.#decline(value);
    try {
      if (kind == "failed") throw new BittersError(value.code, value.message, value);
      if (kind == "end" && !talk.listener.end) throw new BittersError("Closed", "ended");
      // What lasts is begun again with another document: no news.
      if (kind == "done" && !talk.listener.done) return;
      if (!Object.hasOwn(talk.listener, kind as string)) throw kind;
      (talk.listener as unknown as Record<string, (value: unknown) => void>)[kind as string]?.(value);
    } catch (cause) {
      // Then it is over already, and there is nothing to take leave of.
      if (kind == "failed") talk.over();
      talk.fail(cause instanceof BittersError ? cause : new BittersError("VersionMismatch", "node said " + kind, { cause }));
    }
  }

  /** What came in for somebody who has just stopped serving. */
  #decline(value: Partial<Tells["incomingCall"] & Tells["incomingStream"]> | undefined): void {
    if (value?.call) this.#post(value.call, "cancel");
    if (value?.stream) this.#post(value.stream, { reset: { reason: "gone" } });
  }
}
