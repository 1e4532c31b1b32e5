// Browsers as people have them: storage partitioned, third-party cookies allowed (Chrome's default).
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { type BrowserContext, type CDPSession, chromium } from "@playwright/test";

import { running } from "./running.ts";

const run = promisify(execFile);

const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * What browsers have that tests do without. The first is a renderer in reserve, started anew after each page; the last two make the address bar of
 * each context a page, which costs as much as all pages of a test.
 */
const WITHOUT = ["SpareRendererForSitePerProcess", "Translate", "WebRtcHideLocalIpsWithMdns", "WebUIOmniboxAimPopup", "WebUIOmniboxPopup"];

/** What Playwright keeps hidden pages at work with. */
const UNTHROTTLED = ["--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding"];

/** How a browser is set up when it starts. */
interface Setup {
  /** Third-party cookies, as the person set them. */
  readonly thirdPartyCookies?: "allowed" | "blocked";
  /** Pages may go into the back/forward cache, as in people's browsers. */
  readonly backForwardCache?: boolean;
  /** Hidden pages are throttled, as in people's browsers. */
  readonly throttling?: boolean;
  /** Another program than the usual one. */
  readonly executable?: string;
  /** More command line arguments. */
  readonly args?: readonly string[];
}

export interface Profile extends Setup {
  /** Runs in every page and frame before anything else. */
  readonly init?: string;
  /** A browser of the test's own, with a profile: what only those have are handlers of schemes. */
  readonly own?: boolean;
}

/**
 * Opens a browser, as far as a test can tell: a context in one that runs, unless the profile wants one of its own. Those of different `places`
 * are in different browsers, as two people's are.
 */
export async function open(profile: Profile = {}, place = 0): Promise<BrowserContext> {
  const { init, own, ...setup } = profile;
  if (own) return openOwn(profile);
  const started = await running(JSON.stringify(["Chromium", setup, place]), async (ended) => {
    const browser = await openOwn(setup);
    return browser.on("close", ended);
  });
  const context = await started.browser()?.newContext();
  if (!context) throw new Error("a browser with a profile opens no contexts");
  if (init !== undefined) await context.addInitScript(init);
  return context;
}

/** Opens a browser of its own with a new profile, which ends with it. */
export async function openOwn(profile: Profile = {}): Promise<BrowserContext> {
  const home = await Home.make();
  const context = await home.open(profile);
  context.on("close", () => void home[Symbol.asyncDispose]());
  return context;
}

/** A person's profile, which outlives the browser. */
export class Home implements AsyncDisposable {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async make(): Promise<Home> {
    return new Home(await mkdtemp(join(tmpdir(), "bitters-")));
  }

  open(profile: Profile = {}): Promise<BrowserContext> {
    return launch(this.#dir, profile);
  }

  /** Another like this one, as a backup or another machine has it; no browser has this one open. */
  async clone(): Promise<Home> {
    const clone = await Home.make();
    await cp(this.#dir, clone.#dir, { recursive: true });
    return clone;
  }

  /** Packs some of its directories, without what is called as one of `without`; no browser has it open. */
  async pack(archive: string, parts: readonly string[], without: readonly string[]): Promise<void> {
    const excludes = without.map((name) => `--exclude=${name}`);
    await run("tar", ["--create", "--gzip", "--file", archive, "--directory", this.#dir, "--owner=0", "--group=0", ...excludes, ...parts]);
  }

  /** A new one with what was packed. */
  static async unpack(archive: string): Promise<Home> {
    const home = await Home.make();
    await run("tar", ["--extract", "--gzip", "--file", archive, "--directory", home.#dir, "--no-same-owner"]);
    return home;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A browser ends without a word to anybody. */
export async function crash(browser: BrowserContext): Promise<void> {
  const [page] = browser.pages();
  if (!page) throw new Error("no page is open");
  const session = await browser.newCDPSession(page);
  const gone = new Promise((resolve) => browser.once("close", resolve));
  await Promise.all([gone, session.send("Browser.crash").catch(() => undefined)]);
}

/** The whole browser's end of the DevTools protocol. */
export async function sessionOf(browser: BrowserContext): Promise<CDPSession> {
  const session = await browser.browser()?.newBrowserCDPSession();
  if (!session) throw new Error("this browser has no session of its own");
  return session;
}

/**
 * Playwright turns storage partitioning off by default; naming the features to disable once more, last, turns it on again. The field trial
 * refuses edits of local descriptions, as browsers will.
 */
async function launch(dir: string, profile: Profile): Promise<BrowserContext> {
  const blocked = profile.thirdPartyCookies === "blocked";
  const preferences = { profile: { block_third_party_cookies: blocked, cookie_controls_mode: blocked ? 1 : 0 } };
  await mkdir(join(dir, "Default"), { recursive: true });
  await writeFile(join(dir, "Default", "Preferences"), JSON.stringify(preferences));
  const context = await chromium.launchPersistentContext(dir, {
    executablePath: profile.executable ?? process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    ignoreDefaultArgs: [
      ...(profile.backForwardCache ? ["--disable-back-forward-cache"] : []),
      ...(profile.throttling ? UNTHROTTLED : []),
    ],
    args: [
      ...QUIET,
      `--disable-features=${WITHOUT.join(",")}`,
      "--force-fieldtrials=WebRTC-NoSdpMangleUfrag/Enabled/",
      ...(profile.args ?? []),
    ],
  });
  if (profile.init !== undefined) await context.addInitScript(profile.init);
  return context;
}
