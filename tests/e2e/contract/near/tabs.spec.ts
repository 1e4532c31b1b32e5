// One node in several tabs, of which some close.
import { enter, heard, say } from "../../support/room.ts";
import { finish, flawless, goesOn, talk } from "../../support/numbers.ts";
import { idOf } from "../../support/test.ts";
import { expect, framesBecome, test } from "../test.ts";

/** Milliseconds between one end's records. */
const PACE = 10;

test("the tab that started the leader closes while a stream runs between two others: nothing is lost", async ({ here, own }) => {
  const { a: first, b, frames } = own;
  const c = await own.open("a");
  const [id, before] = [await idOf(c), (await c.evaluate(() => window.mine.status())).leader];
  await Promise.all([b, c].map((tab) => enter(tab, "lasting")));
  await talk(c, b, PACE);
  await goesOn(c, b);

  await first.close();

  await framesBecome(c, frames);
  await goesOn(c, b);
  const [ours, theirs] = await finish(c, b);
  expect(ours).toEqual(flawless(ours, theirs.sent));
  expect(theirs).toEqual(flawless(theirs, ours.sent));
  // A worker of that tab's own has gone with it; a shared one goes on.
  const after = (await c.evaluate(() => window.mine.status())).leader;
  expect({ kind: after?.kind, same: after?.boot === before?.boot }).toEqual({ kind: here.leader, same: here.leader === "shared" });
  expect(after?.epoch).toBeGreaterThanOrEqual(before?.epoch ?? Infinity);
  expect(await idOf(c)).toBe(id);
  await say(b, "lasting", "still here");
  await expect.poll(async () => (await heard(c, "lasting")).map(({ data }) => data)).toEqual(["still here"]);
});

test("a persona's address and id lead to itself", async ({ a }) => {
  const seen = await a.evaluate(async () => {
    const { mine } = window;
    const address = await window.codeOf(() => mine.address());
    return { address, byAddress: await window.codeOf(() => mine.dial(address as string)), byId: await mine.dial(mine.id), id: mine.id };
  });

  const connects = await a.evaluate(() => "RTCPeerConnection" in window);
  // Nobody can be connected to where no connections can be made; that is said.
  const expected = connects
    ? { address: expect.stringMatching(/^[\w-]{100,}$/), byAddress: seen.id }
    : { address: "Unsupported", byAddress: "BadArgument" };
  expect(seen).toEqual({ ...expected, byId: seen.id, id: seen.id });
});
