// One node for all sites where the browser keeps sites apart: by the browser's own grant, and over a page of the node's own.
import type { Page } from "@playwright/test";

import { works } from "./support/alive.ts";
import { meet } from "./support/room.ts";
import type { Server } from "./support/server.ts";
import { enlist } from "./support/tab.ts";
import { bringSdk, expect, idOf, statusOf, test } from "./support/test.ts";
import { answer, badgeOf, click, openPage, scopeOf, unify } from "./support/unify.ts";

const BLOCKED = { thirdPartyCookies: "blocked" } as const;

/** Storage access needs a click, as where the browser asks the person. */
const WITHIN_CLICKS = `{
  const request = Document.prototype.requestStorageAccess;
  Document.prototype.requestStorageAccess = function (types) {
    // Once granted it is granted to all frames of the site.
    if (types?.all && navigator.userActivation.isActive) localStorage.granted = "yes";
    return localStorage.granted ? request.call(this, types) : Promise.reject(new DOMException("no click", "NotAllowedError"));
  };
}`;

const hostsOf = async (page: Page): Promise<string[]> => {
  const { frames } = await statusOf(page);
  return frames.map(({ origin }) => new URL(origin).hostname.replace(".localhost", "")).toSorted();
};

test("after a click the browser grants one node: the site keeps its id, its stream and its topic, and its other tab follows", async ({ browse, connect, server }) => {
  const [one, two] = await Promise.all([browse({ init: WITHIN_CLICKS }), browse()]);
  const a = await connect(one, "a");
  const second = await connect(one, "a");
  const b = await connect(two, "b");
  expect(await scopeOf(a)).toBe("site");
  const id = await idOf(a);
  await meet("lobby", a, b);
  await count(a, b);

  await badgeOf(a).locator("[data-act=offer]").click();
  await click(a, "yes", server);

  for (const page of [a, second]) await expect.poll(() => scopeOf(page)).toBe("browser");
  expect(await Promise.all([a, second].map(idOf))).toEqual([id, id]);
  expect(await unify(a)).toBe("browser");
  await works(a, b);
  await counted(b);
  // It is the node of all sites: another one finds it there.
  const c = await connect(one, "c");
  await badgeOf(c).locator("[data-act=offer]").click();
  await click(c, "yes", server);
  await expect.poll(() => hostsOf(a)).toEqual(["a", "a", "c"]);
  await works(a, c);
});

test("once the browser granted one node, a page that is loaded again has it without a click", async ({ browse, connect, server }) => {
  const browser = await browse({ init: WITHIN_CLICKS });
  const a = await connect(browser, "a");
  const id = await idOf(a);
  await badgeOf(a).locator("[data-act=offer]").click();
  await click(a, "yes", server);
  await expect.poll(() => scopeOf(a)).toBe("browser");
  // Its leader has taken it in, and knows it by its id.
  expect(await hostsOf(a)).toEqual(["a"]);

  await a.reload();
  await bringSdk(a, server);
  await enlist(a, server.node);
  expect([await scopeOf(a), await idOf(a)]).toEqual(["browser", id]);
  const root = badgeOf(a).locator("html");
  await expect(root).toHaveAttribute("data-scope", "browser");
  await expect(root).not.toHaveAttribute("data-offer");
});

test("what the browser refuses the node's own page gives, for as long as it is open", async ({ browse, connect, server }) => {
  const [one, two] = await Promise.all([browse(BLOCKED), browse()]);
  const [a, c] = [await connect(one, "a"), await connect(one, "c")];
  const b = await connect(two, "b");
  const ids = [await idOf(a), await idOf(c)];
  await meet("lobby", a, b);
  await count(a, b);

  const asked = unify(a);
  await click(a, "yes", server);
  const own = await openPage(one, a, "open", server);
  await expect(own.locator("[data-card] [data-text=petitioner]:visible")).toHaveText(new URL(a.url()).origin);
  await answer(own, "allow");
  expect(await asked).toBe("browser");

  // The second site's badge leads to the same page's island over a page of its own.
  const wanted = unify(c);
  await click(c, "yes", server);
  const other = await openPage(one, c, "open", server);
  await answer(other, "allow");
  expect(await wanted).toBe("browser");

  expect(await hostsOf(a)).toEqual(["a", "c", "node", "node"]);
  expect(await Promise.all([a, c].map(idOf))).toEqual(ids);
  await works(a, c, b);
  await counted(b);

  // One page goes, and the other keeps the leader alive.
  await own.close();
  await works(a, c);
  expect(await scopeOf(a)).toBe("browser");
  await other.close();
  for (const page of [a, c]) await expect.poll(() => scopeOf(page), { timeout: 40_000 }).toBe("site");
  expect(await Promise.all([a, c].map(idOf))).toEqual(ids);
  await works(a, b);
  await counted(b);
});

