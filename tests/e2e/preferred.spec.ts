// The node that a person prefers: the scheme's handler decides whose software a site gets, and links lead to its page.
import type { BrowserContext, Page } from "@playwright/test";

import { expect, idOf, test as base } from "./support/test.ts";
import { clickOpen } from "./support/unify.ts";

interface Fixtures {
  /** Makes a host's node the person's, by the button on its page; the browser is told to accept. */
  readonly prefer: (browser: BrowserContext, host: "guestbook" | "node") => Promise<void>;
  /** Connects an open site to the person's node, or else to the fallback; says how long it took, in ms. */
  readonly seek: (page: Page, fallback?: string) => Promise<number>;
}

const test = base.extend<Fixtures>({
  prefer: async ({ server }, use) => {
    await use(async (browser, host) => {
      const page = await browser.newPage();
      await page.goto(server.url(host));
      const devtools = await browser.newCDPSession(page);
      // Not among the types: experimental.
      await (devtools.send as (method: string, parameters: object) => Promise<void>)("Page.setRPHRegistrationMode", { mode: "autoAccept" });
      await page.getByRole("button", { name: "Make this my node" }).click();
      await expect(page.getByText("Your browser asks you now, unless it did before")).toBeVisible();
      await page.close();
    });
  },
  seek: async ({}, use) => {
    await use((page, fallback) =>
      page.evaluate(async (fallback) => {
        const before = performance.now();
        window.mine = await window.sdk.connect({ fallback });
        return performance.now() - before;
      }, fallback),
    );
  },
});

/** Only a browser with a profile has handlers of schemes. */
const OWN = { own: true };

const originOf = (page: Page): Promise<string> => page.evaluate(() => window.mine.origin);
/** Tells, once a node was shown, after how many ms it was: a node takes as long to start as it takes. */
async function watchShown(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const before = performance.now();
    new MutationObserver((_, observer) => {
      const shown = document.querySelector<HTMLIFrameElement>("iframe")?.src ?? "";
      if (!shown.startsWith("http")) return;
      observer.disconnect();
      Object.assign(window, { after: performance.now() - before });
    }).observe(document, { attributeFilter: ["src"], childList: true, subtree: true });
  });
  return () => page.evaluate(() => (window as unknown as { after: number }).after);
}

const origin = (url: string): string => new URL(url).origin;

/** Opens a link's page past the browser's handler. */
const open = (page: Page, node: string, uri: string): Promise<unknown> => page.goto(`${node}/?uri=${encodeURIComponent(uri)}`);

/** Does what a link's page offers, once it does. */
async function follow(page: Page): Promise<void> {
  await page.locator("[data-do=follow]").waitFor();
  await clickOpen(page.mainFrame(), "[data-do=follow]");
}

/** A site's link, clicked: the browser leads to the page that is registered for it. */
async function clickLink(site: Page, href: string): Promise<void> {
  await site.evaluate((href) => {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = "There";
    document.body.append(link);
  }, href);
  await site.getByText("There").click();
}

test("an unchanged site gets the node that the person prefers now, and through another's software meets the same network", async ({
  browse,
  connect,
  prefer,
  seek,
  server,
  visit,
}) => {
  const [browser, others] = await Promise.all([browse(OWN), browse()]);
  const far = await connect(others, "b");
  const here = await visit(browser, "a");

  await prefer(browser, "node");
  await seek(here, server.url("guestbook"));
  expect(await originOf(here)).toBe(server.node);

  await prefer(browser, "guestbook");
  await here.evaluate(() => window.mine.close());
  await seek(here, server.node);
  expect(await originOf(here)).toBe(origin(server.url("guestbook")));

  await here.evaluate(async () => {
    const topic = await window.mine.join("lobby");
    topic.addEventListener("peerjoin", () => void topic.publish("from the other software"));
  });
  const heard = await far.evaluate(async () => {
    for await (const { from, data } of await window.mine.join("lobby")) return { from, data };
    return undefined;
  });
  expect(heard).toEqual({ from: await idOf(here), data: "from the other software" });
  // What only the other software has.
  expect(await here.evaluate(() => (window.mine.service("guestbook")["sign"] as (text: string) => Promise<number>)("hello"))).toBe(1);
});

test("the demo's sites use the node that the person made theirs, if asked to", async ({ browse, prefer, server }) => {
  const browser = await browse(OWN);
  await prefer(browser, "guestbook");
  for (const [query, host] of [["", "node"], ["?mine", "guestbook"]] as const) {
    const page = await browser.newPage();
    await page.goto(server.url("alice", `/${query}`));
    await expect(page.getByText("connected", { exact: true })).toBeVisible();
    expect(await page.evaluate(() => (window as unknown as { node: { origin: string } }).node.origin)).toBe(origin(server.url(host)));
  }
});

test("a person who prefers none gets the fallback, after the bounded wait; and none without one", async ({ browse, seek, server, visit }) => {
  const browser = await browse();
  const page = await visit(browser, "a");

  const took = await seek(page, server.node);

  expect(await originOf(page)).toBe(server.node);
  expect(took).toBeGreaterThan(2900);
  expect(took).toBeLessThan(15_000);
  const refused = await page.evaluate(() => window.sdk.connect({ timeout: 1000 }).catch(({ code }) => code));
  expect(refused).toBe("NoNode");
  expect(await page.locator("iframe").count()).toBe(1);
});

