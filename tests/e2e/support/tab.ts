// A page of any browser, as far as tests of several browsers need it.
import type * as sdk from "@bitters/host-sdk";

import { open } from "./browsers.ts";
import type { Profile } from "./browsers.ts";
import type { Server } from "./server.ts";

/** A browser, whoever drives it. */
export interface Driven {
  /** Opens a page in a new tab. */
  visit(url: string): Promise<Tab>;
  close(): Promise<void>;
}

/** A page in which scripts are run. */
export class Tab {
  readonly #run: (script: string) => Promise<unknown>;

  /** `run` has the page evaluate an expression, and waits for it if it is a promise. */
  constructor(run: (script: string) => Promise<unknown>) {
    this.#run = run;
  }

  /** Calls a function in the page; argument and result are JSON. */
  async evaluate<R, A = undefined>(act: (arg: A) => R | Promise<R>, arg?: A): Promise<R> {
    return (await this.#run(`(${act})(${JSON.stringify(arg)})`)) as R;
  }
}

/** Chromium, like the others. */
export async function chromium(profile: Profile = {}): Promise<Driven> {
  const browser = await open(profile);
  const visit = async (url: string): Promise<Tab> => {
    const page = await browser.newPage();
    await page.goto(url);
    return new Tab((script) => page.evaluate(script));
  };
  return { close: () => browser.close(), visit };
}

/** Opens a site and connects it to a node. */
export async function connect(browser: Driven, server: Server, site: string, node = server.node): Promise<Tab> {
  const tab = await browser.visit(server.url(site));
  await tab.evaluate(
    async ({ url, node }) => {
      window.sdk = (await import(url)) as typeof sdk;
      window.mine = await window.sdk.connect({ node });
    },
    { url: `${server.node}/sdk/bitters.js`, node },
  );
  return tab;
}
