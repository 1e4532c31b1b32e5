// What the contract's tests have: two tabs that are connected, which all tests of a topology share, or a world of their own, whose tabs they
// may close.
import type { Server } from "../support/server.ts";
import type { Tab } from "../support/tab.ts";
import { shared } from "../support/test.ts";
import { TOPOLOGIES, type Topology } from "./topologies.ts";
import { type End, type How, World } from "./world.ts";

interface Place {
  /** The topology's name, as the project says. */
  readonly topology: string;
  readonly here: Topology;
}

interface Shared extends Place {
  readonly world: World;
}

interface Fixtures {
  /** Browsers and a server of the test's own. */
  readonly own: World;
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

export const test = shared.extend<Fixtures, Shared>({
  topology: ["", { option: true, scope: "worker" }],
  here: [
    async ({ topology }, use) => {
      const found = TOPOLOGIES.find(({ name }) => name === topology);
      if (!found) throw new Error(`no topology has the name ${topology}`);
      shared.skip(found.missing !== undefined, found.missing);
      await use(found);
    },
    { scope: "worker" },
  ],
  world: [
    async ({ here }, use) => {
      const world = await World.start(here);
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
  server: ({ world }, use) => use(world.server),
  a: ({ world }, use) => use(world.a),
  b: ({ world }, use) => use(world.b),
  frames: ({ world }, use) => use(world.frames),
  more: async ({ world }, use) => {
    const opened: Tab[] = [];
    await use(async (end, how) => {
      const tab = await world.open(end, how);
      opened.push(tab);
      return tab;
    });
    await Promise.all(opened.map((tab) => world.close(tab)));
  },
});

export { expect } from "../support/test.ts";

/** How long a tab that closes may still be counted. Where its last word is lost no lock tells over a bridge, and the leader asks in vain for 15 s. */
export const missed = ({ consent }: Topology): { timeout: number } => ({ timeout: consent.length > 0 ? 20_000 : 10_000 });

/** Waits for a status with so many frames, as who may see the whole node is told. */
export function framesBecome(tab: Tab, count: number): Promise<void> {
  return tab.evaluate(async (count) => {
    for await (const { frames } of window.mine.watch()) if (frames.length === count) return;
  }, count);
}
