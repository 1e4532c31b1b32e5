// Tabs of a site whose frames carry its links, and the ways in which they die.
import type { BrowserContext, Page } from "@playwright/test";

import { letHide } from "./hidden.ts";
import type { Server } from "./server.ts";
import { bringSdk, enlist } from "./tab.ts";
import { takeAway } from "./taken.ts";

/** How a frame dies. */
export const DEATHS = ["closed", "crashed", "frozen", "navigated", "removed"] as const;
export type Death = (typeof DEATHS)[number];

/** A tab, and the node's frame in it. */
export interface Carrier {
  readonly page: Page;
  readonly frame: string;
}

/** Frames say that they are hidden, and their pages don't. */
const HIDDEN = 'if (self !== top) Object.defineProperty(Document.prototype, "hidden", { get: () => true });';

/**
 * Opens a site in a tab that carries no links while other tabs of the site can: links go to visible frames first, and this one's says that it is
 * hidden.
 */
export async function connectAloof(browser: BrowserContext, server: Server, site: string): Promise<Page> {
  const page = await browser.newPage();
  await page.addInitScript(HIDDEN);
  await page.goto(server.url(site));
  await bringSdk(page, server);
  await enlist(page, server.node);
  return page;
}

/** The carriers of a site in one browser, which may observe the node: as many as there were after each repair. */
export class Carriers {
  readonly #browser: BrowserContext;
  readonly #server: Server;
  readonly #open: () => Promise<Page>;
  readonly #seen = new Set<string>();
  readonly #alive = new Map<string, Carrier>();
  /** Pages that came back from the back/forward cache. */
  restored = 0;

  constructor(browser: BrowserContext, server: Server, connect: (browser: BrowserContext, site: string) => Promise<Page>, site: string) {
    this.#browser = browser;
    this.#server = server;
    this.#open = () => connect(browser, site);
  }

  /** The ids of their frames. */
  get frames(): string[] {
    return [...this.#alive.keys()];
  }

  /** Opens one more. */
  async add(): Promise<void> {
    await this.#enlist(await this.#open());
  }

  /** Another page of the browser has connected, which is no carrier; nothing else did since the last carrier came. Tells its frame. */
  async pass(page: Page): Promise<string> {
    const frame = await newFrame(page, [...this.#seen]);
    this.#seen.add(frame);
    return frame;
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

  async #enlist(page: Page): Promise<void> {
    const frame = await this.pass(page);
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

/** A tab of a site that may observe the node, with two frames, which die together; nothing else connects meanwhile. */
export async function openPair(
  browser: BrowserContext,
  connect: (browser: BrowserContext, site: string) => Promise<Page>,
  node: string,
  site: string,
  others: readonly string[],
): Promise<{ page: Page; frames: string[] }> {
  const page = await connect(browser, site);
  const frames = [await newFrame(page, others)];
  await page.evaluate(async (node) => void (await window.sdk.connect({ node })), node);
  frames.push(await newFrame(page, [...others, ...frames]));
  return { page, frames };
}

/** The node's frame that isn't among the others: the page's, if that has just connected. */
const newFrame = (page: Page, others: readonly string[]): Promise<string> =>
  page.evaluate(async (others) => {
    for await (const { frames } of window.mine.watch()) {
      const mine = frames.find(({ id }) => !others.includes(id));
      if (mine) return mine.id;
    }
    throw new Error("the watching ended");
  }, others);

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
