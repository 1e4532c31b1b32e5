// Tabs whose frames carry a node's links, and the ways in which they die.
import type { BrowserContext, Page } from "@playwright/test";

import { letHide } from "./hidden.ts";
import type { Server } from "./server.ts";
import { takeAway } from "./taken.ts";

/** How a frame dies. */
export const DEATHS = ["closed", "crashed", "frozen", "navigated", "removed"] as const;
export type Death = (typeof DEATHS)[number];

/** A tab, and the node's frame in it. */
export interface Carrier {
  readonly page: Page;
  readonly frame: string;
}

/** Links go to visible frames first: those of these sites say that they are hidden, and have none while others can be had. */
export const aloof = (...sites: string[]): string =>
  `if (${JSON.stringify(sites)}.includes(new URL(location.ancestorOrigins[0] ?? "about:blank").hostname.split(".")[0]))
    Object.defineProperty(Document.prototype, "hidden", { get: () => true });`;

/** The carriers of one browser: as many as there were after each repair. */
export class Carriers {
  readonly #browser: BrowserContext;
  readonly #server: Server;
  readonly #open: (site: string) => Promise<Page>;
  readonly #seen = new Set<string>();
  readonly #alive = new Map<string, Carrier>();
  /** Pages that came back from the back/forward cache. */
  restored = 0;

  constructor(browser: BrowserContext, server: Server, connect: (browser: BrowserContext, site: string) => Promise<Page>) {
    this.#browser = browser;
    this.#server = server;
    this.#open = (site) => connect(browser, site);
  }

  /** The ids of their frames. */
  get frames(): string[] {
    return [...this.#alive.keys()];
  }

  /** Opens one more. */
  async add(): Promise<void> {
    await this.#enlist(await this.#open(this.#seen.size % 2 === 0 ? "b" : "c"));
  }

  /** The frame dies. What is returned undoes that, or opens another tab, so that there are as many as before. */
  async kill(frame: string, death: Death): Promise<() => Promise<void>> {
    const { page } = this.#alive.get(frame) ?? raise(`no carrier has the frame ${frame}`);
    this.#alive.delete(frame);
    const another = async (): Promise<void> => {
      await page.close();
      await this.add();
    };
    switch (death) {
      case "closed":
        await page.close();
        return () => this.add();
      case "crashed":
        await crash(this.#browser, page);
        return another;
      case "frozen": {
        const thaw = await freeze(this.#browser, page);
        return async () => {
          await thaw();
          await another();
        };
      }
      case "navigated":
        await page.goto(this.#server.url("bob", "/shared/style.css"));
        return () => this.#goBack(page);
      case "removed":
        await page.evaluate(takeAway);
        return another;
    }
  }

  /** Its site's frame that wasn't there before is its. */
  async #enlist(page: Page): Promise<void> {
    const frame = await page.evaluate(async (seen) => {
      for await (const { frames } of window.mine.watch()) {
        const mine = frames.find(({ id }) => !seen.includes(id));
        if (mine) return mine.id;
      }
      throw new Error("the watching ended");
    }, [...this.#seen]);
    this.#seen.add(frame);
    this.#alive.set(frame, { page, frame });
  }

  /** From the back/forward cache the page comes as it was; its frame has loaded anew. Pages with a connection don't go there. */
  async #goBack(page: Page): Promise<void> {
    await page.goBack({ waitUntil: "commit" });
    if (await page.evaluate(() => "mine" in window)) {
      this.restored += 1;
      return this.#enlist(page);
    }
    await page.close();
    return this.add();
  }
}

/** A tab with two frames, which die together. */
export async function openPair(
  browser: BrowserContext,
  connect: (browser: BrowserContext, site: string) => Promise<Page>,
  node: string,
): Promise<{ page: Page; frames: string[] }> {
  const page = await connect(browser, "b");
  const frames = await page.evaluate(async (node) => {
    await window.sdk.connect({ node });
    for await (const { frames } of window.mine.watch()) if (frames.length === 2) return frames.map(({ id }) => id);
    throw new Error("the watching ended");
  }, node);
  return { page, frames };
}

/** The renderer of the tab's own page dies, and takes the tab's frames along. */
export async function crash(browser: BrowserContext, page: Page): Promise<void> {
  const crashed = page.waitForEvent("crash");
  const session = await browser.newCDPSession(page);
  session.send("Page.crash").catch(() => {});
  await crashed;
}

/** The browser freezes the page, which it hides for that, until what is returned is called: it stays hidden then. */
export async function freeze(browser: BrowserContext, page: Page): Promise<() => Promise<void>> {
  await letHide(page);
  const session = await browser.newCDPSession(page);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  return async () => {
    await session.send("Page.setWebLifecycleState", { state: "active" });
  };
}

function raise(message: string): never {
  throw new Error(message);
}
