// Two people, each with a browser of their own: they find each other in a topic and talk.
import type { BrowserContext, Page } from "@playwright/test";

import { enter, heard, meet, moves, present, reach, say } from "./support/room.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

/** A key that nobody registered. */
const NOBODY = "9y6o5wekpxr8i9ypkknwf3qpf1btg7wrqgkz9dg3wy5jbpnw1w7o";

test("two browsers meet in a topic, and each message arrives once, in order, under its sender's id", async ({ browse, connect }) => {
  const [a, b] = await pair(browse, connect);
  await meet("lobby", a, b);

  const texts = Array.from({ length: 20 }, (_, at) => `message ${at}`);
  await Promise.all([a, b].map(async (page, who) => {
    for (const text of texts) await say(page, "lobby", { who, text });
  }));
  // The last word of each side: whatever came twice has come by now.
  await say(a, "lobby", "last");
  await say(b, "lobby", "last");

  for (const [page, other, who] of [[a, b, 1], [b, a, 0]] as const) {
    const from = await idOf(other);
    const expected = [...texts.map((text) => ({ from, data: { who, text } as unknown })), { from, data: "last" }];
    await expect.poll(() => heard(page, "lobby")).toEqual(expected);
  }
});

test("sites meet personas: the id in a message is its site's, and nodes know each other by other ids", async ({ browse, connect }) => {
  const [a, b] = await pair(browse, connect);
  await meet("lobby", a, b);

  await expect.poll(async () => (await statusOf(a)).peers).toHaveLength(1);
  const [peer] = (await statusOf(a)).peers;
  // `a` observes: it sees the node behind `b`, which no site's id gives away.
  expect(peer?.id).toMatch(/^[13-9a-km-uw-z]{52}$/);
  expect(peer?.links).toBe(1);
  expect(peer?.path).toBe("direct");
  expect([await idOf(a), await idOf(b)]).not.toContain(peer?.id);
});

test("who enters a topic and who leaves it is told once: by leaving, and by closing the tab", async ({ browse, connect }) => {
  const [a, b] = await pair(browse, connect);
  const c = await connect(b.context(), "c");
  await meet("lobby", a, b, c);
  const [idB, idC] = [await idOf(b), await idOf(c)];

  await c.evaluate(() => window.rooms["lobby"]?.topic.leave());
  await expect.poll(() => present(a, "lobby")).toEqual([idB]);
  await b.close();
  await expect.poll(() => present(a, "lobby")).toEqual([]);

  expect((await moves(a, "lobby")).toSorted()).toEqual([`+${idB}`, `+${idC}`, `-${idB}`, `-${idC}`].toSorted());
});

test("a topic's messages go only to those who are in it", async ({ browse, connect }) => {
  const [a, b] = await pair(browse, connect);
  await meet("lobby", a, b);
  await enter(a, "kitchen");

  await say(a, "kitchen", "for nobody");
  await say(a, "lobby", "for you");

  await expect.poll(() => heard(b, "lobby")).toEqual([{ from: await idOf(a), data: "for you" }]);
});

test("a persona is dialled by its id alone, and a stream opened to it proves both ends' ids", async ({ browse, connect }) => {
  const [a, b] = await pair(browse, connect);
  const [idA, idB] = [await idOf(a), await idOf(b)];
  await b.evaluate(() => {
    void window.mine.serve("greet", async (stream) => {
      const writer = stream.writable.getWriter();
      await writer.write(new TextEncoder().encode(stream.peer));
      await writer.close();
    });
  });

  expect(await reach(a, idB)).toBe(idB);
  const told = await a.evaluate(async (id) => {
    const stream = await window.mine.open(id, "greet");
    return { peer: stream.peer, protocol: stream.protocol, said: await new Response(stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>).text() };
  }, idB);

  expect(told).toEqual({ peer: idB, protocol: "greet", said: idA });
});

test("when the tab that holds the connection closes, another tab of the same node takes over", async ({ browse, connect }) => {
  const [a, b] = await pair(browse, connect);
  const c = await connect(b.context(), "c");
  await meet("lobby", a, b, c);
  const idC = await idOf(c);

  await b.close();
  await expect.poll(() => present(a, "lobby")).toEqual([idC]);
  await expect.poll(async () => (await statusOf(a)).peers.map(({ links }) => links)).toEqual([1]);
  await say(c, "lobby", "still here");

  await expect.poll(() => heard(a, "lobby")).toEqual([{ from: idC, data: "still here" }]);
  // It never seemed to be gone.
  expect(await moves(a, "lobby")).not.toContain(`-${idC}`);
});

test("nobody answers to an unknown id: PeerUnreachable, soon", async ({ browse, connect }) => {
  const a = await connect(await browse(), "a");

  const failures = await a.evaluate(async (id) => {
    const { mine } = window;
    const asked = [mine.dial(id), mine.open(id, "greet"), mine.call(id, "greet", null)];
    return (await Promise.allSettled(asked)).map((one) => one.status === "rejected" && { code: one.reason.code, retryable: one.reason.retryable });
  }, NOBODY);

  expect(failures).toEqual(Array(3).fill({ code: "PeerUnreachable", retryable: true }));
});

async function pair(
  browse: () => Promise<BrowserContext>,
  connect: (browser: BrowserContext, site: string) => Promise<Page>,
): Promise<[Page, Page]> {
  const [one, two] = await Promise.all([browse(), browse()]);
  return Promise.all([connect(one, "a"), connect(two, "b")]);
}
