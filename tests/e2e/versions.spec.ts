// One build after another, with pages of both open; and deployments that are broken. The node's files are on a static host, which sends
// no headers, keeps nothing of an earlier build, and writes down what it was asked for and didn't have.
import type { BrowserContext, Page } from "@playwright/test";

import { frameOf, ownPage, works } from "./support/alive.ts";
import { type Build, Builds } from "./support/builds.ts";
import { StaticHost } from "./support/host.ts";
import { type Outcome, ask, kept, keptFor, replaced } from "./support/kept.ts";
import { finish, flawless, goesOn, talk } from "./support/numbers.ts";
import { bringRaw } from "./support/raw.ts";
import { enter, hearsOnly } from "./support/room.ts";
import { expect, idOf, statusOf, test as base } from "./support/test.ts";

interface Fixtures {
  readonly builds: Builds;
  /** Where the node is, in its first build. */
  readonly host: StaticHost;
  /** Opens a site and connects it to the node there. */
  readonly embed: (browser: BrowserContext, site: string) => Promise<Page>;
  /** Makes this build the only one that is there. */
  readonly deploy: (build: Build) => Promise<void>;
}

const test = base.extend<Fixtures>({
  builds: async ({ server }, use) => {
    const builds = await Builds.make();
    await builds.put("config.json", JSON.stringify({ observe: ["a", "b", "c"].map((site) => server.url(site).slice(0, -1)) }));
    await builds.put("seeds.json", JSON.stringify({ seeds: [{ server: `${server.node}/rendezvous` }] }));
    await builds.withdraw("second");
    await use(builds);
    await builds.remove();
  },
  host: async ({ builds }, use) => {
    const host = await StaticHost.start(builds.dir);
    await use(host);
    await host.stop();
  },
  embed: async ({ connect, host }, use) => {
    await use((browser, site) => connect(browser, site, host.node));
  },
  deploy: async ({ builds }, use) => {
    await use(async (build) => {
      await builds.deploy(build);
      await builds.withdraw(build === "first" ? "second" : "first");
    });
  },
});

/** The build of the frame in a page. */
const buildOf = (page: Page, host: StaticHost): Promise<string | null> =>
  frameOf(page, host).locator("meta[name=build]").getAttribute("content");

const leaderOf = async (page: Page): Promise<string | undefined> => (await statusOf(page)).leader?.build;

test("a new build waits until no page runs the old one, which goes on from what is kept of it", async ({ browse, builds, deploy, embed, host, server }) => {
  const browser = await browse({ thirdPartyCookies: "blocked" });
  const a = await embed(browser, "a");
  await keptFor(a, host);

  await deploy("second");
  await expect.poll(() => ask(a, host)).toBe("waits");
  const b = await embed(browser, "a");
  expect(await Promise.all([a, b].map((page) => buildOf(page, host)))).toEqual([builds.ids.first, builds.ids.first]);
  // A module that is loaded later; the server has it no longer.
  await a.evaluate(() => window.mine.address());
  await works(a, b);

  const elsewhere = await browser.newPage();
  await elsewhere.goto(server.url("c"));
  const moved = replaced(elsewhere);
  await Promise.all([a.close(), b.close()]);
  await moved;
  expect(await buildOf(await embed(browser, "a"), host)).toBe(builds.ids.second);
  expect(host.missed.filter((path) => path.startsWith("/assets/"))).toEqual([]);
});

test("first, second, first again, with pages of both open: leaders move in order, streams and topics go on, nothing is missed", async ({ browse, builds, deploy, embed, host }) => {
  test.setTimeout(120_000);
  const { first, second } = builds.ids;
  const [near, far] = [await browse(), await browse()];
  const own = await ownPage(near, host);
  await kept(own);
  await own.close();
  const [a, c] = [await embed(near, "a"), await embed(far, "c")];
  await keptFor(a, host);
  await keptFor(c, host);

  await deploy("second");
  const b = await embed(near, "b");
  await keptFor(b, host);
  expect([await buildOf(a, host), await buildOf(b, host), await leaderOf(b)]).toEqual([first, second, first]);
  // A module that is loaded later; the server has it no longer.
  await a.evaluate(() => window.mine.address());
  await moves([b, c], "first move", a, second, "the second build leads");

  await deploy("first");
  const d = await embed(near, "c");
  expect([await buildOf(d, host), await leaderOf(d)]).toEqual([first, second]);
  await moves([d, c], "second move", b, first, "the first build leads again");

  await works(d, await embed(near, "a"));
  expect(host.missed.filter((path) => path.startsWith("/assets/"))).toEqual([]);
});

