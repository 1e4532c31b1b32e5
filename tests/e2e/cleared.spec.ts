// A person deletes the browsing data while pages are open. Pages that open then see no lock that is held (docs/browser-facts.md).
import type { BrowserContext, Page } from "@playwright/test";

import { type Hosted, works } from "./support/alive.ts";
import { keptFor } from "./support/kept.ts";
import { meet, reach } from "./support/room.ts";
import { NODE, Server } from "./support/server.ts";
import { expect, idOf, statusOf, test as base } from "./support/test.ts";
import { Workers } from "./support/workers.ts";

/** The server has the node at an origin of site `a`'s own site, too. */
const test = base.extend({
  server: async ({}, use) => {
    const server = await Server.start(["--node", `node.a.localhost=${NODE}`]);
    await use(server);
    await server.stop();
  },
});

/** Calls one after another, as many as show a frame that comes and goes. */
const CALLS = 200;

test("the browsing data is deleted under an open page: pages that open then are in its node, and none comes and goes", async ({ browse, connect, server }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const { leader } = await statusOf(a);
  await deleteData(browser, a, server);

  const [b, c] = [await connect(browser, "b"), await connect(browser, "c")];
  await works(a, b, c);
  const counts = await watchFrames(a);
  expect(await callAll(b, await answering(c))).toEqual([]);
  expect(await counts()).toEqual([3]);
  expect((await statusOf(a)).leader).toEqual(leader);

  await c.close();
  await expect.poll(async () => (await statusOf(a)).frames.length).toBe(2);
});

test("and then its leader dies: the next one takes in the pages from before and from after", async ({ browse, connect, server }) => {
  const [near, far] = [await browse(), await browse()];
  const a = await connect(near, "a");
  await deleteData(near, a, server);
  const [b, d] = [await connect(near, "b"), await connect(far, "d")];
  await meet("lasting", a, b, d);
  const workers = await Workers.of(near);
  const [leader] = await workers.running();

  await workers.terminate(leader as string);
  await expect.poll(() => workers.running()).not.toContain(leader);
  await works(a, b, await connect(near, "c"));
  await reach(d, await idOf(a));
  await works(a, b, d);
});

test("without SharedWorker, the first leader goes on beside the lock of new pages, and one of these leads when it is gone", async ({ browse, connect, server }) => {
  const browser = await browse({ init: "delete window.SharedWorker;" });
  // In its own site the node has the partition that can be cleared by the origin alone.
  const node = server.url("node.a").slice(0, -1);
  const open = (): Promise<Page> => connect(browser, "a", node);
  const a = await open();
  await deleteData(browser, a, { node });
  const [b, c] = [await open(), await open()];
  await works(a, b, c);
  const [{ leader }, id] = [await statusOf(a), await idOf(a)];
  expect((await statusOf(b)).leader).toEqual(leader);
  expect(await idOf(b)).toBe(id);

  await a.close();
  await expect.poll(async () => (await statusOf(b)).leader?.epoch, { timeout: 60_000 }).toBeGreaterThan(leader?.epoch ?? Infinity);
  await works(b, c);
});

/** What "Delete browsing data" does to the node's origin. Before everything is kept there, it may find nothing to delete. */
async function deleteData(browser: BrowserContext, page: Page, { node }: Hosted): Promise<void> {
  await keptFor(page, { node });
  const session = await browser.newCDPSession(page);
  await session.send("Storage.clearDataForOrigin", { origin: node, storageTypes: "all" });
  await expect.poll(() => locksOf(browser, { node }), { message: "new pages see no lock" }).toEqual([]);
}

/** The locks that a new document of the node's origin sees held. */
async function locksOf(browser: BrowserContext, { node }: Hosted): Promise<unknown[]> {
  const page = await browser.newPage();
  await page.goto(`${node}/icon.svg`);
  const held = await page.evaluate(async () => (await navigator.locks.query()).held ?? []);
  await page.close();
  return held;
}

/** Notes how many frames the node has, each time that it is told; the result tells which numbers there were. */
async function watchFrames(page: Page): Promise<() => Promise<number[]>> {
  await page.evaluate(() => {
    const counts = new Set<number>();
    Object.assign(window, { counts });
    void (async () => {
      for await (const { frames } of window.mine.watch()) counts.add(frames.length);
    })();
  });
  return () => page.evaluate(() => [...(window as unknown as { counts: Set<number> }).counts]);
}

/** Answers with what it was asked; the page's id. */
const answering = (page: Page): Promise<string> =>
  page.evaluate(() => {
    void window.mine.answer("echo", (data) => data);
    return window.mine.id;
  });

/** What became of calls that weren't answered. */
const callAll = (page: Page, peer: string): Promise<unknown[]> =>
  page.evaluate(
    async ([peer, calls]) => {
      const failures: unknown[] = [];
      for (let call = 0; call < calls; call++) {
        const answer = await window.mine.call(peer, "echo", call).catch((error: unknown) => String(error));
        if (answer !== call) failures.push(answer);
      }
      return failures;
    },
    [peer, CALLS] as const,
  );
