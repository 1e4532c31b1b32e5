// A topology as it runs: a server, browsers, and two tabs that are connected.
import { rejoin, scopeBecomes, unify } from "../support/consent.ts";
import { ownAddress } from "../support/machine.ts";
import { Server, type SITES } from "../support/server.ts";
import { connect, type Driven, type Tab, visit } from "../support/tab.ts";
import type { Topology } from "./topologies.ts";

/** One of the two ends. */
export type End = "a" | "b";

/** What tab is opened, if it isn't one that is connected from the end's own site to the server's node. */
export interface How {
  readonly site?: (typeof SITES)[number];
  readonly node?: string;
  readonly connected?: boolean;
  /** What its page says of being seen: links go to visible frames first. */
  readonly seems?: "hidden" | "visible";
}

declare global {
  interface Window {
    /** The value of a promise, or the code of the `BittersError` that it rejects with, and of a call whether it was executed. */
    codeOf(work: () => unknown): Promise<unknown>;
    /** What happened, as a test notes it. */
    log: unknown[];
  }
}

export class World {
  readonly topology: Topology;
  readonly server: Server;
  readonly #browsers: readonly Driven[];
  readonly #ends = new Map<End, Tab>();
  /** The node's own pages by which tabs reach the node of all sites. */
  readonly #ways = new Map<Tab, Tab>();
  /** The tabs that reached it so, and for which site and node the person said yes. */
  readonly #joined = new Map<Tab, string>();

  private constructor(topology: Topology, server: Server, browsers: readonly Driven[]) {
    this.topology = topology;
    this.server = server;
    this.#browsers = browsers;
  }

  static async start(topology: Topology): Promise<World> {
    const own = ownAddress();
    // Firefox sends nothing to a proxy of the loopback's.
    const server = await Server.start(own === undefined ? [] : ["--udp", `${own}:0`]);
    const opened = await Promise.allSettled(topology.browsers.map((open, place) => open(place)));
    const world = new World(topology, server, opened.filter((one) => one.status === "fulfilled").map(({ value }) => value));
    try {
      for (const one of opened) if (one.status === "rejected") throw one.reason;
      for (const end of ["a", "b"] as const) world.#ends.set(end, await world.open(end));
      return world;
    } catch (error) {
      await world.end();
      throw error;
    }
  }

  get a(): Tab {
    return this.#end("a");
  }

  get b(): Tab {
    return this.#end("b");
  }

  /** How many frames the first end's node has when no more tabs are open. */
  get frames(): number {
    return (this.#browsers.length === 1 ? 2 : 1) + this.#ways.size;
  }

  /** Opens one more tab at an end. */
  async open(end: End, how: How = {}): Promise<Tab> {
    const { connected = true, node = this.server.node, seems, site = this.topology.sites[end === "a" ? 0 : 1] } = how;
    const browser = this.#browser(end);
    const init = seems && `Object.defineProperty(Document.prototype, "hidden", { get: () => ${seems === "hidden"} });`;
    const tab = await (connected ? connect(browser, this.server, site, node, init) : visit(browser, this.server, site, init));
    await tab.evaluate(teachCodeOf);
    // Only the first browser asks, where there are two.
    if (connected && browser === this.#browsers[0] && this.topology.consent.length > 0) await this.#join(tab, node, site);
    return tab;
  }

  /** Opens the node's own page at an end. */
  visit(end: End, node: string): Promise<Tab> {
    return this.#browser(end).visit(node);
  }

  /** The person closes the node's own pages by which tabs reach the node of all sites. */
  async closeWays(): Promise<void> {
    await Promise.all([...this.#ways.values()].map((way) => way.close()));
    this.#ways.clear();
  }

  /** Closes a tab, and the way by which it came. */
  async close(tab: Tab): Promise<void> {
    await Promise.all([tab.close(), this.#ways.get(tab)?.close()]);
    this.#ways.delete(tab);
  }

  /** Whichever of them fails to, all end. */
  async end(): Promise<void> {
    try {
      await Promise.all(this.#browsers.map((browser) => browser.close()));
    } finally {
      await this.server.stop();
    }
  }

  /** Tabs follow others of their site that have the node of all sites; the first one must ask for it where the browser doesn't give it. */
  async #join(tab: Tab, node: string, site: string): Promise<void> {
    const { consent, scope } = this.topology;
    const asked = `${site} at ${node}`;
    const others = [...this.#joined].filter(([, joined]) => joined === asked);
    this.#joined.set(tab, asked);
    if (others.some(([other]) => !other.isClosed)) await scopeBecomes(tab, scope);
    else this.#ways.set(tab, await (others.length > 0 ? rejoin(tab, node, consent) : unify(tab, node, consent)));
  }

  #browser(end: End): Driven {
    const browser = this.#browsers[end === "a" ? 0 : this.#browsers.length - 1];
    if (!browser) throw new Error("a topology has a browser");
    return browser;
  }

  #end(end: End): Tab {
    const tab = this.#ends.get(end);
    if (!tab) throw new Error("the world is just being made");
    return tab;
  }
}

/** Gives a page `window.codeOf`. */
function teachCodeOf(): void {
  window.codeOf = async (work) => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof window.sdk.BittersError)) return String(error);
      return error.code + (error.executed ? ` ${error.executed}` : "");
    }
  };
}
