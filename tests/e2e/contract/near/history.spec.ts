// A page goes away, and comes back from the browser's back/forward cache or is loaded again.
import { scopeBecomes } from "../../support/consent.ts";
import { enter, hearsOnly } from "../../support/room.ts";
import { type Tab, bringSdk, enlist } from "../../support/tab.ts";
import { expect, test } from "../test.ts";

test("a page goes away and back, from the cache or not, and is in the node again", async ({ a, here, more, server }) => {
  const tab = await more("a");
  const id = await tab.evaluate(() => window.mine.id);
  const home = await tab.evaluate(() => location.href);
  await enter(a, "history");

  // The page may be gone before it says that it did that.
  await tab.evaluate((url) => void setTimeout(() => (location.href = url)), server.url("c")).catch(() => {});
  await shows(tab, server.url("c"));
  await tab.evaluate(() => void setTimeout(() => history.back())).catch(() => {});
  await shows(tab, home);
  if (!(await tab.evaluate(() => "mine" in window))) {
    await bringSdk(tab, server);
    await enlist(tab, server.node);
  }
  await scopeBecomes(tab, here.scope);

  expect(await tab.evaluate(() => window.mine.id)).toBe(id);
  await enter(tab, "history");
  await hearsOnly(a, tab, "history", "back");
  await hearsOnly(tab, a, "history", "welcome");
});

/** Waits until the tab shows a page. */
async function shows(tab: Tab, url: string): Promise<void> {
  const shown = (): Promise<string> => tab.evaluate(() => location.href).catch(() => "between pages");
  await expect.poll(shown).toBe(url);
}