test("the site's other tabs go over the same bridge, and stay when the tab that has it goes", async ({ browse, connect, server }) => {
  const browser = await browse(BLOCKED);
  const [first, second] = [await connect(browser, "a"), await connect(browser, "a")];
  const id = await idOf(first);
  const asked = unify(first);
  await click(first, "yes", server);
  await answer(await openPage(browser, first, "open", server), "allow");
  expect(await asked).toBe("browser");
  await expect.poll(() => scopeOf(second), { timeout: 40_000 }).toBe("browser");
  const third = await connect(browser, "a");
  await expect.poll(() => scopeOf(third), { timeout: 40_000 }).toBe("browser");

  expect(await hostsOf(first)).toEqual(["a", "a", "a", "node"]);
  expect(await Promise.all([second, third].map(idOf))).toEqual([id, id]);
  await first.close();
  await expect.poll(() => hostsOf(third), { timeout: 60_000 }).toEqual(["a", "a", "node"]);
  await works(second, third);
});

test("a site that wants one id for all sites gets it when the person says so, the same on each", async ({ browse, connect, server, visit }) => {
  const browser = await browse();
  const own = await idOf(await connect(browser, "a"));
  const ids: string[] = [];
  for (const site of ["a", "b"]) {
    const page = await visit(browser, site);
    const connecting = page.evaluate(async (node) => {
      window.mine = await window.sdk.connect({ node, identity: "person", timeout: 60_000 });
      return window.mine.id;
    }, server.node);
    const card = await openPage(browser, page, "open", server);
    await expect(card.locator("[data-card] [data-text=petitioner]:visible")).toHaveText(new URL(page.url()).origin);
    await answer(card, "allow");
    await says(card, server, "known", site, "knows you by your one id. You may close this page.");
    ids.push(await connecting);
    await card.close();
  }
  expect(ids).toEqual([ids[0], ids[0]]);
  expect(ids[0]).not.toBe(own);

  const refused = await visit(browser, "c");
  const refusing = refused.evaluate((node) => window.sdk.connect({ node, identity: "person", timeout: 60_000 }).then(() => "", ({ code }) => code as string), server.node);
  await click(refused, "no", server);
  expect(await refusing).toBe("Denied");
});

test("a no is final: nothing is asked again, not after a reload either", async ({ browse, connect, server }) => {
  const browser = await browse(BLOCKED);
  const a = await connect(browser, "a");
  const asked = unify(a);
  await click(a, "no", server);
  expect(await asked).toMatch(/^Denied: /);
  await expect(badgeOf(a).locator("[data-act=offer]")).toBeHidden();
  await expect(badgeOf(a).locator(".alone:visible")).toHaveText("1 site");

  expect(await unify(a)).toMatch(/^Denied: /);
  const again = await connect(browser, "a");
  expect(await unify(again)).toMatch(/^Denied: /);
});

test("a page that is closed without an answer is no no: the site may ask again", async ({ browse, connect, server }) => {
  const browser = await browse(BLOCKED);
  const a = await connect(browser, "a");
  const asked = unify(a);
  await click(a, "yes", server);
  const own = await openPage(browser, a, "open", server);
  await own.close();
  expect(await asked).toMatch(/^Denied: /);

  const again = unify(a);
  await click(a, "yes", server);
  const second = await openPage(browser, a, "open", server);
  await answer(second, "refuse");
  expect(await again).toMatch(/^Denied: /);
  expect(await unify(a)).toMatch(/^Denied: /);
});

test("while the node's page asks the badge says so, and leaving that closes the page and is no no", async ({ browse, connect, server }) => {
  const browser = await browse(BLOCKED);
  const a = await connect(browser, "a");
  const asked = unify(a);
  await click(a, "yes", server);
  const own = await openPage(browser, a, "open", server);
  const badge = badgeOf(a).locator("html");
  await expect(badge).toHaveAttribute("data-state", "waiting");
  await expect(badge).toHaveAttribute("data-question", "page");
  for (const act of ["yes", "open", "no"]) await expect(badge.locator(`[data-act=${act}]`)).toBeHidden();

  const closed = own.waitForEvent("close");
  await click(a, "cancel", server);
  await closed;
  expect(await asked).toMatch(/^Denied: /);
  await expect(badge).toHaveAttribute("data-state", "ready");
  await expect(badge.locator("[data-act=offer]")).toBeVisible();
});

