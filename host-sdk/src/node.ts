/// <reference lib="esnext.disposable" preserve="true" />
import { type Data, type Received, fromWire, nameOf, peerOf, toWire, whereOf } from "./data.js";
import { BittersError, type Executed, aborted, ofCall, textOf } from "./error.js";
import type { Limits } from "./limits.js";
import type { Badge } from "./place.js";
import type { Port, Talk, Terms } from "./port.js";
import { tellOf } from "./news.js";
import { Queue } from "./queue.js";
import type { Ask, SiteWelcome, Tells } from "./rpc.js";
import { type Returned, type Service, serviceOf } from "./service.js";
import type { Scope, Status } from "./status.js";
import type { Signalling } from "./signal.js";
import { type Stream, streamOf } from "./stream.js";
import { Topic } from "./topic.js";

/** How a call may be made. */
export interface CallOptions extends Limits {
  /** It may run twice: then a change of leader or frame repeats it instead of failing it. */
  idempotent?: boolean | undefined;
}

/** How a topic may be joined. */
export interface JoinOptions extends Limits {
  /** Only those who know it, too, are in the topic, and can read what is said there. */
  secret?: string | BufferSource | undefined;
}

/** What a handler of calls learns besides the argument. */
export interface CallContext {
  /** Who calls: a persona's id. */
  from: string;
  /** Aborted when the caller doesn't wait any longer. */
  signal: AbortSignal;
}

/** How a connection of the site's own is to be driven. */
export interface SignalOptions extends Limits {
  /** Which connection, where there are several with the same peer: the same at both ends, at most 40 characters. */
  label?: string | undefined;
}

/** What may be told to end. */
export interface Abortable {
  /** Ends it. */
  signal?: AbortSignal | undefined;
}

/** How something is served. */
export interface Serving extends Abortable {
  /**
   * Whether a peer that the handler accepts may know the network addresses of this browser, and is connected directly: yes, unless told
   * otherwise. Else peers that are strangers to the site are served over the server.
   */
  direct?: boolean | undefined;
}

export interface BittersNode extends AsyncDisposable {
  addEventListener(type: "scope", listener: ((event: CustomEvent<Scope>) => void) | null, options?: AddEventListenerOptions | boolean): void;
  addEventListener(type: "identity", listener: ((event: CustomEvent<string>) => void) | null, options?: AddEventListenerOptions | boolean): void;
  addEventListener(type: "back" | "gone", listener: ((event: Event) => void) | null, options?: AddEventListenerOptions | boolean): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: AddEventListenerOptions | boolean): void;
  removeEventListener(type: "scope", listener: ((event: CustomEvent<Scope>) => void) | null, options?: EventListenerOptions | boolean): void;
  removeEventListener(type: "identity", listener: ((event: CustomEvent<string>) => void) | null, options?: EventListenerOptions | boolean): void;
  removeEventListener(type: "back" | "gone", listener: ((event: Event) => void) | null, options?: EventListenerOptions | boolean): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: EventListenerOptions | boolean): void;
}

/**
 * The person's node, as this site has it. Event `scope`: how much it covers changed; `identity`: its id had to change with that. `gone`: the
 * page took the iframe away, and the SDK doesn't put it back; `back`: it runs again.
 */
export class BittersNode extends EventTarget {
  /** Whose software answers. */
  declare readonly origin: string;
  /** This site's persona: 52 characters of z-base-32, the same on every visit and another on every other site. */
  declare readonly id: string;
  /** The node software's version. */
  declare readonly version: string;
  /** Whether this is one node for all sites of the browser or one for this site. */
  declare readonly scope: Scope;
  readonly #port: Port;
  readonly #close: () => void;
  readonly #revive: (badge?: Badge) => void;

  /** @internal */
  constructor(port: Port, origin: string, close: () => void, revive: (badge?: Badge) => void) {
    super();
    this.#port = port;
    this.origin = origin;
    this.#close = close;
    this.#revive = revive;
    // Not a method of the class: where the symbol is a polyfill's, it may have come after this module.
    if (Symbol.asyncDispose) this[Symbol.asyncDispose] = () => this.close();
  }

  /** The node now, as this site may see it. */
  status(limits: Limits = {}): Promise<Status> {
    return this.#ask("status", limits);
  }

