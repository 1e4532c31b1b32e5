// What every test has: a server of its own, browsers, and sites that are connected to the node.
import { test as base, type BrowserContext, expect as expected, type Page } from "@playwright/test";
import type * as sdk from "@bitters/host-sdk";

import { open, type Profile } from "./browsers.ts";
import { closeAll } from "./running.ts";
import type { Scripted } from "./scripted.ts";
import { Server } from "./server.ts";
import { bringSdk, enlist } from "./tab.ts";

declare global {
  interface Window {
    /** The SDK, once a site is open. */
    sdk: typeof sdk;
    /** The site's node, once it is connected. */
    mine: sdk.BittersNode;
  }
}

interface Fixtures {
  readonly server: Server;
  /** Opens a browser with a profile of its own; closed after the test. */
  readonly browse: (profile?: Profile) => Promise<BrowserContext>;
  /** Opens a site in a new tab and brings the SDK in, without connecting. */
  readonly visit: (browser: BrowserContext, site: string, path?: string) => Promise<Page>;
  /** Opens a site in a new tab and connects it to the node. */
  readonly connect: (browser: BrowserContext, site: string, node?: string) => Promise<Page>;
}

/** Browsers that tests share end with the process that runs the tests. */
export const shared = base.extend<object, { readonly browsers: void }>({
  browsers: [
    async ({}, use) => {
      await use();
      await closeAll();
    },
    { auto: true, scope: "worker" },
  ],
});

export const test = shared.extend<Fixtures>({
  server: async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.stop();
  },
  browse: async ({}, use) => {
    const opening: Promise<BrowserContext>[] = [];
    await use((profile) => {
      const browser = open(profile, opening.length);
      opening.push(browser);
      return browser;
    });
    await Promise.all(opening.map(async (browser) => (await browser).close()));
  },
  visit: async ({ server }, use) => {
    await use(async (browser, site, path) => {
      const page = await browser.newPage();
      await page.goto(server.url(site, path));
      await bringSdk(page, server);
      return page;
    });
  },
  connect: async ({ server, visit }, use) => {
    await use(async (browser, site, node = server.node) => {
      const page = await visit(browser, site);
      await enlist(page, node);
      return page;
    });
  },
});

/** The site's id on its node. */
export const idOf = (page: Scripted): Promise<string> => page.evaluate(() => window.mine.id);

/** The whole node, as an observer sees it. */
export const statusOf = (page: Scripted): Promise<sdk.Status> => page.evaluate(() => window.mine.status());

/** Milliseconds between looks: mostly something is waited for that takes some milliseconds. The last one is repeated. */
const INTERVALS = [10, 20, 40, 80];

/** Playwright's, but that it looks more often than after 100, 350, 850 and 1850 ms. */
export const expect = new Proxy(expected, {
  get: (target, name) => (name === "poll" ? poll : Reflect.get(target, name)),
});

const poll: typeof expected.poll = (actual, options) =>
  expected.poll(actual, { intervals: INTERVALS, ...(typeof options === "string" ? { message: options } : options) });

export { bringSdk } from "./tab.ts";
