// Once connected, peers don't need the server: it stops, and topics, calls and streams go on; it is back, and newcomers find them.
import type { Page } from "@playwright/test";

import { test as apart } from "./support/apart.ts";
import { Metrics } from "./support/metrics.ts";
import { enter, heard, meet, present, reach, say } from "./support/room.ts";
import { Server, SITES } from "./support/server.ts";
import { hashOf, teachBytes } from "./support/streams.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

const SIZE = 3_000_000;

test("with the server stopped, topics, calls and streams go on; with the server back, a newcomer finds them", async ({ browse, connect, server }) => {
  const [one, two, three] = await Promise.all([browse(), browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  const [idA, idB] = [await idOf(a), await idOf(b)];
  await meet("lobby", a, b);
  await b.evaluate(() => {
    void window.mine.answer("echo", (data) => data);
    void window.mine.serve("hash", async (stream) => {
      const all = await new Response(stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
      const writer = stream.writable.getWriter();
      await writer.write(new Uint8Array(await crypto.subtle.digest("SHA-256", all)));
      await writer.close();
    });
  });

  await server.stop();

  await say(a, "lobby", "without a server");
  await expect.poll(() => heard(b, "lobby")).toEqual([{ from: idA, data: "without a server" }]);
  expect(await a.evaluate((peer) => window.mine.call(peer, "echo", "still"), idB)).toBe("still");
  await teachBytes(a);
  const hash = await a.evaluate(
    async ({ peer, size }) => {
      const stream = await window.mine.open(peer, "hash");
      await new Blob([window.bytes(size)]).stream().pipeTo(stream.writable);
      const answer = await new Response(stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
      return [...new Uint8Array(answer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    },
    { peer: idB, size: SIZE },
  );
  expect(hash).toBe(hashOf(SIZE));
  // A topic that nobody can be introduced in still has the peers that are linked.
  await enter(a, "kitchen");
  await enter(b, "kitchen");
  await expect.poll(() => present(a, "kitchen")).toEqual([idB]);

  await server.start();

  const c = await connect(three, "c");
  await enter(c, "lobby");
  await expect.poll(() => present(c, "lobby"), { timeout: 40_000 }).toEqual([idA, idB].toSorted());
  await say(c, "lobby", "found you");
  const found = { from: await idOf(c), data: "found you" };
  await expect.poll(() => heard(a, "lobby")).toEqual([found]);
  await expect.poll(async () => (await heard(b, "lobby")).at(-1)).toEqual(found);
  expect(await c.evaluate((peer) => window.mine.call(peer, "echo", "hello"), idB)).toBe("hello");
  await expect.poll(async () => (await statusOf(a)).peers.length).toBe(2);
});

test("forty tabs of four sites of one browser, with the server stopped, hear one another and keep their leader; with the server back, a newcomer finds them", async ({ browse, connect, server }) => {
  test.setTimeout(120_000);
  const [near, far] = await Promise.all([browse(), browse()]);
  const tabs: Page[] = [];
  // A few at once: each connects within its ten seconds on a busy machine, too.
  while (tabs.length < 40) tabs.push(...(await Promise.all([...SITES, ...SITES].map((site) => connect(near, site)))));
  const [first] = tabs as [Page];
  await Promise.all(tabs.map((tab) => enter(tab, "lobby")));
  const { leader } = await statusOf(first);
  const ids = (await Promise.all(tabs.slice(0, SITES.length).map(idOf))).toSorted();
  // A site's tabs hear each other by their leader. The four sites are each other's peers, and are linked as those of four browsers are.
  for (const tab of tabs) {
    const id = await idOf(tab);
    await expect.poll(() => present(tab, "lobby"), { timeout: 40_000 }).toEqual(ids.filter((other) => other !== id));
  }

  await server.stop();
  await expect.poll(async () => (await statusOf(first)).warnings).toContain("no rendezvous is reachable; trying again");
  await Promise.all(tabs.map((tab, at) => say(tab, "lobby", at)));
  for (const [at, tab] of tabs.entries()) {
    const others = [...tabs.keys()].filter((other) => other !== at);
    await expect.poll(async () => (await heard(tab, "lobby")).map(({ data }) => data as number).toSorted((a, b) => a - b)).toEqual(others);
  }

  await server.start();
  const newcomer = await connect(far, "a");
  await enter(newcomer, "lobby");
  // The longer the server was tried in vain, the later it is tried again.
  await expect.poll(() => present(newcomer, "lobby"), { timeout: 60_000 }).toEqual(ids);
  await say(newcomer, "lobby", "found you");
  for (const tab of tabs) await expect.poll(async () => (await heard(tab, "lobby")).at(-1)?.data).toBe("found you");
  expect((await statusOf(first)).leader).toEqual(leader);
  expect((await statusOf(first)).frames.length).toBe(tabs.length);
});

test("a dial while the server is down fails with PeerUnreachable, and succeeds once it is back", async ({ browse, connect, server }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  const idB = await idOf(b);

  await server.stop();
  expect(await a.evaluate((peer) => window.mine.dial(peer).catch(({ code }) => code as string), idB)).toBe("PeerUnreachable");

  await server.start();
  expect(await reach(a, idB)).toBe(idB);
});

apart("a server that falls silent behind open sockets is left for another of the seeds, and links notice nothing", async ({ browse, connect, server, quiet }) => {
  apart.setTimeout(150_000);
  const counters = [await Metrics.free(), await Metrics.free()];
  const servers = await Promise.all(counters.map(({ extra }) => Server.start(extra)));
  const nodesAt = async (at: number): Promise<number> => ((await counters[at]?.read())?.sum("rendezvous_nodes") ?? 0);
  try {
    await quiet.seed(servers.map(({ port }) => ({ server: `ws://node.localhost:${port}/rendezvous` })));
    const [one, two, three] = await Promise.all([browse(), browse(), browse()]);
    const [a, b] = [await connect(one, "a", server.url("quiet")), await connect(two, "b", server.url("quiet"))];
    await meet("lobby", a, b);
    const silent = (await nodesAt(0)) === 2 ? 0 : 1;
    const other = 1 - silent;
    expect([await nodesAt(silent), await nodesAt(other)]).toEqual([2, 0]);

    servers[silent]?.freeze();

    // Asked after ten seconds, waited for for five; then the other one.
    await expect.poll(() => nodesAt(other), { timeout: 60_000 }).toBe(2);
    await say(a, "lobby", "still here");
    await expect.poll(() => heard(b, "lobby")).toEqual([{ from: await idOf(a), data: "still here" }]);
    // A newcomer may try the silent one first, for fifteen seconds.
    const c = await connect(three, "c", server.url("quiet"));
    await enter(c, "lobby");
    await expect.poll(() => present(c, "lobby"), { timeout: 80_000 }).toEqual([await idOf(a), await idOf(b)].toSorted());
    expect((await statusOf(b)).peers.map(({ links }) => links)).toEqual([1, 1]);
  } finally {
    await Promise.all(servers.map((each) => each.stop()));
  }
});

apart("the only server stands still for half a minute: links notice nothing, and when it goes on a newcomer finds everybody", async ({ browse, connect, server, metrics }) => {
  apart.setTimeout(150_000);
  const [one, two, three] = await Promise.all([browse(), browse(), browse()]);
  const [a, b] = [await connect(one, "a"), await connect(two, "b")];
  await meet("lobby", a, b);
  await expect.poll(async () => (await metrics.read()).sum("rendezvous_sent", { kind: "alive" }), { timeout: 30_000 }).toBeGreaterThan(1);

  server.freeze();
  // What is tested is this time: nodes ask, give the server up, and try again.
  await new Promise((resolve) => setTimeout(resolve, 30_000));
  await say(a, "lobby", "still here");
  await expect.poll(() => heard(b, "lobby")).toEqual([{ from: await idOf(a), data: "still here" }]);
  server.thaw();

  const c = await connect(three, "c");
  await enter(c, "lobby");
  await expect.poll(() => present(c, "lobby"), { timeout: 80_000 }).toEqual([await idOf(a), await idOf(b)].toSorted());
});
