// What every test has: a server of its own, browsers, and sites that are connected to the node.
import { test as base, type BrowserContext, type Page } from "@playwright/test";
import type * as sdk from "@bitters/host-sdk";

import { open, type Profile } from "./browsers.ts";
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

export const test = base.extend<Fixtures>({
  server: async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.stop();
  },
  browse: async ({}, use) => {
    const open_: BrowserContext[] = [];
    await use(async (profile) => {
      const browser = await open(profile);
      open_.push(browser);
      return browser;
    });
    await Promise.all(open_.map((browser) => browser.close()));
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

export { bringSdk } from "./tab.ts";
export { expect } from "@playwright/test";
