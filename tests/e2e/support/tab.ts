// A page of any browser, as far as tests of several browsers need it.
import type * as sdk from "@bitters/host-sdk";
import type { Frame, Locator, Page } from "@playwright/test";

import { open } from "./browsers.ts";
import type { Profile } from "./browsers.ts";
import type { Scripted } from "./scripted.ts";
import type { Server } from "./server.ts";

/** How long an element may take to appear. */
const PATIENCE = { timeout: 10_000 };

/** A browser, whoever drives it. */
export interface Driven {
  /** Opens a page in a new tab; `init` runs there and in its frames before anything else. */
  visit(url: string, init?: string): Promise<Tab>;
  close(): Promise<void>;
}

/** What drives a tab. */
export interface Handle {
  /** Has the page, or its frame of this origin, evaluate an expression whose value is a promise of text, and waits for that. */
  run(script: string, origin?: string): Promise<unknown>;
  /** Clicks on an element of the page's, or of its frame of this origin, as a person does: as soon as it is in sight. */
  click(origin: string, selector: string): Promise<unknown>;
  /** Moves the pointer onto such an element. */
  hover(origin: string, selector: string): Promise<unknown>;
  /** The next tab that the page, or a frame of it, opens. */
  popup(): Promise<Tab>;
  /** Loads the page again. */
  reload(): Promise<unknown>;
  /** Closes the tab, as a person does. */
  close(): Promise<void>;
}

/** A page in a tab of its own. */
export class Tab implements Scripted {
  readonly #handle: Handle;
  #closed: Promise<unknown> | undefined;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  /** Calls a function in the page; argument and result are JSON, as not every driver carries more. */
  evaluate<R, A = undefined>(act: (arg: A) => R | Promise<R>, arg?: A): Promise<R> {
    return this.#call(`${act}`, arg);
  }

  /** Calls a function in the page's frame of this origin. */
  evaluateIn<R>(origin: string, act: () => R | Promise<R>): Promise<R> {
    return this.#call(`${act}`, undefined, origin);
  }

  /** Clicks on an element of the page's, or of its frame of this origin, as a person does: as soon as it is in sight. */
  async click(origin: string, selector: string): Promise<void> {
    await this.#handle.click(origin, selector);
  }

  /** Moves the pointer onto such an element. */
  async hover(origin: string, selector: string): Promise<void> {
    await this.#handle.hover(origin, selector);
  }

  /** The next tab that the page, or a frame of it, opens. */
  popup(): Promise<Tab> {
    return this.#handle.popup();
  }

  async reload(): Promise<void> {
    await this.#handle.reload();
  }

  async #call<R>(act: string, arg: unknown, origin?: string): Promise<R> {
    const text = await this.#handle.run(`(async () => JSON.stringify(await (${act})(${JSON.stringify(arg)})) ?? "")()`, origin);
    return (text === "" ? undefined : JSON.parse(text as string)) as R;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** May be said again. */
  async close(): Promise<void> {
    await (this.#closed ??= this.#handle.close());
  }
}

/** Chromium, like the others; those of different places are different browsers. */
export async function chromium(profile: Profile = {}, place = 0): Promise<Driven> {
  const browser = await open(profile, place);
  const visit = async (url: string, init?: string): Promise<Tab> => {
    const page = await browser.newPage();
    if (init !== undefined) await page.addInitScript(init);
    await page.goto(url);
    return tabOf(page);
  };
  return { close: () => browser.close(), visit };
}

/** A page of Playwright's, like the others. */
function tabOf(page: Page): Tab {
  const frameOf = (origin: string): Frame => {
    const frame = page.frames().find((frame) => frame.url().startsWith(origin));
    if (!frame) throw new Error(`no frame of ${origin} in ${page.url()}`);
    return frame;
  };
  const find = async (origin: string, selector: string): Promise<Locator> => {
    await page.bringToFront();
    // What isn't in sight yet would be waited for after the selector was found to match.
    return frameOf(origin).locator(selector).filter({ visible: true });
  };
  const click = async (origin: string, selector: string): Promise<void> => (await find(origin, selector)).click(PATIENCE);
  const hover = async (origin: string, selector: string): Promise<void> => (await find(origin, selector)).hover(PATIENCE);
  const run = (script: string, origin?: string): Promise<unknown> => (origin === undefined ? page : frameOf(origin)).evaluate(script);
  const popup = async (): Promise<Tab> => tabOf(await page.waitForEvent("popup"));
  return new Tab({ click, close: () => page.close(), hover, popup, reload: () => page.reload(), run });
}

/** Opens a site and brings the SDK in, without connecting. */
export async function visit(browser: Driven, server: Server, site: string, init?: string): Promise<Tab> {
  const tab = await browser.visit(server.url(site), init);
  await bringSdk(tab, server);
  return tab;
}

/** Imports the SDK from the node's origin, as any site may. */
export async function bringSdk(tab: Scripted, server: Server): Promise<void> {
  await tab.evaluate(async (url) => {
    window.sdk = (await import(url)) as typeof sdk;
  }, `${server.node}/sdk/bitters.js`);
}

/** Connects a page that has the SDK. */
export async function enlist(tab: Scripted, node: string): Promise<void> {
  await tab.evaluate(async (node) => {
    window.mine = await window.sdk.connect({ node });
  }, node);
}

/** Opens a site and connects it to a node. */
export async function connect(browser: Driven, server: Server, site: string, node = server.node, init?: string): Promise<Tab> {
  const tab = await visit(browser, server, site, init);
  await enlist(tab, node);
  return tab;
}