test("the node's own page says what came of what it was opened for", async ({ browse, connect, server }) => {
  const apart = await browse(BLOCKED);
  const cardOf = async (site: string): Promise<Page> => {
    const page = await connect(apart, site);
    void unify(page).catch(() => {});
    await click(page, "yes", server);
    return openPage(apart, page, "open", server);
  };

  const joined = await cardOf("a");
  await answer(joined, "allow");
  await says(joined, server, "joined", "a", "is part of your node while this page is open.");

  const refused = await cardOf("b");
  await answer(refused, "refuse");
  await says(refused, server, "refused", "b", "was refused. It won’t ask again. You may close this page.");

  const lost = await cardOf("c");
  await lost.locator("html[data-petition=join]").waitFor();
  await apart.pages().find((page) => page.url() === server.url("c"))?.close();
  await says(lost, server, "lost", "c", "is gone: its page was closed or reloaded. You may close this page.");
});

test("a yes is remembered: the way back over the node's page needs no second one", async ({ browse, connect, server }) => {
  const browser = await browse(BLOCKED);
  const a = await connect(browser, "a");
  const id = await idOf(a);
  const asked = unify(a);
  await click(a, "yes", server);
  await answer(await openPage(browser, a, "open", server), "allow");
  expect(await asked).toBe("browser");
  await a.close();

  const again = await connect(browser, "a");
  const wanted = unify(again);
  await click(again, "yes", server);
  await openPage(browser, again, "open", server);
  expect(await wanted).toBe("browser");
  expect(await idOf(again)).toBe(id);
});

test("a badge in an element that is too narrow for a question asks in the corner, and goes back", async ({ browse, server, visit }) => {
  const a = await visit(await browse(BLOCKED), "a");
  await a.evaluate(async (node) => {
    const holder = document.body.appendChild(document.createElement("div"));
    holder.style.width = "132px";
    window.mine = await window.sdk.connect({ node, badge: holder });
    void window.mine.unify().catch(() => {});
  }, server.node);
  const box = async (): Promise<number[]> => {
    const { width = 0, height = 0 } = (await a.locator('iframe[title="bitters node"]').boundingBox()) ?? {};
    return [width, height];
  };
  await expect.poll(box).toEqual([320, 172]);
  await click(a, "no", server);
  await expect.poll(box).toEqual([132, 36]);
});

test("a site that opens the node's page itself learns nothing and gets nothing", async ({ browse, connect, server }) => {
  const browser = await browse(BLOCKED);
  const a = await connect(browser, "a");
  const opened = browser.waitForEvent("page");
  await a.evaluate((node) => {
    const heard: unknown[] = [];
    Object.assign(window, { heard });
    addEventListener("message", ({ data, source }) => source === page && heard.push(data));
    const page = window.open(node) as Window;
    setInterval(() => page.postMessage({ bitters: "petition", permission: "join", site: "https://bank.example" }, "*", [new MessageChannel().port2]), 50);
  }, server.node);
  const own = await opened;
  await own.locator("html[data-state=ready]").waitFor();
  await expect(own.locator("[data-list=frames] > *")).toHaveCount(1);
  expect(await own.locator("html").getAttribute("data-petition")).toBeNull();
  expect(await a.evaluate(() => (window as unknown as { heard: unknown[] }).heard)).toEqual([]);
});

/** The card on the node's own page has come to this, and asks nothing more. */
async function says(own: Page, server: Server, outcome: string, site: string, text: string): Promise<void> {
  await expect(own.locator("html")).toHaveAttribute("data-petition", outcome);
  await expect(own.locator("[data-card] .outcome:visible")).toHaveText(`${server.url(site).slice(0, -1)} ${text}`);
  await expect(own.locator("[data-card] button:visible")).toHaveCount(0);
}

/** Opens a stream that counts, one number after another. */
async function count(from: Page, to: Page): Promise<void> {
  await to.evaluate(() => {
    const seen: number[] = [];
    Object.assign(window, { seen });
    void window.mine.serve("count", async (stream) => {
      for await (const bytes of stream.readable as unknown as AsyncIterable<Uint8Array>) seen.push(...bytes);
    });
  });
  await from.evaluate(async (peer) => {
    const stream = await window.mine.open(peer, "count");
    const writer = stream.writable.getWriter();
    let next = 0;
    setInterval(() => void writer.write(Uint8Array.of(next++ % 251)), 20);
  }, await idOf(to));
}

/** The stream goes on, and nothing was lost or doubled. Its writer's timer fires once a second while its page is hidden. */
async function counted(to: Page): Promise<void> {
  const seen = (): Promise<number[]> => to.evaluate(() => (window as unknown as { seen: number[] }).seen);
  const before = (await seen()).length;
  await expect.poll(async () => (await seen()).length, { timeout: 60_000 }).toBeGreaterThan(before + 2);
  const all = await seen();
  expect(all).toEqual(all.map((_, at) => at % 251));
}
