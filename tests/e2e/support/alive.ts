// Whether a node works, and how its pages and frames are reached.
import type { BrowserContext, Frame, Locator, Page } from "@playwright/test";

import { enter, heard, say } from "./room.ts";
import type { Server } from "./server.ts";
import { expect } from "./test.ts";

/** Whoever serves a node, and the node's origin. */
export type Hosted = Pick<Server, "node">;

let rooms = 0;

/** The node goes on: in a new topic each of the pages hears the others. */
export async function works(...pages: Page[]): Promise<void> {
  const name = `alive ${++rooms}`;
  await Promise.all(pages.map((page) => enter(page, name)));
  for (const [at, page] of pages.entries()) await say(page, name, at);
  for (const [at, page] of pages.entries()) {
    const others = [...pages.keys()].filter((other) => other !== at);
    const said = async (): Promise<unknown[]> => (await heard(page, name)).map(({ data }) => data).toSorted();
    await expect.poll(said, { message: `what ${page.url()} hears` }).toEqual(others);
  }
}

/** Opens the node's own page and waits until it runs. */
export async function ownPage(browser: BrowserContext, { node }: Hosted): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(node);
  await page.locator("html[data-state=ready]").waitFor();
  return page;
}

/** Clicks on something of the node's own page, once the page was in sight for a moment with the pointer over it. */
export async function tick(control: Locator): Promise<void> {
  await control.hover();
  await control.page().locator("html[data-still=open]").waitFor();
  await control.click();
}

/** Opens a document of the node's origin, in the first-party partition, in which none of our code runs. */
export async function quietPage(browser: BrowserContext, { node }: Hosted): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`${node}/icon.svg`);
  return page;
}

/** The node's iframe in a site. */
export function frameOf(page: Page, { node }: Hosted): Frame {
  const frame = page.frames().find((frame) => frame.url().startsWith(node));
  if (!frame) throw new Error(`no frame of the node in ${page.url()}`);
  return frame;
}
