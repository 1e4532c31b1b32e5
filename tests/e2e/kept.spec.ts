// Kept for offline use: with every server of the node gone, what was visited boots, and what wasn't says that it can't.
import type { BrowserContext, Page } from "@playwright/test";

import { AgedSdk } from "./support/aged.ts";
import { ownPage, works } from "./support/alive.ts";
import { Home, crash } from "./support/browsers.ts";
import { addressOf } from "./support/dials.ts";
import { kept, keptFor } from "./support/kept.ts";
import { Quiet } from "./support/quiet.ts";
import { meet } from "./support/room.ts";
import { Server } from "./support/server.ts";
import { expect, idOf, statusOf, test as base } from "./support/test.ts";

interface Fixtures {
  /** Has the nodes, and goes; `server` has the sites and the SDK, and lives. */
  readonly away: Server;
  /** What `away` has as `quiet.localhost`. */
  readonly quiet: Quiet;
  /** Opens a site of `server`, and connects it to a node, by default the one that goes. */
  readonly embed: (browser: BrowserContext, site: string, node?: string) => Promise<Page>;
}

const test = base.extend<Fixtures>({
  quiet: async ({}, use) => {
    const quiet = await Quiet.make();
    await use(quiet);
    await quiet.remove();
  },
  away: async ({ server, quiet }, use) => {
    const observers = ["a", "b"].flatMap((site) => ["--observe", server.url(site).slice(0, -1)]);
    const away = await Server.start([...quiet.extra, ...observers]);
    await use(away);
    await away.stop();
  },
  embed: async ({ connect, away }, use) => {
    await use((browser, site, node = away.node) => connect(browser, site, node));
  },
});

const scopeOf = (page: Page): Promise<string> => page.evaluate(() => window.mine.scope);

for (const thirdPartyCookies of ["allowed", "blocked"] as const) {
  test(`a visited site's node boots without its servers, in new tabs and after a restart (third-party cookies ${thirdPartyCookies})`, async ({ embed, away }) => {
    await using home = await Home.make();
    const first = await home.open({ thirdPartyCookies });
    // The worker that all sites share is loaded by way of the node's own page's service worker.
    const own = await ownPage(first, away);
    await kept(own);
    const a = await embed(first, "a");
    await keptFor(a, away);
    const [id, scope] = [await idOf(a), await scopeOf(a)];
    expect(scope).toBe(thirdPartyCookies === "allowed" ? "browser" : "site");

    await away.stop();
    await own.close();
    await a.close();
    const [b, c] = [await embed(first, "a"), await embed(first, "a")];
    expect([await idOf(b), await scopeOf(b)]).toEqual([id, scope]);
    await works(b, c);
    // Neither its configuration nor its seeds are missing.
    const { seeds, warnings } = await statusOf(b);
    expect([seeds, warnings]).toEqual([1, ["no rendezvous is reachable; trying again"]]);
    await first.close();

    // Without what the browser's own cache may have.
    const second = await home.open({ thirdPartyCookies, args: ["--disk-cache-size=1"] });
    const d = await embed(second, "a");
    expect([await idOf(d), await scopeOf(d)]).toEqual([id, scope]);
    await ownPage(second, away);
    await second.close();
  });
}

test("the node's own page was never visited, so nothing has the worker that sites share: each site has a node of its own", async ({ browse, embed, away, server }) => {
  const browser = await browse({ thirdPartyCookies: "allowed" });
  await keptFor(await embed(browser, "a"), away);
  await Promise.all(browser.pages().map((page) => page.close()));

  await away.stop();
  const page = await browser.newPage();
  await page.goto(server.url("b"));
  await (await browser.newCDPSession(page)).send("Network.clearBrowserCache");
  const [a, b] = [await embed(browser, "a"), await embed(browser, "a")];
  expect(await Promise.all([a, b].map(scopeOf))).toEqual(["site", "site"]);
  await works(a, b);
});

test("without the SharedWorker a visited site's node boots without its servers, too", async ({ browse, embed, away }) => {
  const browser = await browse({ thirdPartyCookies: "blocked", init: "delete window.SharedWorker;" });
  const a = await embed(browser, "a");
  await keptFor(a, away);
  const id = await idOf(a);
  await away.stop();
  await a.close();

  const [b, c] = [await embed(browser, "a"), await embed(browser, "a")];
  expect([await idOf(b), (await statusOf(b)).leader?.kind]).toEqual([id, "dedicated"]);
  await works(b, c);
});

test("a site that has the SDK from the node's origin goes on without the servers, too: browsers start with the last that they had", async ({ browse, away, server }) => {
  const sdk = await AgedSdk.start(away);
  const browser = await browse({ thirdPartyCookies: "blocked" });
  const open = async (): Promise<Page> => {
    const page = await browser.newPage();
    await page.goto(server.url("a"));
    await page.evaluate(
      async ([sdk, node]) => {
        window.sdk = (await import(sdk)) as typeof window.sdk;
        window.mine = await window.sdk.connect({ node });
      },
      [sdk.url, away.node] as const,
    );
    return page;
  };
  const a = await open();
  await keptFor(a, away);
  const id = await idOf(a);
  await a.close();

  await Promise.all([sdk.stop(), away.stop()]);
  const b = await open();
  expect(await idOf(b)).toBe(id);
  await works(b, await open());
});

test("a node that is kept is told apart from one that isn't: a site that wasn't visited has none", async ({ browse, embed, away }) => {
  const browser = await browse({ thirdPartyCookies: "blocked" });
  await keptFor(await embed(browser, "a"), away);

  await away.stop();
  await embed(browser, "a");
  await expect(embed(browser, "b")).rejects.toThrow(/no node at/);
});

test("a cold start without its node's servers dials the address that it was shipped with, and meets whom it finds", async ({ browse, embed, away, server, quiet }) => {
  // Another person, whose node is elsewhere.
  const c = await embed(await browse(), "c", server.node);
  await quiet.seed([{ address: await addressOf(c) }]);
  await using home = await Home.make();
  const node = away.url("quiet").slice(0, -1);
  const first = await home.open({ thirdPartyCookies: "blocked" });
  const before = await embed(first, "a", node);
  await keptFor(before, { node });
  await expect.poll(() => pathsOf(before)).toEqual(["direct"]);
  // Nothing tells the other end, which holds the dead link when the browser comes back.
  await crash(first);

  await away.stop();
  const second = await home.open({ thirdPartyCookies: "blocked" });
  const a = await embed(second, "a", node);
  await expect.poll(() => pathsOf(a)).toEqual(["direct"]);
  await meet("found", a, c);
  await second.close();
});

/** By which ways a site's node is linked. */
async function pathsOf(page: Page): Promise<string[]> {
  return (await statusOf(page)).peers.map(({ path }) => path);
}
