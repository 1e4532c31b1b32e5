// One node for all sites as a person gives it where browsers keep sites apart: what the sites are told of it, from the yes to the end.
import { answer, petition, press, rejoin } from "../../support/consent.ts";
import { enlist, type Tab } from "../../support/tab.ts";
import { idOf } from "../../support/test.ts";
import { expect, test } from "../test.ts";

const NOBODY_ASKS = "nobody is asked here";

test("it lasts as long as a page of the node's own is open: sites are told of both, and have their ids there and at home", async ({ here, own }) => {
  test.skip(here.consent.length === 0, NOBODY_ASKS);
  const { a, b, server } = own;
  const ids = [await idOf(a), await idOf(b)];
  for (const tab of [a, b]) await notes(tab);

  await own.closeWays();
  for (const tab of [a, b]) await expect.poll(() => noted(tab), { timeout: 40_000 }).toEqual(["site"]);
  expect(await Promise.all([a, b].map(idOf))).toEqual(ids);

  await rejoin(a, server.node, here.consent);
  expect(await noted(a)).toEqual(["site", "browser"]);
  expect(await idOf(a)).toBe(ids[0]);

  // One whose site's data is cleared has another id, until it comes where it is known. WebKit shows a test no databases of the node's.
  if (here.name.startsWith("WebKit")) return;
  await b.close();
  const anew = await own.open("b", { connected: false });
  await clear(anew, server.node);
  await enlist(anew, server.node);
  expect(ids).not.toContain(await idOf(anew));
  await notes(anew);
  await rejoin(anew, server.node, here.consent);
  await expect.poll(() => noted(anew)).toEqual(["browser", ids[1]]);
  expect(await idOf(anew)).toBe(ids[1]);
});

test("a no on the node's own page is told to the site, and counts without being asked again", async ({ here, more, server }) => {
  test.skip(here.consent.length === 0, NOBODY_ASKS);
  const tab = await more("a", { site: "d", connected: false });
  await enlist(tab, server.node);

  const page = await petition(tab, server.node, here.consent);
  await answer(page, server.node, "refuse");
  expect(await tab.evaluate(() => window.codeOf(() => window.unified))).toBe("Denied");
  await page.close();

  const again = await tab.evaluate(async () => [await window.codeOf(() => window.mine.unify()), window.mine.scope]);
  expect(again).toEqual(["Denied", "site"]);
});

test("one id for all sites: the person is asked for one node first, then for the id, which is the same on each site that gets it", async ({ here, own }) => {
  test.skip(here.consent.length === 0, NOBODY_ASKS);
  const { node } = own.server;
  const ids = [];
  for (const site of ["c", "d"] as const) {
    const tab = await own.open("a", { site, connected: false });
    await tab.evaluate(async (node) => {
      const connecting = window.sdk.connect({ node, identity: "person" }).then((mine) => (window.mine = mine));
      Object.assign(window, { connecting });
      await new Promise((resolve) => document.querySelector("iframe")?.addEventListener("load", resolve));
    }, node);
    for (const acts of [here.consent, ["open"]]) {
      const opened = tab.popup();
      for (const act of acts) await press(tab, node, act);
      await answer(await opened, node, "allow");
    }
    await tab.evaluate(async () => void (await (window as unknown as { connecting: Promise<unknown> }).connecting));
    ids.push(await idOf(tab));
  }
  expect(ids[1]).toBe(ids[0]);
  expect([await idOf(own.a), await idOf(own.b)]).not.toContain(ids[0]);
});

/** Keeps what the site is told of its node's scope and of its id. */
const notes = (tab: Tab): Promise<void> =>
  tab.evaluate(() => {
    window.log = [];
    for (const what of ["identity", "scope"] as const) window.mine.addEventListener(what as "scope", ({ detail }) => window.log.push(detail));
  });

const noted = (tab: Tab): Promise<unknown[]> => tab.evaluate(() => window.log);

/** Clears what the node keeps for the site of a tab, in which it doesn't run. */
async function clear(tab: Tab, node: string): Promise<void> {
  await tab.evaluate(async (node) => {
    const iframe = document.body.appendChild(document.createElement("iframe"));
    iframe.src = `${node}/icon.svg`;
    await new Promise((resolve) => iframe.addEventListener("load", resolve, { once: true }));
  }, node);
  await tab.evaluateIn(node, async () => {
    // A worker that is just ending still knows. Firefox doesn't tell frames which locks there are.
    const { held = [] } = await navigator.locks.query().catch((): LockManagerSnapshot => ({}));
    for (const { name } of held) await navigator.locks.request(name as string, () => {});
    for (const { name } of await indexedDB.databases()) {
      const request = indexedDB.deleteDatabase(name as string);
      await new Promise((resolve) => (request.onsuccess = resolve));
    }
  });
  await tab.evaluate(() => document.querySelector("iframe")?.remove());
}
