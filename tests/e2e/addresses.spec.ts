// A browser that holds an address connects to the browser behind it and signals nothing; then the two go on without the server.
import type { Page } from "@playwright/test";

import { frameOf } from "./support/alive.ts";
import { Home } from "./support/browsers.ts";
import { test } from "./support/apart.ts";
import { addressOf, again, dial, pathsOf as pathsNow, serveEcho, talk } from "./support/dials.ts";
import { meet } from "./support/room.ts";
import { expect, idOf, statusOf } from "./support/test.ts";

/** How an observer's only peer is reached, as often as that changed. */
const pathsOf = (page: Page): Promise<string[]> => page.evaluate(() => window.paths);

const notePaths = (page: Page): Promise<void> =>
  page.evaluate(() => {
    window.paths = [];
    void (async () => {
      for await (const { peers } of window.mine.watch()) {
        const path = peers[0]?.path;
        if (path && path !== window.paths.at(-1)) window.paths.push(path);
      }
    })();
  });

declare global {
  interface Window {
    paths: string[];
    /** What a frame has tried in vain: certificates that it made, and databases that it opened for them. */
    tried: { certificates: number; databases: number };
  }
}

/** Counts, in every page and frame. */
const COUNTING = `{
  window.tried = { certificates: 0, databases: 0 };
  const { generateCertificate } = RTCPeerConnection;
  RTCPeerConnection.generateCertificate = (...args) => {
    window.tried.certificates += 1;
    return generateCertificate.apply(RTCPeerConnection, args);
  };
  const { open } = IDBFactory.prototype;
  IDBFactory.prototype.open = function (name, ...args) {
    if (name === "bitters-certificates") window.tried.databases += 1;
    return open.call(this, name, ...args);
  };
}`;

/** How the frames' database refuses. */
const REFUSALS = {
  "can't be opened": `{
    const { open } = IDBFactory.prototype;
    IDBFactory.prototype.open = function (name, ...args) {
      const opening = open.call(this, name, ...args);
      if (name === "bitters-certificates") throw new DOMException("the disk is on fire", "UnknownError");
      return opening;
    };
  }`,
  "takes nothing": `IDBObjectStore.prototype.put = () => { throw new DOMException("the disk is full", "QuotaExceededError"); };`,
};

for (const [what, breakage] of Object.entries(REFUSALS)) {
  test(`a database of certificates that ${what}: no certificate is made, it is tried a few times, and links come up`, async ({ browse, connect, server }) => {
    const [one, two, three] = await Promise.all([browse({ init: COUNTING + breakage }), browse(), browse()]);
    const [a, b] = [await connect(one, "a"), await connect(two, "b")];
    // With a link the node wants an address of its own.
    await meet("lobby", a, b);
    const frame = frameOf(a, server);
    await expect.poll(() => frame.evaluate(() => window.tried.databases)).toBeGreaterThan(0);
    // What is tested is this time: it was thousands of times in five seconds.
    await new Promise((resolve) => setTimeout(resolve, 5_000));

    const refused = a.evaluate(() => window.mine.address().catch(({ code }) => code as string));
    expect(await refused).toBe("Unsupported");
    const { certificates, databases } = await frame.evaluate(() => window.tried);
    expect(certificates).toBe(0);
    expect(databases).toBeLessThan(10);
    await meet("kitchen", a, await connect(three, "c"));
  });
}

test("certificates that live for thirty days only are made once", async ({ browse, connect, server }) => {
  const MONTHLY = `{
    const { generateCertificate } = RTCPeerConnection;
    const MONTH = 30 * 24 * 60 * 60 * 1000;
    RTCPeerConnection.generateCertificate = (algorithm) => generateCertificate.call(RTCPeerConnection, { ...algorithm, expires: MONTH });
  }`;
  const a = await connect(await browse({ init: MONTHLY + COUNTING }), "a");
  const address = await addressOf(a);
  const caller = await connect(await browse(), "c", server.url("quiet"));
  expect(await dial(caller, address)).toBe(await idOf(a));
  await new Promise((resolve) => setTimeout(resolve, 3_000));

  expect(await addressOf(a)).toBe(address);
  // The site's, and the node's own.
  expect(await frameOf(a, server).evaluate(() => window.tried.certificates)).toBeLessThanOrEqual(2);
});

