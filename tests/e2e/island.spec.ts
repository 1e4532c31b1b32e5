// Islands: which frames share a node, and what a site learns of the others.
import type { Page } from "@playwright/test";

import { ownPage, works } from "./support/alive.ts";
import { meet } from "./support/room.ts";
import { StrictSite } from "./support/strict.ts";
import { bringSdk, expect, idOf, statusOf, test } from "./support/test.ts";

const scopeOf = (page: Page): Promise<string> => page.evaluate(() => window.mine.scope);

const hostsOf = async (page: Page): Promise<string[]> => {
  const { frames } = await statusOf(page);
  return frames.map(({ origin }) => new URL(origin).hostname.replace(".localhost", ""));
};

test("two sites and the node's own page have one leader, and nobody is asked", async ({ browse, connect, server }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const b = await connect(browser, "b");
  const own = await ownPage(browser, server);

  expect(await Promise.all([a, b].map(scopeOf))).toEqual(["browser", "browser"]);
  expect(await hostsOf(a)).toEqual(["a", "b", "node"]);
  await expect(own.locator("[data-list=frames] > *")).toHaveCount(3);
  await works(a, b);
  // The person sees with whom each site is linked; to each other the two are peers like any.
  const groups = own.locator("[data-list=peers] > li");
  await expect(groups).toHaveCount(2);
  for (const [site, peer] of [[a, b], [b, a]] as const) {
    const group = groups.filter({ has: own.locator("p", { hasText: new URL(site.url()).origin }) });
    await expect(group.locator("li")).toHaveText([new RegExp(`^${await idOf(peer)} · `)]);
  }
});

test("the own page may come first, and sites find its leader", async ({ browse, connect, server }) => {
  const browser = await browse();
  await ownPage(browser, server);
  const a = await connect(browser, "a");

  expect(await hostsOf(a)).toEqual(["node", "a"]);
});

test("with third-party cookies blocked each site has a node of its own, shared by its tabs", async ({ browse, connect }) => {
  const browser = await browse({ thirdPartyCookies: "blocked" });
  const a1 = await connect(browser, "a");
  const a2 = await connect(browser, "a");
  const b = await connect(browser, "b");

  expect(await Promise.all([a1, a2, b].map(scopeOf))).toEqual(["site", "site", "site"]);
  const [one, two] = [await statusOf(a1), await statusOf(a2)];
  expect(one).toMatchObject({ scope: "site" });
  expect(two.leader).toEqual(one.leader);
  expect(await hostsOf(a1)).toEqual(["a", "a"]);
  expect(await hostsOf(b)).toEqual(["b"]);
  expect(await idOf(a2)).toBe(await idOf(a1));
  expect(await idOf(b)).not.toBe(await idOf(a1));
  await works(a1, a2);
});

test("with third-party cookies blocked an id stays over a reload and a new visit", async ({ browse, connect }) => {
  const browser = await browse({ thirdPartyCookies: "blocked" });
  const first = await connect(browser, "a");
  const id = await idOf(first);
  await first.close();

  expect(await idOf(await connect(browser, "a"))).toBe(id);
});

test("a sandboxed iframe falls back to a node of the site", async ({ browse, connect }) => {
  const init = `{
    const create = document.createElement;
    document.createElement = function (name, ...more) {
      const element = create.call(this, name, ...more);
      if (name === "iframe") element.sandbox = "allow-scripts allow-same-origin";
      return element;
    };
  }`;
  const browser = await browse({ init });
  const a = await connect(browser, "a");
  const b = await connect(browser, "b");

  expect(await Promise.all([a, b].map(scopeOf))).toEqual(["site", "site"]);
  expect(await hostsOf(a)).toEqual(["a"]);
});

test("a host that forbids storage access has a node of its own; other sites share theirs", async ({ browse, connect, server }) => {
  const browser = await browse();
  const strict = await StrictSite.start({ "permissions-policy": "storage-access=()" });
  const b = await browser.newPage();
  await b.goto(strict.url("b"));
  await bringSdk(b, server);
  await b.evaluate(async (node) => {
    window.mine = await window.sdk.connect({ node });
  }, server.node);
  const [a, c] = [await connect(browser, "a"), await connect(browser, "c")];

  expect(await Promise.all([a, b, c].map(scopeOf))).toEqual(["browser", "site", "browser"]);
  expect(await hostsOf(a)).toEqual(["a", "c"]);
  await works(a, c);
  await strict.stop();
});

test("an id stays over a reload and a new visit, and is another on every site", async ({ browse, connect, visit }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const ids = [await idOf(a), await idOf(await connect(browser, "b")), await idOf(await connect(browser, "c"))];
  expect(ids).toEqual(ids.map(() => expect.stringMatching(/^[13-9a-km-uw-z]{52}$/)));
  expect(new Set(ids).size).toBe(3);

  // All pages gone, the leader goes, too; the next one is of the same node.
  const last = await visit(browser, "a");
  await Promise.all(browser.pages().filter((page) => page !== last).map((page) => page.close()));
  expect(await idOf(await connect(browser, "a"))).toBe(ids[0]);
  expect(await idOf(await connect(browser, "b"))).toBe(ids[1]);
});