test("a person who no longer wants it gets the fallback again", async ({ browse, prefer, seek, server, visit }) => {
  const browser = await browse(OWN);
  await prefer(browser, "node");
  const page = await browser.newPage();
  await page.goto(server.node);
  await page.getByRole("button", { name: "No longer" }).click();
  await expect(page.getByText("This node is no longer yours")).toBeVisible();

  const site = await visit(browser, "a");
  await seek(site, server.url("guestbook"));
  expect(await originOf(site)).toBe(origin(server.url("guestbook")));
});

test("a browser without such a thing says so on the node's page, and gives the fallback at once", async ({ browse, seek, server, visit }) => {
  const browser = await browse({ init: "delete Navigator.prototype.registerProtocolHandler" });
  const page = await browser.newPage();
  await page.goto(server.node);
  await expect(page.getByText("This browser can’t be told which node is yours")).toBeVisible();
  await expect(page.getByRole("button", { name: "Make this my node" })).toBeHidden();

  const site = await visit(browser, "a");
  const shown = await watchShown(site);
  await seek(site, server.node);
  expect(await shown()).toBeLessThan(2000);
});

test("a page whose policy forbids the scheme gets the fallback at once", async ({ browse, seek, server, visit }) => {
  const page = await visit(await browse(), "a");
  await page.evaluate((node) => {
    const policy = document.createElement("meta");
    policy.httpEquiv = "Content-Security-Policy";
    policy.content = `frame-src ${node}`;
    document.head.append(policy);
  }, server.node);

  const shown = await watchShown(page);
  await seek(page, server.node);
  expect(await originOf(page)).toBe(server.node);
  expect(await shown()).toBeLessThan(2000);
});

test("a link to a topic leads to a page where people talk", async ({ browse, connect, prefer, server, visit }) => {
  const [browser, others] = await Promise.all([browse(OWN), browse()]);
  await prefer(browser, "node");
  const name = "plum cake & ☕ <b>%41</b>";
  const far = await connect(others, "b");
  await far.evaluate(async (name) => {
    const topic = await window.mine.join(name);
    topic.addEventListener("peerjoin", () => void topic.publish({ name: "Bob", text: "<img src=x onerror=alert(1)> hello" }));
    Object.assign(window, { heard: topic[Symbol.asyncIterator]().next() });
  }, name);
  const site = await visit(browser, "a");
  await clickLink(site, `web+overlay:topic/${encodeURIComponent(name)}`);

  await expect(site).toHaveURL(new RegExp(`^${server.node}/\\?uri=`));
  await expect(site.getByRole("heading", { name: `Topic “${name}”` })).toBeVisible();
  await follow(site);
  await expect(site.getByRole("log")).toContainText("<img src=x onerror=alert(1)> hello");
  await expect(site.getByRole("list", { name: "Who is there" }).getByRole("listitem")).toHaveCount(2);

  await site.getByRole("textbox", { name: "Say something" }).fill("Hello, <i>you</i>");
  await site.getByRole("button", { name: "Say", exact: true }).click();
  const heard = await far.evaluate(async () => (await (window as unknown as { heard: Promise<IteratorResult<{ data: unknown }>> }).heard).value.data);
  expect(heard).toBe("Hello, <i>you</i>");
  await expect(site.getByRole("log")).toContainText("you Hello, <i>you</i>");

  await site.getByRole("button", { name: "Leave" }).click();
  await expect(site.getByText("You left.")).toBeVisible();
  expect(await site.locator("iframe").count()).toBe(0);
});

test("a link to an address or an id leads to a page that connects, and says who it is and how", async ({ browse, connect, server }) => {
  const [browser, others] = await Promise.all([browse(), browse()]);
  const far = await connect(others, "b");
  const id = await idOf(far);
  const address = await far.evaluate(() => window.mine.address());
  for (const value of [address, id]) {
    const page = await browser.newPage();
    await open(page, server.node, `web+overlay:${value}`);
    await follow(page);
    await expect(page.getByText("Connected.", { exact: true })).toBeVisible();
    await expect(page.locator("[data-link] code")).toHaveText(id);
    await expect(page.getByText(/^Directly|^By a server/)).toBeVisible();
    await page.close();
  }
});

test("a link to an address leads there by the browser's handler, too", async ({ browse, connect, prefer, visit }) => {
  const [browser, others] = await Promise.all([browse(OWN), browse()]);
  await prefer(browser, "node");
  const far = await connect(others, "b");
  const site = await visit(browser, "a");
  await clickLink(site, `web+overlay:${await far.evaluate(() => window.mine.address())}`);

  await follow(site);
  await expect(site.locator("[data-link] code")).toHaveText(await idOf(far));
});

