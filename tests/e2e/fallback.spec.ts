// Browsers without the SharedWorker: a dedicated worker of one frame leads.
import type { BrowserContext } from "@playwright/test";

import { frameOf, works } from "./support/alive.ts";
import { meet } from "./support/room.ts";
import { expect, idOf, statusOf, test as base } from "./support/test.ts";

const test = base.extend<{ old: () => Promise<BrowserContext> }>({
  /** Opens a browser that has no SharedWorker. */
  old: async ({ browse }, use) => use(() => browse({ init: "delete window.SharedWorker;" })),
});

const dedicated = { epoch: expect.any(Number), boot: expect.any(String), kind: "dedicated", build: expect.any(String) };

test("the leading tab's iframe loads again: another frame leads, and all find it", async ({ old, connect, server }) => {
  const browser = await old();
  const leading = await connect(browser, "a");
  const second = await connect(browser, "a");
  const before = (await statusOf(second)).leader;

  await frameOf(leading, server).evaluate(() => location.reload());

  for (const page of [second, leading])
    await page.evaluate(async (boot) => {
      for await (const { frames, leader } of window.mine.watch()) if (leader?.boot !== boot && frames.length === 2) return;
    }, before?.boot);
  await works(leading, second);
});

test("eight frames start at once: one of them leads", async ({ old, visit, server }) => {
  const page = await visit(await old(), "a");

  const statuses = await page.evaluate(async (node) => {
    const nodes = await Promise.all(Array.from({ length: 8 }, () => window.sdk.connect({ node })));
    return Promise.all(nodes.map((node) => node.status()));
  }, server.node);

  const [{ leader }] = statuses as [(typeof statuses)[0]];
  expect(leader).toEqual(dedicated);
  expect(statuses.map((status) => status.leader)).toEqual(statuses.map(() => leader));
  expect(statuses.map(({ frames }) => frames.length)).toEqual(statuses.map(() => 8));
});

test("with the fallback's leader two browsers meet, and call each other", async ({ old, browse, connect }) => {
  const a = await connect(await old(), "a");
  const b = await connect(await browse(), "b");
  await meet("lobby", a, b);
  await a.evaluate(() => void window.mine.answer("double", (data) => 2 * (data as number)));
  await b.evaluate(() => void window.mine.answer("halve", (data) => (data as number) / 2));

  expect(await b.evaluate((id) => window.mine.call(id, "double", 21), await idOf(a))).toBe(42);
  expect(await a.evaluate((id) => window.mine.call(id, "halve", 42), await idOf(b))).toBe(21);
  expect((await statusOf(a)).leader).toEqual(dedicated);
});
