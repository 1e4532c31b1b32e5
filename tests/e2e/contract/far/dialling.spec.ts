// How two nodes find each other, and how they part.
import { addressOf, dial, serveEcho, talk } from "../../support/dials.ts";
import { reach } from "../../support/room.ts";
import { idOf, statusOf } from "../../support/test.ts";
import { expect, test } from "../test.ts";

test("a persona is dialled by its id or by its address, from both ends, over one link, and with a second tab over its standby", async ({ a, b, more }) => {
  const [idA, idB] = [await reach(b, await idOf(a)), await reach(a, await idOf(b))];
  const [addressA, addressB] = [await addressOf(a), await addressOf(b)];

  expect(await dial(a, addressB)).toBe(idB);
  expect(await dial(b, addressA)).toBe(idA);
  expect(await a.evaluate((id) => window.codeOf(() => window.mine.call(id, "nobody answers this", null)), idB)).toBe("NotFound no");
  // As long as their sessions talk there is a standby, if there is another frame of the same site for it.
  await serveEcho(b);
  await talk(a, idB, "hello");
  const links = async (): Promise<unknown> => {
    const { frames, peers } = await statusOf(a);
    const origin = (id: string): string | undefined => frames.find((frame) => frame.id === id)?.origin;
    return peers.map(({ id, path, frames }) => ({ id, path, origins: frames.map(origin) }));
  };
  const site = await a.evaluate(() => location.origin);
  await expect.poll(links).toEqual([{ id: idB, path: "direct", origins: [site] }]);
  await more("a");
  await expect.poll(links).toEqual([{ id: idB, path: "direct", origins: [site, site] }]);
  // `b` is no observer: it sees the persona that it talks with, and nothing else of the node behind it.
  const seen = async (): Promise<unknown> => {
    const { leader, peers } = await statusOf(b);
    return { leader, peers: peers.map(({ id }) => id) };
  };
  await expect.poll(seen).toEqual({ leader: undefined, peers: [idA] });
  await a.evaluate(() => window.echo.abort());
});

test("what is no good as an address is refused with the reason", async ({ a, b }) => {
  const address = await addressOf(a);
  const at = address[100] === "A" ? "B" : "A";
  expect(await dial(b, address.slice(0, 100))).toMatch(/^BadArgument.*truncated/);
  expect(await dial(b, address.slice(0, 100) + at + address.slice(101))).toMatch(/^BadArgument.*forged/);
});

test("a hundred calls at once to a peer that was just met, from a first tab and from a second, are all answered", async ({ a, b, more }) => {
  const peer = await idOf(b);
  await b.evaluate(async () => {
    void window.mine.answer("twice", (n) => 2 * (n as number));
    await window.mine.status();
  });
  const all = Array.from({ length: 100 }, (_, at) => 2 * at);
  for (const tab of [a, await more("a")]) {
    await a.evaluate((peer) => window.mine.hangUp(peer), peer);
    const answers = tab.evaluate((peer) => Promise.all(Array.from({ length: 100 }, (_, at) => window.mine.call(peer, "twice", at))), peer);
    expect(await answers).toEqual(all);
  }
});
