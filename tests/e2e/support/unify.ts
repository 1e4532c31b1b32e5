// One node for all sites, as a person gets it where browsers keep sites apart: the badge, and the page of the node's own.
import type { BrowserContext, Frame, FrameLocator, Page } from "@playwright/test";

import { frameOf } from "./alive.ts";
import { counted, listen } from "./clicks.ts";
import type { Scripted } from "./scripted.ts";
import type { Server } from "./server.ts";

/** The badge in a site. */
export const badgeOf = (page: Page): FrameLocator => page.frameLocator('iframe[title="bitters node"]');

export const scopeOf = (page: Scripted): Promise<string> => page.evaluate(() => window.mine.scope);

/** A site asks for one node; what came of it, or the code of its error. */
export const unify = (page: Page): Promise<string> =>
  page.evaluate(() => window.mine.unify().catch(({ code, message }) => `${code}: ${message}`));

/** Clicks one of the badge's buttons, once clicks on it count. */
export async function click(page: Page, act: string, server: Server): Promise<void> {
  await page.bringToFront();
  await badgeOf(page).locator(`[data-act=${act}]:visible`).waitFor();
  await clickOpen(frameOf(page, server), `[data-act=${act}]`);
}

/**
 * A click counts after half a second in sight and under the pointer, by what the document itself measures; one that comes too early is made again.
 * Only after a click is a button that is gone an answer: before, the question may just be asked by another leader.
 */
export async function clickOpen(frame: Frame, selector: string): Promise<void> {
  const button = frame.locator(`${selector}:visible`);
  const isOpen = (): boolean => document.documentElement.dataset["guard"] === "open";
  const open = (): Promise<unknown> => button.hover().then(() => frame.waitForFunction(isOpen));
  await open();
  for (;;) {
    await frame.evaluate(listen);
    await button.click();
    // A frame that is gone was answered.
    if (await frame.evaluate(counted).catch(() => true)) return;
    // A click that counted leads to another question, or to none: that has other buttons.
    const gone = button.waitFor({ state: "hidden" }).then(() => false);
    const again = open().then(() => true);
    if (!(await Promise.race([again, gone].map((settled) => settled.catch(() => false))))) return;
  }
}

/** Opens the node's own page by a click on the badge, and returns it. */
export async function openPage(browser: BrowserContext, page: Page, act: string, server: Server): Promise<Page> {
  const opened = browser.waitForEvent("page");
  await click(page, act, server);
  const own = await opened;
  await own.locator("html[data-state=ready]").waitFor();
  return own;
}

/** Answers on the node's own page. */
export async function answer(own: Page, act: "allow" | "refuse"): Promise<void> {
  await own.bringToFront();
  await clickOpen(own.mainFrame(), `[data-act=${act}]`);
}
