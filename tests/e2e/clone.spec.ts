// A profile that was copied: two browsers are the same node.
import type { Page } from "@playwright/test";

import { works } from "./support/alive.ts";
import { test } from "./support/apart.ts";
import { Home } from "./support/browsers.ts";
import { reach } from "./support/room.ts";
import { expect, idOf, statusOf } from "./support/test.ts";

test("a copied profile runs beside its original: both work for their own tabs, one of them is reached, and they don't fight over the server", async ({ browse, connect, metrics }) => {
  await using home = await Home.make();
  const before = await home.open();
  const id = await idOf(await connect(before, "a"));
  await before.close();
  await using copy = await home.clone();

  const [one, two, three] = await Promise.all([home.open(), copy.open(), browse()]);
  const began = performance.now();
  const [a, b, c, d, far] = await Promise.all([
    ...["a", "b"].map((site) => connect(one, site)),
    ...["a", "b"].map((site) => connect(two, site)),
    connect(three, "c"),
  ]) as [Page, Page, Page, Page, Page];
  expect([await idOf(a), await idOf(c)]).toEqual([id, id]);
  const leaders = await Promise.all([a, c].map(leaderOf));
  for (const page of [a, c]) await page.evaluate(() => void window.mine.answer("echo", (data) => data));

  // Whose link gives way to the other's meanwhile can't answer.
  const echo = (): Promise<unknown> =>
    far.evaluate((id) => window.mine.call(id, "echo", "hello").catch(({ code }) => code as string), id);
  await reach(far, id);
  await expect.poll(echo).toBe("hello");
  await works(a, b);
  await works(c, d);

  expect(await Promise.all([a, c].map(leaderOf))).toEqual(leaders);
  // The server closes the one's socket when the other registers. Whoever was closed waits for half a second at least.
  const registered = (await metrics.read()).sum("rendezvous_received", { kind: "register" }) - 1;
  expect(registered).toBeGreaterThanOrEqual(3);
  expect(registered).toBeLessThan(3 + (4 * (performance.now() - began)) / 1000);
  await Promise.all([one, two].map((browser) => browser.close()));
});

async function leaderOf(page: Page): Promise<unknown> {
  return (await statusOf(page)).leader;
}
