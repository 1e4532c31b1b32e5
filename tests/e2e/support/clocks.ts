// Browsers whose clock is set while they run.
import type { BrowserContext, Page } from "@playwright/test";

import { expect } from "./test.ts";
import { Workers } from "./workers.ts";

declare global {
  /** The time of day, where it can be set. */
  var clock: {
    /** Milliseconds that it is ahead. */
    ahead: number;
    /** How often it was read. */
    reads: number;
  };
}

/** Runs in every page and frame before anything else, and in workers when they are first set. */
export const SETTABLE = `if (!("clock" in globalThis)) {
  const { now } = Date;
  globalThis.clock = { ahead: 0, reads: 0 };
  globalThis.Date = class extends Date {
    constructor(...args) {
      super(...(args.length > 0 ? args : [Date.now()]));
    }
    static now() {
      clock.reads += 1;
      return now() + clock.ahead;
    }
  };
}`;

/** Sets the clock of a browser, in its frames and its leader; returns when the leader has read it. One of the browser's pages helps. */
export async function setClock(browser: BrowserContext, page: Page, ahead: number): Promise<void> {
  const workers = await Workers.of(browser);
  const [leader] = await workers.running();
  const inLeader = (script: string): Promise<unknown> => workers.evaluate(leader as string, script);
  const frames = browser.pages().flatMap((page) => page.frames());
  await Promise.all(frames.map((frame) => frame.evaluate((ahead) => void (clock.ahead = ahead), ahead)));
  await inLeader(`${SETTABLE} Object.assign(clock, { ahead: ${ahead}, reads: 0 })`);
  // The leader reads it when its timer fires: to tell a status again so soon takes one.
  const reads = async (): Promise<unknown> => {
    await page.evaluate(changeStatus);
    return inLeader("clock.reads");
  };
  await expect.poll(reads, { message: "the leader reads the clock" }).toBeGreaterThan(0);
}

/** Changes the status under two watching eyes, twice. Runs in the page. */
async function changeStatus(): Promise<void> {
  const ended = new AbortController();
  const watching = window.mine.watch({ signal: ended.signal })[Symbol.asyncIterator]();
  await watching.next();
  const topic = await window.mine.join("a change of status");
  await watching.next();
  topic.leave();
  await watching.next();
  ended.abort();
}