for (const trial of ["Enabled", "Disabled"]) {
  test(`a browser that has never met the server's WebSocket dials an address; both move to a direct path, and the server can go (mangling refused: ${trial})`, async ({ browse, connect, server, metrics }) => {
    const args = [`--force-fieldtrials=WebRTC-NoSdpMangleUfrag/${trial}/`];
    const [one, two] = await Promise.all([browse({ args }), browse({ args })]);
    const a = await connect(one, "a");
    const b = await connect(two, "b", server.url("quiet"));
    await Promise.all([notePaths(a), notePaths(b)]);
    await serveEcho(a);
    const address = await addressOf(a);

    expect(await dial(b, address)).toBe(await idOf(a));
    await talk(b, await idOf(a), "through the server");
    // On a busy machine the server forwards for a moment before the direct path is found.
    const way = async (page: Page): Promise<(string | undefined)[]> => [(await pathsOf(page))[0], (await pathsOf(page)).at(-1)];
    for (const page of [a, b]) await expect.poll(() => way(page)).toEqual(["proxied", "direct"]);

    const counted = await metrics.read();
    expect(counted.sum("rendezvous_nodes")).toBe(1);
    expect(counted.sum("rendezvous_received", { kind: "signal" })).toBe(0);
    await server.stop();
    await again(b, "and without it");
  });
}

test("an address outlives its page and the leader, is the same on every visit, and another for another site", async ({ browse, connect, server }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const address = await addressOf(a);
  expect(address).toMatch(/^[\w-]{188,280}$/);
  expect(await addressOf(a)).toBe(address);
  const other = await connect(browser, "b");
  expect(await addressOf(other)).not.toBe(address);

  await a.close();
  await other.close();
  const again = await connect(browser, "a");
  expect(await addressOf(again)).toBe(address);
  const caller = await connect(await browse(), "c", server.url("quiet"));
  expect(await dial(caller, address)).toBe(await idOf(again));
});

test("an address outlives the browser's restart, and is answered before its page asks for it again", async ({ browse, connect, server }) => {
  await using home = await Home.make();
  const first = await home.open();
  const address = await addressOf(await connect(first, "a"));
  await first.close();

  const second = await home.open();
  const a = await connect(second, "a");
  const caller = await connect(await browse(), "c", server.url("quiet"));
  await expect.poll(() => dial(caller, address), { timeout: 40_000 }).toBe(await idOf(a));
  expect(await addressOf(a)).toBe(address);
  await second.close();
});

test("what is no good as an address is refused with the reason", async ({ browse, connect, server }) => {
  const a = await connect(await browse(), "a");
  const b = await connect(await browse(), "b", server.url("quiet"));
  const address = await addressOf(a);

  expect(await dial(b, "hello")).toMatch(/^BadArgument/);
  expect(await dial(b, address.slice(0, 100))).toMatch(/^BadArgument.*truncated/);
  expect(await dial(b, `${address}AAAA`)).toMatch(/^BadArgument/);
  const at = address[100] === "A" ? "B" : "A";
  expect(await dial(b, address.slice(0, 100) + at + address.slice(101))).toMatch(/^BadArgument.*forged/);
});

test("a cold start dials the address that its node ships with, and signals nothing", async ({ browse, connect, server, quiet, metrics }) => {
  const a = await connect(await browse(), "a");
  await quiet.seed([{ address: await addressOf(a) }]);

  const b = await connect(await browse(), "b", server.url("quiet"));
  await expect.poll(async () => (await statusOf(b)).peers.map(({ path }) => path), { timeout: 30_000 }).toEqual(["direct"]);
  expect((await metrics.read()).sum("rendezvous_nodes")).toBe(1);
});

test("the only link is lost and no server is there for signals: the address that the peer told over it is dialled", async ({ browse, connect, server, metrics }) => {
  const a = await connect(await browse(), "a");
  const id = await idOf(a);
  const two = await browse();
  const [first, b] = [await connect(two, "b", server.url("quiet")), await connect(two, "b", server.url("quiet"))];
  await serveEcho(a);
  expect(await dial(b, id)).toMatch(/^PeerUnreachable/);
  expect(await dial(first, await addressOf(a))).toBe(id);
  // By then it has told its address, too: that was said first on the link.
  await expect.poll(() => pathsNow(a)).toEqual(["direct"]);

  await first.close();
  await talk(b, id, "over the next");
  expect((await metrics.read()).sum("rendezvous_received", { kind: "signal" })).toBe(0);
});
