// From `connect()` to the node's id: on a first visit, on later ones, and without the node's server; and what that server sends for each.
// The site and the SDK come from another server, and are loaded before the clock starts.
import type { BrowserContext, Page } from "@playwright/test";

import { ownPage } from "../e2e/support/alive.ts";
import { Home } from "../e2e/support/browsers.ts";
import { kept, keptFor } from "../e2e/support/kept.ts";
import { Metrics } from "../e2e/support/metrics.ts";
import { Server } from "../e2e/support/server.ts";
import { bringSdk } from "../e2e/support/test.ts";
import { Workers } from "../e2e/support/workers.ts";
import { expect, test } from "./support/bench.ts";
import { median, report, reportSpread } from "./support/measure.ts";

const ROUNDS = 10;

const VISITS = {
  first: "first visit",
  again: "another tab, the node runs",
  later: "later visit, the node has ended",
  restart: "after the browser's restart",
  offline: "after its restart, offline",
} as const;

type Visit = keyof typeof VISITS;

test.setTimeout(20 * 60_000);

test("visits", async ({ server }) => {
  const took: Record<Visit, number[]> = { first: [], again: [], later: [], restart: [], offline: [] };
  const sent: Record<Visit | "kept", number[]> = { first: [], again: [], later: [], restart: [], offline: [], kept: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const metrics = await Metrics.free();
    const away = await Server.start(metrics.extra);
    // Whatever fails, it goes.
    await using _gone = { [Symbol.asyncDispose]: () => away.stop() };
    await using home = await Home.make();
    const visit = async (browser: BrowserContext, what: Visit): Promise<Page> => {
      const page = await browser.newPage();
      await page.goto(server.url("a"));
      await bringSdk(page, server);
      const before = what === "offline" ? 0 : await bytesOf(metrics);
      took[what].push(await connected(page, away.node));
      sent[what].push(what === "offline" ? 0 : (await bytesOf(metrics)) - before);
      return page;
    };

    const browser = await home.open();
    const page = await visit(browser, "first");
    const before = await bytesOf(metrics);
    await keptFor(page, away);
    sent.kept.push((await bytesOf(metrics)) - before);
    await visit(browser, "again");
    // The worker that sites share is kept by the node's own page.
    await kept(await ownPage(browser, away));
    await end(browser);
    await visit(browser, "later");
    await browser.close();

    const next = await home.open();
    await visit(next, "restart");
    await next.close();

    await away.stop();
    const last = await home.open();
    await visit(last, "offline");
    await last.close();
  }

  for (const [visit, what] of Object.entries(VISITS) as [Visit, string][]) {
    reportSpread(`connect() to id, ${what}; baseline a first visit`, took[visit], visit === "first" ? {} : { baseline: took.first });
    report({ what: `sent by the node's server, ${what}`, unit: "KiB", ours: median(sent[visit]) / 1024 });
  }
  report({ what: "sent by the node's server, to keep it after a first visit", unit: "KiB", ours: median(sent.kept) / 1024 });
});

/** Closes all pages, and returns when the node has ended with them. */
async function end(browser: BrowserContext): Promise<void> {
  const workers = await Workers.of(browser);
  const pages = browser.pages();
  // The browser would end with its last page.
  await browser.newPage();
  await Promise.all(pages.map((page) => page.close()));
  await expect.poll(() => workers.running()).toEqual([]);
}

const bytesOf = async (metrics: Metrics): Promise<number> => (await metrics.read()).sum("sent_bytes");

/** Milliseconds until the site has its id. */
const connected = (page: Page, node: string): Promise<number> =>
  page.evaluate(async (node) => {
    const began = performance.now();
    window.mine = await window.sdk.connect({ node });
    return performance.now() - began;
  }, node);
