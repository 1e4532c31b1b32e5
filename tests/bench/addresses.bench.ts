// From `dial()` to an open link: by an address, without signalling; by the id of an acquaintance, with two messages through the rendezvous; and by
// the id of a stranger, who is asked for its door; and a first call to an acquaintance, which doesn't wait for the link. With all beside each other;
// with the server 50 ms away from the browsers; and with all three 50 ms away from each other.
import type { BrowserContext, Page } from "@playwright/test";

import { Metrics } from "../e2e/support/metrics.ts";
import { Quiet } from "../e2e/support/quiet.ts";
import { Server } from "../e2e/support/server.ts";
import { Apart } from "./support/apart.ts";
import { expect, idOf, test } from "./support/bench.ts";
import { Far } from "./support/far.ts";
import { median, report, reportSpread } from "./support/measure.ts";

const ROUNDS = 20;
/** Milliseconds each way. */
const DELAY = 50;

/** By an id the dialler's node has registered with the server before. A stranger is an acquaintance once it answered a call. */
const WAYS = ["address", "stranger", "acquaintance", "call"] as const;

type Way = (typeof WAYS)[number];

const ADDRESS_LAST: readonly Way[] = ["stranger", "call", "acquaintance", "address"];

/** Milliseconds from `dial()`; to a direct path where there is a reason for one. */
interface Taken {
  readonly open: number;
  readonly direct: number | undefined;
}

test.setTimeout(30 * 60_000);

test("dialling an address, an acquaintance and a stranger", async ({ browse }) => {
  const near = await measure(browse, 0);
  const far = await measure(browse, DELAY);
  const apart = await measure(browse, DELAY, new Apart(DELAY));

  for (const [where, taken] of [["beside", near], [`${DELAY} ms away`, far], [`and peer ${DELAY} ms away`, apart]] as const) {
    const opened = (way: Way): number[] => taken[way].map(({ open }) => open);
    reportSpread(`by address to an open link, server ${where}; baseline an acquaintance's id`, opened("address"), { baseline: opened("acquaintance") });
    reportSpread(`by a stranger's id to an open link, server ${where}; baseline an address`, opened("stranger"), { baseline: opened("address") });
    report({ what: `first call to an acquaintance, server ${where}; baseline a link to it`, unit: "ms", baseline: median(opened("acquaintance")), ours: median(opened("call")), goal: { atMost: 0.5 } });
    for (const way of ["address", "acquaintance"] as const)
      reportSpread(`by ${way} to a direct path, server ${where}`, taken[way].flatMap(({ direct }) => direct ?? []));
  }
  // What the server's distance adds, in round trips to it.
  const trips = (way: Way): number => (median(far[way].map(({ open }) => open)) - median(near[way].map(({ open }) => open))) / (2 * DELAY);
  report({ what: "round trips to the server until the link is open; baseline an acquaintance's id", unit: "", baseline: trips("acquaintance"), ours: trips("address"), goal: { atMost: 1 } });
});

type Browse = Parameters<Parameters<typeof test>[2]>[0]["browse"];

/** Dials both ways in turn, from a new browser each round. */
async function measure(browse: Browse, delay: number, between?: Apart): Promise<Record<Way, Taken[]>> {
  const [quiet, metrics, far] = [await Quiet.make(), await Metrics.free(), await Far.listen(delay)];
  const server = await Server.start([...quiet.extra, ...metrics.extra, ...far.extra]);
  far.to(server.port);
  const open = async (): Promise<BrowserContext> => {
    const browser = await browse();
    await between?.part(browser);
    return browser;
  };
  const listening = await open();
  const a = await connect(await listening.newPage(), far, "a", "node");
  const [id, address] = [await idOf(a), await a.evaluate(() => window.mine.address())];
  await a.evaluate(() => void window.mine.answer("hello", () => "hello"));

  const taken: Record<Way, Taken[]> = { address: [], stranger: [], acquaintance: [], call: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    // Two nodes that share nothing: the server's and the quiet one are of two origins.
    const browser = await open();
    for (const way of round % 2 === 0 ? WAYS : ADDRESS_LAST) {
      const b = await connect(await browser.newPage(), far, "b", way === "address" ? "quiet" : "node");
      if (way !== "address") await expect.poll(async () => (await metrics.read()).sum("rendezvous_nodes")).toBe(2);
      taken[way].push(way === "call" ? await call(b, id) : await dial(b, way === "address" ? address : id, way !== "stranger"));
      if (way === "stranger") await b.evaluate((id) => window.mine.call(id, "hello", null), id);
      await b.close();
    }
    await browser.close();
    await expect.poll(async () => (await metrics.read()).sum("rendezvous_nodes")).toBe(1);
  }
  await listening.close();
  await server.stop();
  far.close();
  await between?.close();
  await quiet.remove();
  return taken;
}

async function connect(page: Page, far: Far, site: string, node: string): Promise<Page> {
  await page.goto(far.url(site));
  await page.evaluate(
    async ({ sdk, node }) => {
      window.sdk = await import(sdk);
      window.mine = await window.sdk.connect({ node });
    },
    { sdk: far.url("node", "/sdk/bitters.js"), node: far.url(node).slice(0, -1) },
  );
  return page;
}

function call(page: Page, id: string): Promise<Taken> {
  return page.evaluate(async (id) => {
    const began = performance.now();
    await window.mine.call(id, "hello", null);
    return { open: performance.now() - began, direct: undefined };
  }, id);
}

function dial(page: Page, where: string, hasReason: boolean): Promise<Taken> {
  return page.evaluate(
    async ({ where, hasReason }) => {
      const began = performance.now();
      await window.mine.dial(where);
      const open = performance.now() - began;
      if (!hasReason) return { open, direct: undefined };
      // A site may ask for a hundred statuses a second.
      while ((await window.mine.status()).peers[0]?.path !== "direct") await new Promise((resolve) => setTimeout(resolve, 10));
      return { open, direct: performance.now() - began };
    },
    { where, hasReason },
  );
}
