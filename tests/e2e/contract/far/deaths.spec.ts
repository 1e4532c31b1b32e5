// Tabs close while two nodes talk.
import type { Status } from "@bitters/host-sdk";

import { enter, heard, moves, present, reach, say } from "../../support/room.ts";
import { finish, flawless, goesOn, talk } from "../../support/numbers.ts";
import type { Tab } from "../../support/tab.ts";
import { idOf } from "../../support/test.ts";
import { expect, framesBecome, test } from "../test.ts";

/** Milliseconds between one end's records. */
const PACE = 10;
/** Milliseconds that a stream may stand still: several times what is measured on a busy machine. */
const STALL = 3000;

test("the tab that holds the used link, and started the leader, closes: stream and topic go on, nothing is lost", async ({ own, here }) => {
  const { a: carrier, b } = own;
  const idB = await reach(carrier, await idOf(b));
  const a = await own.open("a");
  await Promise.all([a, b].map((tab) => enter(tab, "lasting")));
  await expect.poll(() => present(a, "lasting")).toEqual([idB]);
  await talk(a, b, PACE);
  const { frames, leader, peers } = await linked(a);
  // Links go to the older frame first.
  expect(peers[0]?.frames[0]).toBe(frames[0]?.id);

  await carrier.close();

  await framesBecome(a, 1);
  await goesOn(a, b);
  const after = (await a.evaluate(() => window.mine.status())).leader;
  // A worker of that tab's own has gone with it.
  expect({ kind: after?.kind, same: after?.boot === leader?.boot }).toEqual({ kind: here.leader, same: here.leader === "shared" });
  await say(a, "lasting", "still here");
  await expect.poll(() => heard(b, "lasting")).toEqual([{ from: await idOf(a), data: "still here" }]);
  const [ours, theirs] = await finish(a, b);
  expect(ours).toEqual(flawless(ours, theirs.sent));
  expect(theirs).toEqual(flawless(theirs, ours.sent));
  expect(Math.max(ours.longestGap, theirs.longestGap)).toBeLessThan(STALL);
  // They never seemed to be gone.
  expect(await moves(a, "lasting")).toEqual([`+${idB}`]);
});

test("the tab that answers closes during a call: the handler may have run; of the next call it is known that none did", async ({ own }) => {
  const { a, b } = own;
  await b.evaluate(() => {
    window.log = [];
    void window.mine.answer("never", () => {
      window.log.push("begun");
      return new Promise(() => {});
    });
  });
  const peer = await reach(a, await idOf(b));
  const failed = call(a, peer, 2_000);
  await expect.poll(() => b.evaluate(() => window.log)).toEqual(["begun"]);
  // Its node goes on without a handler.
  await own.open("b");
  await b.close();

  expect(await failed).toMatchObject({ executed: "unknown", retryable: true });
  expect(await call(a, peer)).toMatchObject({ code: "NotFound", executed: "no" });
});

/** Waits until two frames hold a link each to the only peer. */
const linked = (tab: Tab): Promise<Status> =>
  tab.evaluate(async () => {
    for await (const status of window.mine.watch()) if (new Set(status.peers[0]?.frames).size === 2) return status;
    throw new Error("the watching ended");
  });

/** How a call fails. */
function call(tab: Tab, peer: string, timeout = 15_000): Promise<unknown> {
  return tab.evaluate(
    ({ peer, timeout }) =>
      window.mine.call(peer, "never", null, { timeout }).then(
        () => "answered",
        ({ code, executed, retryable }) => ({ code, executed, retryable }),
      ),
    { peer, timeout },
  );
}
