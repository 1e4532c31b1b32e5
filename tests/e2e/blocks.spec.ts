// The person blocks a peer for a site, on the node's own page.
import type { Page } from "@playwright/test";

import { ownPage, tick } from "./support/alive.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

test("a peer that the person blocks for a site is called no longer, and calls nobody there, until they take it back", async ({ browse, connect, server }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b, other] = await Promise.all([connect(one, "a"), connect(two, "b"), connect(one, "c")]);
  for (const page of [a, b, other]) await page.evaluate(answers);
  const [idA, idB, idOther] = await Promise.all([a, b, other].map(idOf)) as [string, string, string];
  expect([await call(b, idA), await call(b, idOther)]).toEqual(["hello", "hello"]);

  const own = await ownPage(one, server);
  const buttons = (site: string) => own.locator("[data-list=sites] > li").filter({ hasText: server.url(site).slice(0, -1) }).locator(`[data-peer="${idB}"] button`);
  await expect(buttons("a")).toHaveText("Block");
  await tick(buttons("a"));

  await expect(buttons("a")).toHaveText("Unblock");
  // This site sees the whole node.
  await expect.poll(async () => (await statusOf(a)).peers.map(({ persona }) => persona)).toEqual([idOther]);
  expect(await call(a, idB)).toMatch(/^Denied: .*: the person blocked it$/);
  expect(await call(b, idA, 2000)).toMatch(/^Timeout|^PeerUnreachable/);
  expect(await a.evaluate(() => window.log)).toEqual(["called"]);
  expect(await call(b, idOther), "that is for the one site").toBe("hello");

  // It is stored.
  await own.reload();
  await expect(buttons("a")).toHaveText("Unblock");
  await tick(buttons("a"));
  await expect(buttons("a")).toHaveCount(0);
  expect(await call(a, idB)).toBe("hello");
  expect(await call(b, idA)).toBe("hello");
});

/** Runs in a page. */
async function answers(): Promise<void> {
  window.log = [];
  void window.mine.answer("greet", () => {
    window.log.push("called");
    return "hello";
  });
  await window.mine.status();
}

function call(page: Page, peer: string, timeout = 15_000): Promise<unknown> {
  return page.evaluate(({ peer, timeout }) => window.mine.call(peer, "greet", null, { timeout }).catch((error) => `${error.code}: ${error.message}`), { peer, timeout });
}