test("a link that the person didn't follow tells nobody of them", async ({ browse, connect, server }) => {
  const [browser, others] = await Promise.all([browse(), browse()]);
  const far = await connect(others, "b");
  await far.evaluate(async () => {
    const topic = await window.mine.join("trap");
    Object.assign(window, { come: [], topic });
    topic.addEventListener("peerjoin", () => (window as unknown as { come: string[] }).come.push(...topic.peers));
  });
  const page = await browser.newPage();
  await open(page, server.node, "web+overlay:topic/trap");
  await expect(page.locator("html[data-guard=open] [data-do=follow]")).toBeVisible();
  expect(await page.locator("iframe").count()).toBe(0);

  // Somebody who comes is seen, and nobody came before.
  const witness = await connect(await browse(), "b");
  await witness.evaluate(() => window.mine.join("trap").then(() => {}));
  await expect.poll(() => far.evaluate(() => (window as unknown as { come: string[] }).come)).toEqual([await idOf(witness)]);
});

test("a link to somebody who isn't there says so", async ({ browse, connect, server }) => {
  const [browser, others] = await Promise.all([browse(), browse()]);
  const id = await idOf(await connect(others, "b"));
  await others.close();
  const page = await browser.newPage();
  await open(page, server.node, `web+overlay:${id}`);
  await follow(page);
  await expect(page.getByText(/They may be offline|Nobody is there/)).toBeVisible({ timeout: 80_000 });
});

test("a link to the node itself is its page, and within a site its badge", async ({ browse, connect, server }) => {
  const browser = await browse();
  const page = await browser.newPage();
  await page.goto(`${server.node}/?uri=web%2Boverlay%3Aconnect`);
  await expect(page.getByText("Running", { exact: true })).toBeVisible();
  await expect(page.locator("[data-link]")).toBeHidden();
  const site = await connect(browser, "a", `${server.node}/?uri=web%2Boverlay%3Aconnect`);
  expect(await originOf(site)).toBe(server.node);
});

const HOSTILE = {
  script: "javascript:window.stolen=1",
  "a script within the scheme": "web+overlay:javascript:window.stolen=1",
  markup: `web+overlay:<img src=x onerror="window.stolen=1"><script>window.stolen=1</script>`,
  "an attribute's end": `web+overlay:"><svg onload=window.stolen=1>`,
  "another site": "web+overlay://evil.example/topic/lobby",
  "a null byte": "web+overlay:topic/a%00b",
  "a real null byte": "web+overlay:connect\u0000",
  "no UTF-8": "web+overlay:topic/%ff",
  "a forged address": `web+overlay:${"A".repeat(188)}`,
  "more than it bears": `web+overlay:topic/${"x".repeat(5000)}`,
};

test("a hostile link is nothing that the node understands, and nothing of it is shown", async ({ browse, server }) => {
  const page = await (await browse()).newPage();
  for (const [what, uri] of Object.entries(HOSTILE)) {
    await open(page, server.node, uri);
    await expect(page.getByText("This link isn’t one that your node understands"), what).toBeVisible();
    expect(await page.evaluate(() => "stolen" in window), what).toBe(false);
    expect(await page.locator("[data-link]").innerHTML(), what).not.toMatch(/stolen|evil|<(img|script|svg|iframe)|xxxx|AAAA/);
  }
});

test("a hostile link comes through the browser's handler as one, and in a site's iframe it is a badge at most", async ({ browse, prefer, visit }) => {
  const browser = await browse(OWN);
  await prefer(browser, "node");
  for (const what of ["a script within the scheme", "markup", "an attribute's end", "another site"] as const) {
    const site = await visit(browser, "a");
    await clickLink(site, HOSTILE[what]);
    await expect(site.getByText("This link isn’t one that your node understands"), what).toBeVisible();
    expect(await site.evaluate(() => "stolen" in window), what).toBe(false);
    await site.close();
  }
  const site = await visit(browser, "a");
  await site.evaluate((src) => {
    const iframe = document.createElement("iframe");
    iframe.src = src;
    document.body.append(iframe);
  }, HOSTILE.markup);
  const badge = site.frameLocator("iframe").locator("html");
  await expect(badge).toHaveAttribute("data-face", "badge");
  await expect(badge.locator("[data-link]")).toBeHidden();
});

test("a name that turns text around, and one full of markup, are names in their own bounds", async ({ browse, server }) => {
  const page = await (await browse()).newPage();
  for (const name of ["\u202egnp.exe", `<img src=x onerror="window.stolen=1">`]) {
    await open(page, server.node, `web+overlay:topic/${encodeURIComponent(name)}`);
    await expect(page.locator("[data-link] h2 bdi")).toHaveText(`“${name}”`);
    expect(await page.evaluate(() => "stolen" in window)).toBe(false);
    expect(await page.locator("[data-link] img").count()).toBe(0);
  }
});

test("a megabyte in the address is refused by the page, which has it from the service worker", async ({ browse, server }) => {
  const page = await (await browse()).newPage();
  await page.goto(server.node);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
  await page.goto(`${server.node}/?uri=web%2Boverlay%3Atopic%2F${"x".repeat(1_000_000)}`);
  await expect(page.getByText("This link isn’t one that your node understands")).toBeVisible();
  await expect(page.getByText("Why: it is longer than 2048 bytes.")).toBeVisible();
});
