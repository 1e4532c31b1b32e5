// Crowds. Of streams to one peer: the first open, the others are refused while those are open, and what is closed makes room. Of sites of one
// browser: each is a persona of its own, whose links it shares with nobody.
import type { Page } from "@playwright/test";

import { enter, heard, reach, say } from "./support/room.ts";
import { EMPTY_SITE, Server } from "./support/server.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

/** How many streams to one peer are open at most (`MAX_STREAMS` of the wire). */
const MOST = 128;

for (const where of ["one browser", "two browsers"])
  test(`500 streams at once, in ${where}: 128 open and the others are refused at once; those that end make room for as many`, async ({ browse, connect }) => {
    const one = await browse();
    const two = where === "one browser" ? one : await browse();
    const [a, b] = [await connect(one, "a"), await connect(two, "b")];
    await b.evaluate(() => {
      // Until the opener has finished.
      void window.mine.serve("crowd", async (stream) => {
        await stream.readable.pipeTo(new WritableStream());
        await stream.close();
      });
    });
    const peer = await reach(a, await idOf(b));

    const rounds = await a.evaluate(async (peer) => {
      const rounds = [];
      for (let round = 0; round < 2; round++) {
        // Longer than this test may take: what is refused doesn't end by that.
        const opening = Array.from({ length: 500 }, () => window.mine.open(peer, "crowd", { timeout: 600_000 }));
        const outcomes = await Promise.allSettled(opening);
        const streams = outcomes.filter((one) => one.status === "fulfilled").map(({ value }) => value);
        const refusals = outcomes.filter((one) => one.status === "rejected").map(({ reason }) => `${reason.code}, ${reason.retryable}`);
        rounds.push({ opened: streams.length, refused: refusals.length, refusals: [...new Set(refusals)] });
        await Promise.all(streams.map(async (stream) => {
          await stream.close();
          await stream.readable.pipeTo(new WritableStream());
        }));
      }
      return rounds;
    }, peer);

    expect(rounds).toEqual(Array(2).fill({ opened: MOST, refused: 500 - MOST, refusals: ["Quota, true"] }));
  });

/** Links of one persona at most, and of all personas of a node (`node::limits`). */
const [OF_ONE, OF_ALL] = [24, 96];
const SITES = Array.from({ length: 20 }, (_, at) => `s${at}`);

const crowd = test.extend({
  server: async ({}, use) => {
    const server = await Server.start(SITES.flatMap((name) => ["--site", `${name}.localhost=${EMPTY_SITE}`]));
    await use(server);
    await server.stop();
  },
});

crowd("twenty sites of one browser in one topic, and a peer that all of them call: links stay within bounds, and nobody starves", async ({ browse, connect }) => {
  const [near, far] = await Promise.all([browse(), browse()]);
  const [observer, peer] = [await connect(near, "a"), await connect(far, "b")];
  await peer.evaluate(() => window.mine.answer("echo", (data) => data));
  await enter(peer, "all");
  const sites: Page[] = [];
  // A few at once, as a person opens them.
  while (sites.length < SITES.length) {
    const next = SITES.slice(sites.length, sites.length + 5);
    sites.push(...(await Promise.all(next.map((name) => connect(near, name)))));
  }
  await Promise.all(sites.map((site) => enter(site, "all")));

  const id = await idOf(peer);
  const echo = ({ id, at }: { id: string; at: number }): Promise<unknown> => window.mine.call(id, "echo", at);
  expect(await Promise.all(sites.map((site, at) => site.evaluate(echo, { id, at })))).toEqual([...sites.keys()]);
  await say(peer, "all", "to everybody");
  for (const site of sites) await expect.poll(async () => (await heard(site, "all")).map(({ data }) => data)).toEqual(["to everybody"]);

  const { peers } = await statusOf(observer);
  const counts = new Map<string, number>();
  for (const { persona = "", links } of peers) counts.set(persona, (counts.get(persona) ?? 0) + links);
  expect([...counts.keys()].toSorted()).toEqual((await Promise.all(sites.map(idOf))).toSorted());
  for (const count of counts.values()) expect(count).toBeLessThanOrEqual(OF_ONE);
  expect([...counts.values()].reduce((sum, count) => sum + count)).toBeLessThanOrEqual(OF_ALL);
});