test("the worker that sites share is kept in its newest build, though the node's own page wasn't opened since", async ({ browse, builds, deploy, embed, host, server }) => {
  const browser = await browse();
  const own = await ownPage(browser, host);
  await kept(own);
  await own.close();

  await deploy("second");
  const a = await embed(browser, "a");
  expect(await leaderOf(a)).toBe(builds.ids.second);
  await keptFor(a, host);
  const elsewhere = await browser.newPage();
  await elsewhere.goto(server.url("c"));
  const moved = replaced(elsewhere);
  await a.close();
  await moved;

  await host.stop();
  await (await browser.newCDPSession(elsewhere)).send("Network.clearBrowserCache");
  expect(await leaderOf(await embed(browser, "a"))).toBe(builds.ids.second);
});

const BROKEN: [what: string, outcome: Outcome, spoil: (builds: Builds) => Promise<void>][] = [
  ["lacks a file", "not installed", (builds) => builds.drop(builds.script("second", "addresses"))],
  ["has a file that isn't what was built", "not installed", (builds) => builds.put(builds.script("second", "addresses"), "export {};")],
  ["has a service worker that throws", "not run", (builds) => builds.put("sw.js", "throw new Error('broken');")],
];

for (const [what, outcome, spoil] of BROKEN) {
  test(`a deployment that ${what}: the old build goes on where it is, and the new one works from the network`, async ({ browse, builds, deploy, embed, host }) => {
    const browser = await browse({ thirdPartyCookies: "blocked" });
    const a = await embed(browser, "a");
    await keptFor(a, host);

    await deploy("second");
    await spoil(builds);
    await expect.poll(() => ask(a, host)).toBe(outcome);
    const id = await idOf(a);
    await a.close();
    const [b, c] = [await embed(browser, "a"), await embed(browser, "a")];
    expect([await idOf(b), await buildOf(b, host), await buildOf(c, host)]).toEqual([id, builds.ids.first, builds.ids.first]);
    await works(b, c);

    const [d, e] = [await embed(browser, "b"), await embed(browser, "b")];
    expect(await Promise.all([d, e].map((page) => buildOf(page, host)))).toEqual([builds.ids.second, builds.ids.second]);
    await works(d, e);

    await deploy("second");
    await expect.poll(() => ask(b, host)).toBe("waits");
    const repaired = replaced(d);
    await Promise.all([b.close(), c.close()]);
    await repaired;
    expect(await buildOf(await embed(browser, "a"), host)).toBe(builds.ids.second);
  });
}

const LOST: [what: string, lost: (builds: Builds) => string | Promise<string>, init?: string][] = [
  ["its frame's module", (builds) => builds.module("frame")],
  ["its leader's script", (builds) => builds.script("first", "leader")],
  ["the script that leads without SharedWorker", (builds) => builds.script("first", "dedicated"), "delete window.SharedWorker;"],
];

for (const [what, lost, init] of LOST)
  test(`a deployment that lacks ${what} says so where it was never visited: its page, its badge, and to a site`, async ({ browse, builds, host, visit }) => {
    await builds.drop(await lost(builds));
    const browser = await browse({ ...(init !== undefined && { init }) });
    const own = await browser.newPage();
    await own.goto(host.node);
    await expect(own.getByText("Not running. Reload the page to try again.")).toBeVisible();

    const a = await visit(browser, "a");
    const asked = await a.evaluate((node) => window.sdk.connect({ node, timeout: 30_000 }).then(() => "connected", ({ code, message }) => `${code}: ${message}`), host.node);
    expect(asked).toMatch(/^NoNode: the node('s leader)? can't be loaded/);
    // The SDK takes its iframe out then; a site of its own making may leave it.
    await bringRaw(a);
    await a.evaluate((node) => window.bare.line(node), host.node);
    await expect(a.frameLocator("iframe").locator(".badge").getByText("not running").filter({ visible: true })).toBeVisible();
  });

/** The last page of the leader's build goes, and a page of another one has that build lead: stream and topic go on, and nothing is lost. */
async function moves([page, peer]: [Page, Page], topic: string, last: Page, build: string, message: string): Promise<void> {
  await Promise.all([page, peer].map((page) => enter(page, topic)));
  await talk(page, peer, 10);
  await goesOn(page, peer);
  await last.close();
  await expect.poll(() => leaderOf(page), { message }).toBe(build);
  await goesOn(page, peer);
  await hearsOnly(page, peer, topic, "still there?");
  await flawlessly(page, peer);
}

/** Ends the stream of two pages, on which nothing was lost, doubled or changed. */
async function flawlessly(...pages: [Page, Page]): Promise<void> {
  const [one, two] = await finish(...pages);
  expect([one, two]).toEqual([flawless(one, two.sent), flawless(two, one.sent)]);
}
