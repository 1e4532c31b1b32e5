// Whoever knows only an id is shown no network address of the person's, and has the browser try none, until the site accepts it. The stranger's
// browser notes each candidate that it is given, and ours each one that it tries.
import { ownPage, tick } from "./support/alive.ts";
import { test as base } from "./support/apart.ts";
import { read } from "./support/byhand.ts";
import { inMessages, NOTES, noted } from "./support/candidates.ts";
import { addressOf, again, dial, pathsOf, serveEcho, talk } from "./support/dials.ts";
import * as firefox from "./support/firefox.ts";
import { ownAddress } from "./support/machine.ts";
import { befriend, reach } from "./support/room.ts";
import type { Server } from "./support/server.ts";
import { chromium, connect, type Driven, type Tab } from "./support/tab.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

const BROWSERS = {
  Chromium: (place: number) => chromium({ init: NOTES }, place),
  Firefox: (place: number) => firefox.open({ init: NOTES }, place),
};
type Kind = keyof typeof BROWSERS;

const own = ownAddress();

const strangers = base.extend<{ readonly start: (kind: Kind) => Promise<Driven> }>({
  start: async ({}, use) => {
    const starting: Promise<Driven>[] = [];
    await use((kind) => {
      const browser = BROWSERS[kind](starting.length);
      starting.push(browser);
      return browser;
    });
    await Promise.all(starting.map(async (browser) => (await browser).close()));
  },
});

strangers.use({ udp: `${own}:0` });
strangers.skip(own === undefined, "this machine has no address but the loopback's, to which Firefox sends nothing");

for (const [stranger, ours] of [["Chromium", "Chromium"], ["Firefox", "Chromium"], ["Chromium", "Firefox"]] as const)
  strangers(`a stranger's ${stranger} and our ${ours} try the server's address alone, until our site accepts the stranger`, async ({ server, start }) => {
    strangers.skip(firefox.missing !== undefined && [stranger, ours].includes("Firefox"), firefox.missing);
    const [one, two] = await Promise.all([start(ours), start(stranger)]);
    const [a, b] = [await connect(one, server, "a"), await connect(two, server, "b")];
    await a.evaluate(async () => {
      void window.mine.serve("aloof", (stream) => stream.readable.pipeTo(stream.writable), { direct: false });
      void window.mine.answer("refuse", () => Promise.reject(new Error("no")));
      await window.mine.status();
    });

    const id = await reach(b, await idOf(a));
    await b.evaluate(async (id) => {
      const { readable, writable } = await window.mine.open(id, "aloof");
      const writer = writable.getWriter();
      await writer.write(new Uint8Array(1000));
      await readable.getReader().read();
      await window.mine.call(id, "refuse", null).catch(() => {});
    }, id);

    await knowNothing(server, a, b);
    expect((await statusOf(a)).peers.map(({ path }) => path)).toEqual(["proxied"]);

    await befriend(b, a);
    const { given } = await noted(b, server.node);
    const { gathered } = await noted(a, server.node);
    expect(given.some((candidate) => gathered.includes(candidate)), "which is how they are connected directly").toBe(true);
  });

/** Neither was given a candidate but the server's, nor the bytes of one. */
async function knowNothing(server: Server, a: Tab, b: Tab): Promise<void> {
  const { proxy } = read(await addressOf(a));
  const [ofA, ofB] = [await noted(a, server.node), await noted(b, server.node)];
  for (const { gathered, given } of [ofA, ofB]) {
    expect(gathered, "there is something to be told").not.toEqual([]);
    expect([...new Set(given)]).toEqual([`${proxy.ip} ${proxy.port}`]);
  }
  for (const [{ came }, { gathered }] of [[ofA, ofB], [ofB, ofA]] as const) {
    expect(came.length).toBeGreaterThan(4);
    for (const bytes of gathered.flatMap(inMessages)) expect(came.some((message) => message.includes(bytes)), bytes).toBe(false);
  }
}

test("a person who hides the network address is reached over the server alone, by acquaintances, too, and shows it again", async ({ browse, connect, server }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = [await connect(one, "a"), await connect(two, "b")];
  await serveEcho(a);
  await befriend(b, a);
  await talk(b, await idOf(a), "in the open");

  const page = await ownPage(one, server);
  const hides = page.locator("input[data-hides]");
  await expect(hides).not.toBeChecked();
  await tick(hides);
  for (const site of [a, b]) await expect.poll(() => pathsOf(site)).toEqual(["proxied"]);
  await again(b, "nothing was lost");

  // It is stored, and a site that accepts somebody changes nothing.
  await page.reload();
  await expect(hides).toBeChecked();
  expect(await dial(a, await idOf(b))).toBe(await idOf(b));
  await a.evaluate((peer) => window.mine.call(peer, "nobody answers", null).catch(() => {}), await idOf(b));
  expect(await pathsOf(b)).toEqual(["proxied"]);

  await tick(hides);
  for (const site of [a, b]) await expect.poll(() => pathsOf(site)).toEqual(["direct"]);
  await again(b, "nor is anything lost on the way back");
});