  /** Statuses: one now, one after each change. A slow reader gets the latest. */
  watch({ signal }: Abortable = {}): AsyncIterable<Status> {
    const watch = (): Queue<Status> => {
      const statuses: Queue<Status> = new Queue(() => talk.cancel());
      const failed = (error: BittersError): void => statuses.end(error);
      const talk: Talk<void> = this.#lasting("watch", { signal, bound: true }, (talk) => {
        talk.listener = { failed, status: (status) => statuses.replace(status) };
      });
      talk.answer.catch(failed);
      return statuses;
    };
    return { [Symbol.asyncIterator]: watch };
  }

  /**
   * Asks the person, by the badge, for one node across all sites; resolves with the scope that came of it. They may take their time:
   * no timeout unless told otherwise.
   *
   * @throws `Denied` where they say no.
   */
  unify(limits: Limits = {}): Promise<Scope> {
    return this.#ask("scope", { ...limits, timeout: limits.timeout ?? Infinity }, "unify");
  }

  /** An address of this persona, to give to anyone: who has it can dial without having met this node. It is good for months. */
  address(limits: Limits = {}): Promise<string> {
    return this.#ask("address", limits);
  }

  /** Connects to a persona, by its id or an address of it; resolves with its id. */
  async dial(where: string, limits: Limits = {}): Promise<string> {
    return this.#ask("peer", limits, { dial: { to: whereOf(where) } });
  }

  /** Ends all streams, calls and links with a peer, in all of the site's pages. Either end may dial the other again. */
  async hangUp(peer: string, limits: Limits = {}): Promise<void> {
    return this.#ask("done", limits, { hangUp: { peer: peerOf(peer) } });
  }

  /** Joins a topic. The limits are those of joining: to go, `leave()`. */
  async join<T = Received>(name: string, { secret, ...limits }: JoinOptions = {}): Promise<Topic<T>> {
    const join = { name: nameOf(name) };
    const ask = secret === undefined ? { join } : { joinSecret: { ...join, secret: toWire(secret) } };
    return this.#lasting<Topic<T>>(ask, limits, (talk) => new Topic<T>(this.#port, talk, name)).answer;
  }

  /** Opens a stream to a peer that serves the protocol. The limits are those of opening: to end it, `abort()` it. */
  async open(peer: string, protocol: string, limits: Limits = {}): Promise<Stream> {
    const ask = { open: { peer: peerOf(peer), protocol: nameOf(protocol) } };
    const talk = this.#lasting<Stream>(ask, { ...limits, again: false }, (talk) => streamOf(talk, peer, protocol));
    talk.farewell = { reset: { reason: "given up" } };
    return talk.answer;
  }

  /** Accepts streams until the signal is aborted; resolves when it does. A handler that throws aborts its stream. */
  serve(protocol: string, handler: (stream: Stream) => unknown, { signal, direct }: Serving = {}): Promise<void> {
    return this.#serving(() => ({ serve: { protocol: nameOf(protocol), direct } }), signal, {
      incomingStream: async ({ stream: id, peer }) => {
        const stream = streamOf(this.#port.adopt(id), peer, protocol);
        try {
          await handler(stream);
        } catch (error) {
          stream.abort(error);
        }
      },
    });
  }

  /** Calls a method of a peer's; at most 256 KiB each way. */
  async call<T = Received>(peer: string, method: string, data: Data, { idempotent = false, ...limits }: CallOptions = {}): Promise<T> {
    let executed: Executed = "no";
    try {
      const call = { peer: peerOf(peer), method: nameOf(method), data: toWire(data), idempotent };
      const ask = (timeout: number): Ask => {
        executed = "unknown";
        return { call: { ...call, timeout } };
      };
      return await this.#port.begin(ask, ["reply"], { ...limits, again: idempotent }, (reply) => {
        executed = "yes";
        return fromWire(reply) as T;
      }).answer;
    } catch (error) {
      throw ofCall(error, executed);
    }
  }

  /**
   * Answers calls until the signal is aborted; resolves when it does. What the handler returns is the result (nothing is
   * `null`), what it throws is told to the caller.
   */
  answer<T = Received>(
    method: string,
    handler: (data: T, context: CallContext) => Data | void | Promise<Data | void>,
    { signal, direct }: Serving = {},
  ): Promise<void> {
    return this.#serving(() => ({ answer: { method: nameOf(method), direct } }), signal, {
      incomingCall: async ({ call, from, data }) => {
        const talk = this.#port.adopt(call);
        const caller = new AbortController();
        const failed = (error: BittersError): void => caller.abort(error);
        talk.listener = { cancelled: () => talk.fail(aborted(undefined)), failed };
        try {
          const result = await handler(fromWire(data) as T, { from, signal: caller.signal });
          talk.say({ reply: { outcome: { ok: toWire(result ?? null) } } });
        } catch (error) {
          talk.say({ reply: { outcome: { err: textOf(error) } } });
        }
        talk.over();
      },
    });
  }

  /** A proxy for a node author's own API: `await node.service("guestbook").sign("hello")`. */
  service<T extends { [M in keyof T]: (...args: any[]) => Returned } = Service>(name: string, limits: Limits = {}): T {
    return serviceOf(this.#port, name, limits) as unknown as T;
  }

  /**
   * Drives a connection of the site's own, with the node as signalling: perfect negotiation. The peer's site does the same, with
   * this site's id; then tracks and channels may be added at both ends, at any time.
   *
   * Resolves when both ends are there; waits for the other one until then, 15 s unless told otherwise. The signal ends the whole.
   */
  async signal(pc: RTCPeerConnection, peer: string, options: SignalOptions = {}): Promise<Signalling> {
    // It asks nothing: it is what limits a request, and ends with the node.
    const talk = this.#port.begin<never, never>(undefined, [], options, (never) => never);
    const loading = import("./signal.js").catch((cause) => {
      throw new BittersError("Unsupported", "no signal.js", { cause });
    });
    const signalling = loading.then(({ drive }) => drive({ node: this, pc, peer, options, talk, fault: BittersError }));
    return Promise.race([talk.answer, signalling]);
  }

  /**
   * Puts the iframe back into the page: where it was, or where its badge is to be from now on, as `connect` is told. Where the iframe is in the
   * page, it does nothing, or moves it, which loads it again.
   *
   * @throws `BadArgument` for what is no badge, `Closed`.
   */
  revive(badge?: Badge): void {
    this.#revive(badge);
  }

  /** Ends everything and takes the node out of the page. */
  async close(): Promise<void> {
    this.#close();
  }

  #ask(kind: "address", limits: Limits): Promise<string>;
  #ask(kind: "status", limits: Limits): Promise<Status>;
  #ask(kind: "done", limits: Limits, ask: Ask): Promise<undefined>;
  #ask(kind: "peer", limits: Limits, ask: Ask): Promise<string>;
  #ask(kind: "scope", limits: Limits, ask: Ask): Promise<Scope>;
  #ask(kind: "address" | "done" | "peer" | "scope" | "status", limits: Limits, ask = kind as Ask): Promise<Tells[typeof kind]> {
    return this.#port.begin(() => ask, [kind], { ...limits, again: true }, (value) => value).answer;
  }

  #lasting<T>(ask: Ask, terms: Terms, made: (talk: Talk<T>) => T): Talk<T> {
    return this.#port.begin(() => ask, ["done"], { again: true, ...terms, lasts: true }, (_, talk: Talk<T>) => made(talk));
  }

  #serving(ask: () => Ask, signal: AbortSignal | undefined, incoming: Omit<Talk["listener"], "failed">): Promise<void> {
    const begin = async (): Promise<void> =>
      this.#lasting<void>(ask(), { signal, bound: true }, (talk) => {
        talk.listener = { ...incoming, failed() {} };
      }).answer;
    const serving = begin();
    // Who stops serving need not await that it began.
    const forgive = (): Promise<void> => serving.catch(() => {});
    signal?.addEventListener("abort", forgive);
    if (signal?.aborted) forgive();
    return serving;
  }
}

/** The node learned about itself. */
export function update(node: BittersNode, news: Partial<SiteWelcome>): void {
  const { id, scope } = node;
  Object.assign(node, news);
  if (node.scope != scope) tellOf(node, "scope", node.scope);
  if (node.id != id) tellOf(node, "identity", node.id);
}
