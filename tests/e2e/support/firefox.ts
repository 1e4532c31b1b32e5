// Firefox as people have it, over WebDriver BiDi: Playwright drives none but its own.
import { existsSync } from "node:fs";

import puppeteer, { type Browser, type BrowserContext, type ElementHandle, type Frame, type Page } from "puppeteer-core";

import { running } from "./running.ts";
import { Tab, type Driven } from "./tab.ts";

const FIREFOX = process.env["FIREFOX"] ?? "/usr/bin/firefox-esr";

/** Why there is no Firefox to be driven, if so. */
export const missing = existsSync(FIREFOX) ? undefined : `${FIREFOX} isn't there: install firefox-esr, or name Firefox in the variable FIREFOX`;

const PREFERENCES = {
  // Host candidates are names for multicast DNS else, which not every machine of ours resolves.
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  // Nothing leaves the machine.
  "app.normandy.enabled": false,
  "browser.safebrowsing.downloads.remote.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
};

/** How long an element may take to appear. */
const PATIENCE = { timeout: 10_000 };

/**
 * Opens a Firefox, as far as a test can tell: a container in one that runs. Those of different places are in different ones. `init` runs in
 * every page and frame before anything else.
 */
export async function open({ init }: { init?: string } = {}, place = 0): Promise<Driven> {
  const started = await running(`Firefox ${place}`, start);
  const browser = await started.createBrowserContext();
  return { close: () => browser.close(), visit: (url, more) => visit(browser, url, [init, more]) };
}

async function start(ended: () => void): Promise<Browser> {
  const browser = await puppeteer.launch({ browser: "firefox", executablePath: FIREFOX, headless: true, extraPrefsFirefox: PREFERENCES });
  return browser.on("disconnected", ended);
}

async function visit(browser: BrowserContext, url: string, inits: (string | undefined)[]): Promise<Tab> {
  const page = await browser.newPage();
  for (const init of inits) if (init !== undefined) await page.evaluateOnNewDocument(init);
  await page.goto(url);
  return tabOf(page);
}

function tabOf(page: Page): Tab {
  const frameOf = (origin: string): Promise<Frame> => page.waitForFrame((frame) => frame.url().startsWith(origin), PATIENCE);
  const find = async (origin: string, selector: string): Promise<ElementHandle | null> => {
    await page.bringToFront();
    return (await frameOf(origin)).waitForSelector(selector, { visible: true, ...PATIENCE });
  };
  const click = async (origin: string, selector: string): Promise<void> => (await find(origin, selector))?.click();
  const hover = async (origin: string, selector: string): Promise<void> => (await find(origin, selector))?.hover();
  const run = async (script: string, origin?: string): Promise<unknown> => (origin === undefined ? page : await frameOf(origin)).evaluate(script);
  // The page's own event `popup` isn't fired for what its frames open.
  const popup = (): Promise<Tab> =>
    new Promise((resolve, reject) => page.browserContext().once("targetcreated", (target) => void target.page().then((page) => page && resolve(tabOf(page)), reject)));
  return new Tab({ click, close: () => page.close(), hover, popup, reload: () => page.reload(), run });
}
