// Pages that the browser hides, and whose timers it throttles.
import type { BrowserContext, CDPSession, Frame, Page } from "@playwright/test";

import { expect } from "./test.ts";

declare global {
  /** Whether timers that are set from now on wait for the next minute. */
  var rare: boolean;
}

/** Runs in every page and frame before anything else: timers can become rare, as those of pages become that were hidden for minutes. */
export const RARE = `{
  const { setInterval, setTimeout } = globalThis;
  const late = (delay) => (globalThis.rare ? 60_000 - (Date.now() % 60_000) : 0) + (delay ?? 0);
  globalThis.setInterval = (act, delay, ...args) => setInterval(act, late(delay), ...args);
  globalThis.setTimeout = (act, delay, ...args) => setTimeout(act, late(delay), ...args);
}`;

/** Makes the timers of all pages and frames of a browser that was opened with `RARE` rare. */
export async function makeRare(browser: BrowserContext): Promise<void> {
  const frames = browser.pages().flatMap((page) => page.frames());
  await Promise.all(frames.map((frame) => frame.evaluate(() => void (globalThis.rare = true))));
}

/** Playwright's own session keeps every page visible, which no other session can undo: so this reaches into Playwright. */
export async function letHide(page: Page): Promise<void> {
  const { delegate } = (page as unknown as Inner)._connection.toImpl(page);
  await delegate._mainFrameSession._client.send("Emulation.setFocusEmulationEnabled", { enabled: false });
}

/** Hides pages behind a new one of their browser's, which throttles: timers there, and in their frames, fire once a second. */
export async function hide(browser: BrowserContext, ...pages: Page[]): Promise<void> {
  await (await browser.newPage()).bringToFront();
  for (const page of pages) await letHide(page);
  const frames = pages.flatMap((page) => page.frames());
  await expect.poll(() => Promise.all(frames.map(isThrottled))).toEqual(frames.map(() => true));
}

/** Whether it is hidden, and its timers fire once a second only. */
const isThrottled = (frame: Frame): Promise<boolean> =>
  frame.evaluate(async () => {
    const wait = (): Promise<number> => new Promise((resolve) => setTimeout(() => resolve(performance.now()), 10));
    // The first one comes at the end of a second.
    const began = await wait();
    return (await wait()) - began > 800 && document.hidden;
  });

/** A page of Playwright's, from inside. */
interface Inner {
  readonly _connection: { toImpl(page: Page): { delegate: { _mainFrameSession: { _client: CDPSession } } } };
}
