// A site within another site's page: what it learns of the person it may tell that page, so it learns nothing that it knows elsewhere.
import type { Frame, Page } from "@playwright/test";

import { works } from "./support/alive.ts";
import type { Server } from "./support/server.ts";
import { bringSdk, enlist } from "./support/tab.ts";
import { expect, idOf, test } from "./support/test.ts";
import { answer, click, openPage, scopeOf, unify } from "./support/unify.ts";

test("where the browser gives one node to all sites, one within another's page meets it by another id, in a node of that page's", async ({ browse, connect, server }) => {
  const browser = await browse();
  const [a, b, c] = [await connect(browser, "a"), await connect(browser, "b"), await connect(browser, "c")];
  expect(await Promise.all([a, b, c].map(scopeOf))).toEqual(["browser", "browser", "browser"]);

  const [inA, inC] = [await nest(a, "b", server), await nest(c, "b", server)];
  expect(await Promise.all([inA, inC].map(scopeOf))).toEqual(["site", "site"]);
  const ids = await Promise.all([a, b, c, inA, inC].map(idOf));
  expect(new Set(ids).size).toBe(ids.length);
  expect(await refusals(inA, server)).toEqual(["Unsupported", "Denied"]);
  await works(a, b);
});

test("where the browser keeps sites apart, one within another's page meets the person by another id, and doesn't follow that page", async ({ browse, connect, server }) => {
  const browser = await browse({ thirdPartyCookies: "blocked" });
  const [a, b] = [await connect(browser, "a"), await connect(browser, "b")];
  const inA = await nest(a, "b", server);
  const ids = await Promise.all([a, b, inA].map(idOf));
  expect(new Set(ids).size).toBe(ids.length);

  const asked = unify(a);
  await click(a, "yes", server);
  await answer(await openPage(browser, a, "open", server), "allow");
  expect(await asked).toBe("browser");
  // A frame that comes is told of the way, too.
  const late = await nest(a, "b", server);
  expect(await Promise.all([inA, late].map(scopeOf))).toEqual(["site", "site"]);
  expect(await Promise.all([inA, late].map(idOf))).toEqual([ids[2], ids[2]]);
  expect(await refusals(inA, server)).toEqual(["Unsupported", "Denied"]);
});

test("a site within a page of its own is no other", async ({ browse, connect, server }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const inA = await nest(a, "a", server);
  expect([await scopeOf(inA), await idOf(inA)]).toEqual(["browser", await idOf(a)]);
});

/** Opens a site within a page, and connects it to the node. */
async function nest(page: Page, site: string, server: Server): Promise<Frame> {
  const frame = await page.evaluateHandle(async (src) => {
    const iframe = document.createElement("iframe");
    // All that a page can give.
    Object.assign(iframe, { src, allow: "storage-access *" });
    document.body.append(iframe);
    await new Promise((resolve) => iframe.addEventListener("load", resolve));
    return iframe;
  }, server.url(site));
  const inner = await frame.contentFrame();
  if (!inner) throw new Error(`no ${site} in ${page.url()}`);
  await bringSdk(inner, server);
  await enlist(inner, server.node);
  return inner;
}

/** What a site is told that wants one node, and one id, for all sites. */
const refusals = (frame: Frame, { node }: Server): Promise<string[]> =>
  frame.evaluate(async (node) => {
    const codeOf = (asked: Promise<unknown>): Promise<string> => asked.then(() => "granted", ({ code }) => code as string);
    return [await codeOf(window.mine.unify()), await codeOf(window.sdk.connect({ node, identity: "person" }))];
  }, node);
