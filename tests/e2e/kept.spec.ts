// Kept for offline use: with every server of the node gone, what was visited boots, and what wasn't says that it can't.
import type { BrowserContext, Page } from "@playwright/test";

import { ownPage, works } from "./support/alive.ts";
import { Home } from "./support/browsers.ts";
import { kept, keptFor } from "./support/kept.ts";
import { Server } from "./support/server.ts";
import { bringSdk, expect, idOf, statusOf, test as base } from "./support/test.ts";

/** `server` has the sites and the SDK, and lives; `away` has the node, and goes. */
const test = base.extend<{ away: Server; embed: (browser: BrowserContext, site: string, node?: string) => Promise<Page> }>({
  away: async ({ server }, use) => {
    const away = await Server.start(observed(server));
    await use(away);
    await away.stop();
  },
  embed: async ({ server, away }, use) => {
    await use((browser, site, node = away.node) => embed(browser, server, site, node));
  },
});

const scopeOf = (page: Page): Promise<string> => page.evaluate(() => window.mine.scope);

for (const thirdPartyCookies of ["allowed", "blocked"] as const) {
  test(`a visited site's node boots without its servers, in new tabs and after a restart (third-party cookies ${thirdPartyCookies})`, async ({ embed, away }) => {
    await using home = await Home.make();
    const first = await home.open({ thirdPartyCookies });
    // A worker that sites share is opened by the node's own page, or through it.
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
    expect((await statusOf(b)).warnings).toEqual(["no rendezvous is reachable; trying again"]);
    await first.close();

    const second = await home.open({ thirdPartyCookies });
    const d = await embed(second, "a");
    expect([await idOf(d), await scopeOf(d)]).toEqual([id, scope]);
    await ownPage(second, away);
    await second.close();
  });
}

async function embed(browser: BrowserContext, server: Server, site: string, node: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(server.url(site));
  await bringSdk(page, server);
  await page.evaluate(async (node) => {
    window.mine = await window.sdk.connect({ node });
  }, node);
  return page;
}

/** The sites of a server may see the whole node of another. */
function observed(server: Server): string[] {
  return ["a", "b"].flatMap((site) => ["--observe", server.url(site).slice(0, -1)]);
}

