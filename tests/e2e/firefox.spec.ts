// Stock Firefox dials and is dialled: Firefox to Firefox, and both mixtures with Chromium.
import { test as base } from "./support/apart.ts";
import * as firefox from "./support/firefox.ts";
import { addressOf, again, dial, pathsOf, serveEcho, talk } from "./support/dials.ts";
import { ownAddress } from "./support/machine.ts";
import { chromium, connect, type Driven } from "./support/tab.ts";
import { expect, idOf } from "./support/test.ts";

interface Fixtures {
  /** Opens a browser; closed after the test. */
  readonly start: (kind: Kind) => Promise<Driven>;
}

const BROWSERS = { Chromium: (place: number) => chromium({}, place), Firefox: (place: number) => firefox.open({}, place) };

type Kind = keyof typeof BROWSERS;

const own = ownAddress();

const test = base.extend<Fixtures>({
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

test.use({ udp: `${own}:0` });
test.skip(firefox.missing !== undefined, firefox.missing);
test.skip(own === undefined, "this machine has no address but the loopback's, to which Firefox sends nothing");

const PAIRS: [Kind, Kind][] = [["Firefox", "Firefox"], ["Chromium", "Firefox"], ["Firefox", "Chromium"]];
for (const [dialler, listener] of PAIRS) {
  test(`${dialler} dials ${listener} by its address alone, they move to a direct path, and the server can go`, async ({ start, server, metrics }) => {
    const [one, two] = await Promise.all([start(listener), start(dialler)]);
    const a = await connect(one, server, "a");
    const b = await connect(two, server, "b", server.url("quiet"));
    await serveEcho(a);
    const address = await addressOf(a);

    expect(await dial(b, address)).toBe(await idOf(a));
    await talk(b, await idOf(a), "hello");
    for (const tab of [a, b]) await expect.poll(() => pathsOf(tab)).toEqual(["direct"]);

    const counted = await metrics.read();
    // It went by the proxy first, and nobody signalled.
    expect(counted.sum("proxy_answers")).toBe(1);
    expect(counted.sum("proxy_forwarded_bytes", { to: "listener" })).toBeGreaterThan(0);
    expect(counted.sum("rendezvous_nodes")).toBe(1);
    expect(counted.sum("rendezvous_received", { kind: "signal" })).toBe(0);
    await server.stop();
    await again(b, "and without the server");
    for (const tab of [a, b]) expect(await pathsOf(tab)).toEqual(["direct"]);
  });
}
