// What is said before there is a connection goes by the server, whether a connection comes of it or not.
import { befriend, enter, heard, say } from "./support/room.ts";
import type { Scripted } from "./support/scripted.ts";
import { expect, statusOf, test } from "./support/test.ts";

/** The browser tries for a while, and connects to nobody. */
const DEAF = "RTCPeerConnection.prototype.setRemoteDescription = () => new Promise((_, reject) => setTimeout(() => reject(new Error('no way')), 3_000));";

test("where no connection comes about, an acquaintance answers a call, once", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [first, b] = [await connect(one, "a"), await connect(two, "b")];
  await b.evaluate(() => {
    let calls = 0;
    void window.mine.answer("count", () => (calls += 1));
  });
  const id = await befriend(first, b);
  await first.close();
  await expect.poll(() => linksOf(b)).toBe(0);

  await one.addInitScript(DEAF);
  const a = await connect(one, "a");
  expect(await a.evaluate((id) => window.mine.call(id, "count", null), id)).toBe(1);
  expect([await linksOf(a), await linksOf(b)]).toEqual([0, 0]);
  const failed = await a.evaluate((id) => window.mine.dial(id).catch(({ code }) => code), id);
  expect(failed).toBe("PeerUnreachable");
  expect(await b.evaluate((id) => window.mine.call(id, "count", null), id)).toBe(2);
});

test("where no connection comes about, members of a topic hear what is said in it, once", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse({ init: DEAF }), browse({ init: DEAF })]);
  const [a, b] = [await connect(one, "a"), await connect(two, "b")];
  await Promise.all([enter(a, "lobby"), enter(b, "lobby")]);
  await say(a, "lobby", "hello");
  await expect.poll(() => hears(b)).toEqual(["hello"]);
  await say(b, "lobby", "hi");
  await say(b, "lobby", "and again");
  await expect.poll(() => hears(a)).toEqual(["hi", "and again"]);
  expect([await linksOf(a), await linksOf(b), await hears(b)]).toEqual([0, 0, ["hello"]]);
});

const linksOf = async (page: Scripted): Promise<number> => (await statusOf(page)).peers.reduce((sum, { links }) => sum + links, 0);

const hears = async (page: Scripted): Promise<unknown[]> => (await heard(page, "lobby")).map(({ data }) => data);
