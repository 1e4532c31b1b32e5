// What every test of the contract has: two tabs that are connected, which all tests of a topology share, and more where they want some.
import { test as base } from "@playwright/test";

import { unify } from "../support/consent.ts";
import { ownAddress } from "../support/machine.ts";
import { Server, type SITES } from "../support/server.ts";
import { connect, type Driven, type Tab, visit } from "../support/tab.ts";
import { TOPOLOGIES, type Topology } from "./topologies.ts";

/** One of the two ends. */
export type End = "a" | "b";

declare global {
  interface Window {
    /** The value of a promise, or the code of the `BittersError` that it rejects with, and of a call whether it was executed. */
    codeOf(work: () => unknown): Promise<unknown>;
    /** What happened, as a test notes it. */
    log: unknown[];
  }
}

interface WorkerFixtures {
  /** The topology's name, as the project says. */
  readonly topology: string;
  readonly world: World;
}

interface Fixtures {
  /** Browsers and a server of the test's own, whose tabs it may close. */
  readonly own: World;
  readonly here: Topology;
  readonly server: Server;
  /** One end's tab. Tests leave it connected, and name their topics, protocols and methods as no other does. */
  readonly a: Tab;
  /** The other end's. */
  readonly b: Tab;
  /** How many frames the first end's node has, when no more tabs are open. */
  readonly frames: number;
  /** Opens one more tab at an end; closed after the test. */
  readonly more: (end: End, how?: How) => Promise<Tab>;
}

/** What tab is opened, if it isn't one that is connected from the end's own site to the server's node. */
interface How {
  readonly site?: (typeof SITES)[number];
  readonly node?: string;
  readonly connected?: boolean;
  /** What its page says of being seen: links go to visible frames first. */
  readonly seems?: "hidden" | "visible";
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  topology: ["", { option: true, scope: "worker" }],
  world: [
    async ({ topology }, use) => {
      const found = TOPOLOGIES.find(({ name }) => name === topology);
      if (!found) throw new Error(`no topology has the name ${topology}`);
      base.skip(found.missing !== undefined, found.missing);
      const world = await World.start(found);
      await use(world);
      await world.end();
    },
    { scope: "worker", timeout: 60_000 },
  ],
  own: async ({ here }, use) => {
    const own = await World.start(here);
    await use(own);
    await own.end();
  },
  here: ({ world }, use) => use(world.topology),
  server: ({ world }, use) => use(world.server),
  a: ({ world }, use) => use(world.a),
  b: ({ world }, use) => use(world.b),
  frames: ({ here }, use) => use((here.browsers.length === 1 ? 2 : 1) + (here.consent.length > 0 ? 1 : 0)),
  more: async ({ world }, use) => {
    const opened: Tab[] = [];
    await use(async (end, how) => {
      const tab = await world.open(end, how);
      opened.push(tab);
      return tab;
    });
    await Promise.all(opened.map((tab) => tab.close()));
  },
});

export { expect } from "@playwright/test";

/** Waits for a status with so many frames, as who may see the whole node is told. */
export function framesBecome(tab: Tab, count: number): Promise<void> {
  return tab.evaluate(async (count) => {
    for await (const { frames } of window.mine.watch()) if (frames.length === count) return;
  }, count);
}

/** A topology's server and browsers. */
export class World {
  readonly topology: Topology;
  readonly server: Server;
  readonly #browsers: readonly Driven[];
  readonly #ends = new Map<End, Tab>();

  private constructor(topology: Topology, server: Server, browsers: readonly Driven[]) {
    this.topology = topology;
    this.server = server;
    this.#browsers = browsers;
  }

  static async start(topology: Topology): Promise<World> {
    const own = ownAddress();
    // Firefox sends nothing to a proxy of the loopback's.
    const server = await Server.start(own === undefined ? [] : ["--udp", `${own}:0`]);
    const browsers = await Promise.all(topology.browsers.map((open) => open()));
    const world = new World(topology, server, browsers);
    // What is shared over a bridge lives as long as one of the node's own pages.
    if (topology.consent.length > 0) await browsers[0]?.visit(server.node);
    for (const end of ["a", "b"] as const) world.#ends.set(end, await world.open(end));
    return world;
  }

  get a(): Tab {
    return this.#tab("a");
  }

  get b(): Tab {
    return this.#tab("b");
  }

  /** Opens one more tab at an end. */
  async open(end: End, how: How = {}): Promise<Tab> {
    const browser = this.#browsers[end === "a" ? 0 : this.#browsers.length - 1];
    const { connected = true, node = this.server.node, seems, site = this.topology.sites[end === "a" ? 0 : 1] } = how;
    const init = seems && `Object.defineProperty(Document.prototype, "hidden", { get: () => ${seems === "hidden"} });`;
    if (!browser) throw new Error("a topology has a browser");
    const { consent } = this.topology;
    const tab = await (connected ? connect(browser, this.server, site, node, init) : visit(browser, this.server, site, init));
    if (connected && consent.length > 0) await unify(tab, node, consent);
    await tab.evaluate(teachCodeOf);
    return tab;
  }

  /** Closes all. */
  async end(): Promise<void> {
    await Promise.all(this.#browsers.map((browser) => browser.close()));
    await this.server.stop();
  }

  #tab(end: End): Tab {
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
