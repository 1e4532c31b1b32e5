// A profile that was copied: two browsers have the same personas.
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
  // What it has registered is counted below.
  await expect.poll(async () => (await metrics.read()).sum("rendezvous_personas")).toBe(1);
  await before.close();
  await using copy = await home.clone();

  const [one, two, three] = await Promise.all([home.open(), copy.open(), browse()]);
  const [a, b, c, d, far] = await Promise.all([
    ...[one, one, two, two].map((browser) => connect(browser, "a")),
    connect(three, "c"),
  ]) as [Page, Page, Page, Page, Page];
  expect(await Promise.all([a, b, c, d].map(idOf))).toEqual([id, id, id, id]);
  const leaders = await Promise.all([a, c].map(leaderOf));
  for (const [page, name] of [[a, "original"], [c, "copy"]] as const)
    await page.evaluate(async (name) => {
      void window.mine.answer("who", () => name);
      // After this the leader knows.
      await window.mine.status();
    }, name);

  // Whoever registered last is signalled to, and stays the one whom this peer talks with.
  const who = (): Promise<string> => far.evaluate((id) => window.mine.call(id, "who", null) as Promise<string>, id);
  await reach(far, id);
  const reached = await who();
  expect(["original", "copy"]).toContain(reached);
  await works(a, b);
  await works(c, d);
  expect(await who()).toBe(reached);

  expect(await Promise.all([a, c].map(leaderOf))).toEqual(leaders);
  // The server keeps both sockets. If one's registration cost the other its own, that one would register anew, and so on in turn.
  const counted = async (): Promise<unknown> => {
    const now = await metrics.read();
    const received = (kind: string): number => now.sum("rendezvous_received", { kind });
    return { enter: received("enter"), register: received("register"), nodes: now.sum("rendezvous_nodes"), personas: now.sum("rendezvous_personas") };
  };
  await expect.poll(counted).toEqual({ enter: 4, register: 4, nodes: 3, personas: 2 });
  await Promise.all([one, two].map((browser) => browser.close()));
});

async function leaderOf(page: Page): Promise<unknown> {
  return (await statusOf(page)).leader;
}
