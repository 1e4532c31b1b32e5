// The leader's and the frames' lives and deaths.
import type { Page } from "@playwright/test";

import { frameOf, works } from "./support/alive.ts";
import { keptFor } from "./support/kept.ts";
import { enter, heard, say } from "./support/room.ts";
import { bringSdk, expect, idOf, statusOf, test } from "./support/test.ts";

const leaderOf = async (page: Page): Promise<unknown> => (await statusOf(page)).leader;

/** Waits for a watched status with so many frames: nothing but news of the node makes it go on. */
const framesBecome = (page: Page, count: number): Promise<void> =>
  page.evaluate(async (count) => {
    for await (const { frames } of window.mine.watch()) if (frames.length === count) return;
  }, count);

/** The milliseconds from an act in `page` until the node that it watches has so many frames. */
const timeUntilFrames = (page: Page, count: number): Promise<number> =>
  page.evaluate(async (count) => {
    const begun = performance.now();
    document.querySelector("iframe[data-doomed]")?.remove();
    for await (const { frames } of window.mine.watch()) if (frames.length === count) return performance.now() - begun;
    throw new Error("the watching ended");
  }, count);

test("all tabs close but one, which joined last", async ({ browse, connect }) => {
  const browser = await browse();
  const others = [await connect(browser, "a"), await connect(browser, "b")];
  const a = await connect(browser, "a");
  const leader = await leaderOf(a);

  await Promise.all(others.map((page) => page.close()));
  await framesBecome(a, 1);

  expect(await leaderOf(a)).toEqual(leader);
  await works(a, await connect(browser, "c"));
});

test("a site's renderer crashes: its frame is gone, the others go on, and it comes back", async ({ browse, connect }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const c = await connect(browser, "c");
  const doomed = await connect(browser, "b");
  const leader = await leaderOf(a);

  const crashed = doomed.waitForEvent("crash");
  const session = await browser.newCDPSession(doomed);
  session.send("Page.crash").catch(() => {});
  await crashed;
  await framesBecome(a, 2);

  expect(await leaderOf(a)).toEqual(leader);
  await works(a, c);
  await works(a, await connect(browser, "b"));
});

test("the renderer of all frames crashes, with the leader: sites that load then have a new leader of the same node", async ({ browse, connect, server }) => {
  const browser = await browse();
  const first = await connect(browser, "a");
  await connect(browser, "b");
  const [id, before] = [await idOf(first), await statusOf(first)];

  const session = await browser.newCDPSession(frameOf(first, server));
  const gone = new Promise((resolve) => session.on("Inspector.targetCrashed", resolve));
  session.send("Page.crash").catch(() => {});
  await gone;
  const [a, b] = [await connect(browser, "a"), await connect(browser, "b")];

  const { frames, leader, warnings } = await statusOf(a);
  expect(await idOf(a)).toBe(id);
  expect(frames.length).toBe(2);
  expect(leader?.epoch).toBeGreaterThan(before.leader?.epoch ?? Infinity);
  expect(leader?.boot).not.toBe(before.leader?.boot);
  expect(warnings).toEqual([]);
  await works(a, b);
});

test("a frame that is removed from its page disappears from the status at once", async ({ browse, connect, server }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  await a.evaluate(async (node) => {
    const holder = document.body.appendChild(document.createElement("div"));
    await window.sdk.connect({ node, badge: holder });
    for (const iframe of holder.querySelectorAll("iframe")) iframe.dataset["doomed"] = "";
  }, server.node);
  await framesBecome(a, 2);

  // By its lock: a frame that has to be asked is missed after 5 s at the earliest.
  expect(await timeUntilFrames(a, 1)).toBeLessThan(5_000);
});

test("eight frames of three sites start at once: one leader, eight frames", async ({ browse, visit, server }) => {
  const browser = await browse();
  const pages = await Promise.all(["a", "b", "c"].map((site) => visit(browser, site)));
  const counts = [3, 3, 2];

  await Promise.all(
    pages.map((page, at) =>
      page.evaluate(
        async ({ node, count }) => {
          const nodes = await Promise.all(Array.from({ length: count }, () => window.sdk.connect({ node })));
          window.mine = nodes[0] as (typeof nodes)[0];
          Object.assign(window, { nodes });
        },
        { node: server.node, count: counts[at] as number },
      ),
    ),
  );

  const [a, b, c] = pages as [Page, Page, Page];
  const { frames, leader, warnings } = await statusOf(a);
  expect(frames.map(({ origin }) => new URL(origin).hostname.slice(0, 1)).sort()).toEqual([..."aaabbbcc"]);
  expect(new Set(frames.map(({ id }) => id)).size).toBe(8);
  expect(warnings).toEqual([]);
  const leaders = await a.evaluate(async () => {
    const { nodes } = window as unknown as { nodes: (typeof window.mine)[] };
    return Promise.all(nodes.map(async (node) => (await node.status()).leader));
  });
  expect(leaders).toEqual([leader, leader, leader]);
  await works(a, b, c);
});

for (const cached of [true, false]) {
  test(`a page goes away and back ${cached ? "from" : "without"} the back/forward cache, and is in the node again`, async ({ browse, connect, server }) => {
    const browser = await browse({ backForwardCache: cached });
    const a = await connect(browser, "a");
    // A page with a connection isn't kept: the older tab of its site has the link.
    await connect(browser, "b");
    const b = await connect(browser, "b");
    await Promise.all([enter(a, "lasting"), enter(b, "lasting")]);
    await inRoom(a, "lasting", b);
    // A page in the cache is dropped when its first service worker begins.
    await keptFor(b, server);

    await b.goto(server.url("c"));
    await framesBecome(a, 2);
    await b.goBack({ waitUntil: "commit" });
    expect(await b.evaluate(() => "mine" in window)).toBe(cached);
    if (!cached) {
      await connectHere(b, server);
      await enter(b, "lasting");
    }

    await inRoom(a, "lasting", b);
    await hears(a, b, "lasting", "back");
    await hears(b, a, "lasting", "welcome");
    expect((await statusOf(a)).frames.length).toBe(3);
  });
}

/** Connects a page that is loaded already. */
async function connectHere(page: Page, server: Parameters<typeof bringSdk>[1]): Promise<void> {
  await bringSdk(page, server);
  await page.evaluate(async (node) => {
    window.mine = await window.sdk.connect({ node });
  }, server.node);
}

/** Waits until the page sees another one in the topic. */
async function inRoom(page: Page, name: string, other: Page): Promise<void> {
  const id = await other.evaluate(() => window.mine.id);
  await expect.poll(() => page.evaluate((name) => window.rooms[name]?.topic.peers, name)).toEqual([id]);
}

/** What one says the other hears. */
async function hears(page: Page, speaker: Page, name: string, text: string): Promise<void> {
  await say(speaker, name, text);
  await expect.poll(async () => (await heard(page, name)).map(({ data }) => data)).toContain(text);
}