test("a site that doesn't observe sees its own part only, and nothing that two sites could compare", async ({ browse, connect }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const [b, c] = [await connect(browser, "b"), await connect(browser, "c")];
  await meet("of a and b", a, b);
  await meet("of a and c", a, c);

  const [seenByB, seenByC] = [await statusOf(b), await statusOf(c)];
  expect(seenByB).toEqual({
    scope: "browser",
    frames: [{ id: expect.any(String), origin: new URL(b.url()).origin, links: 0, visible: expect.any(Boolean) }],
    peers: [{ id: await idOf(a), links: 1, path: "direct", frames: [] }],
    seeds: 0,
    topics: [expect.any(String)],
    warnings: [],
  });
  // The one thing in common is a's persona, which a itself told them.
  const shared = leavesOf(seenByB).filter((value) => leavesOf(seenByC).includes(value));
  expect(shared.filter((value) => typeof value === "string" && value.length > "browser".length)).toEqual([await idOf(a)]);
  // While an observer sees what they must not.
  expect((await statusOf(a)).leader).toEqual({ epoch: expect.any(Number), boot: expect.any(String), kind: "shared", build: expect.any(String) });
  expect(await hostsOf(a)).toEqual(["a", "b", "c"]);
});

test("what two sites can reach of a node has nothing in common that a site of another node hasn't", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [b, c, observer] = [await connect(one, "b"), await connect(one, "c"), await connect(one, "a")];
  const [control, elsewhere] = [await connect(two, "c"), await connect(two, "a")];
  await meet("of all", b, c, control);
  const views = await Promise.all([b, c, control].map(reachable));
  const [ofB = [], ofC = [], ofControl = []] = views.map((view) => leavesOf(view).map(String));

  expect(ofB.filter((value) => ofC.includes(value) && !ofControl.includes(value))).toEqual([]);

  // What an observer knows the node by is in none of it.
  const { leader, frames } = await statusOf(observer);
  for (const known of [leader?.boot, ...frames.filter(({ origin }) => origin !== "").map(({ id }) => id)]) {
    const holders = [ofB, ofC].filter((view) => view.join("\n").includes(String(known)));
    const isItsOwnFrame = frames.some(({ id }) => id === known);
    expect(holders.length, `${known}`).toBeLessThanOrEqual(isItsOwnFrame ? 1 : 0);
  }

  // To an observer of the other node, too, they are two strangers.
  const linked = (await statusOf(elsewhere)).peers.map(({ id, persona, frames, links }) => ({ id, persona, frames, links }));
  const [here, peers] = [await idOf(control), (await Promise.all([b, c].map(idOf))).toSorted()];
  expect(linked.toSorted(byId)).toEqual(peers.map((id) => ({ id, persona: here, frames: [expect.any(String)], links: 1 })));

  // A site of a third party that talks with both can't tell that they live on one node.
  const seen = (await statusOf(control)).peers.filter(({ id }) => id !== here);
  expect(seen.map(({ id }) => id).toSorted()).toEqual(peers);
  expect(seen.map(({ id, ...rest }) => rest)).toEqual([0, 1].map(() => ({ links: 1, path: seen[0]?.path, frames: [] })));
});

/** Everything of the node that a site can get hold of, once it is in the topic `of all`. */
async function reachable(page: Page): Promise<unknown> {
  return page.evaluate(async () => {
    const codeAndText = ({ code, message }: { code: string; message: string }): string => `${code}: ${message.replaceAll(window.mine.id, "ours")}`;
    const failing = async (ask: () => Promise<unknown>): Promise<unknown> => ask().catch(codeAndText);
    const [watched] = [await window.mine.watch()[Symbol.asyncIterator]().next()];
    const nobody = `${"y".repeat(51)}o`;
    const address = Uint8Array.from(atob((await window.mine.address()).replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    // The server's proxies come first (`wire/src/address.rs`): each a family, an IP and a port, and the same for all.
    let own = 2;
    for (let proxies = (address[1] ?? 0) & 15; proxies > 0; proxies--) own += address[own] === 4 ? 7 : 19;
    return {
      own: { id: window.mine.id, scope: window.mine.scope, version: window.mine.version },
      status: await window.mine.status(),
      watched: watched.value,
      peers: window.rooms["of all"]?.topic.peers,
      // Eight bytes of the rest at a time, wherever they begin: with the four of an expiry in common there are four more that tell.
      address: Array.from({ length: address.length - own - 7 }, (_, at) => String(address.slice(own + at, own + at + 8))),
      failures: [
        await failing(() => window.mine.dial(nobody)),
        await failing(() => window.mine.dial(window.mine.id)),
        await failing(() => window.mine.call(window.mine.id, "nothing", 1)),
        await failing(() => window.mine.service("nothing")["nothing"]?.() as Promise<unknown>),
        await failing(() => window.mine.join("")),
      ],
    };
  });
}

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);

/** All strings, numbers and booleans in a value. */
function leavesOf(value: unknown): unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(leavesOf) : [value];
}
