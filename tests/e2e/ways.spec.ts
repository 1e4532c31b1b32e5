// The only way between two sites ends: another is found, and nobody loses anything; where a page itself ends, that is told.
import type { Page } from "@playwright/test";

import { Carriers, connectAloof, openPair } from "./support/carriers.ts";
import { finish, flawless, goesOn, talk } from "./support/numbers.ts";
import { befriend, heard, meet } from "./support/room.ts";
import { expect, statusOf, test } from "./support/test.ts";

const PACE = 10;
/** What a site publishes in the topic, in milliseconds between one message and the next. */
const BEAT = 25;

declare global {
  interface Window {
    /** Ends what the page says at a steady rate, and tells how often it was said. */
    hush: () => number;
  }
}

for (const way of ["rendezvous", "common peer"]) {
  test(`both links of a stream die at once: it goes on over a new one, dialled through a ${way}`, async ({ browse, connect, server }) => {
    const [one, two, three] = await Promise.all([browse(), browse(), browse()]);
    const [a, b, c] = await Promise.all([connectAloof(one, server, "a"), connect(two, "a"), connect(three, "a")]);
    // The link to the common peer is in the frame that stays.
    if (way === "common peer") for (const page of [a, b]) await befriend(c, page);
    const [own] = (await statusOf(a)).frames.map(({ id }) => id);
    const doomed = await openPair(one, connect, server.node, "a", [own as string]);
    await talk(a, b, PACE);
    const idle = (await statusOf(c)).frames.length;
    await bothIn(a, doomed.frames);
    if (way === "common peer") await server.stop();

    await doomed.page.close();
    await goesOn(a, b);

    // Until the link is up the stream goes by the rendezvous.
    const toB = async (): Promise<string[][]> => (await statusOf(a)).peers.map(({ frames }) => [...new Set(frames)]);
    await expect.poll(toB).toEqual(Array(way === "common peer" ? 2 : 1).fill([own]));
    expect(idle).toBe(1);
    const [tallyOfA, tallyOfB] = await finish(a, b);
    expect([tallyOfA, tallyOfB]).toEqual([flawless(tallyOfA, tallyOfB.sent), flawless(tallyOfB, tallyOfA.sent)]);
  });
}

for (const carrier of ["another tab", "the page itself, with a standby in another tab"]) {
  test(`the page dies that a call is being handled by, and ${carrier} holds the link: the call fails at once, and whether it ran isn't known`, async ({ browse, connect }) => {
    const [one, two] = await Promise.all([browse(), browse()]);
    const a = await connect(one, "a");
    if (carrier === "another tab") await connect(two, "b");
    const b = await connect(two, "b");
    if (carrier !== "another tab") await connect(two, "b");
    await b.evaluate(() => {
      void window.mine.answer("never", () => {
        document.title = "begun";
        return new Promise(() => {});
      });
    });
    const called = a.evaluate(async (peer) => {
      const failure: { code: string; executed: string } = await window.mine.call(peer, "never", null, { timeout: 15_000 }).catch((error) => error);
      return { code: failure.code, executed: failure.executed, at: Date.now() };
    }, await befriend(a, b));
    await expect(b).toHaveTitle("begun");
    await twoLinks(a);

    const began = Date.now();
    await b.close();
    const { at, ...failure } = await called;

    expect(failure).toEqual({ code: "PeerUnreachable", executed: "unknown" });
    // Several times what is measured, and far from the call's own end.
    expect(at - began).toBeLessThan(4000);
  });
}

test("the tab closes whose frame carries a topic: each message arrives once and in order, at both ends", async ({ browse, connect, server }) => {
  const open = async (): Promise<{ carriers: Carriers; page: Page }> => {
    const browser = await browse();
    const carriers = new Carriers(browser, server, connect, "a");
    for (let count = 0; count < 2; count += 1) await carriers.add();
    return { carriers, page: await connectAloof(browser, server, "a") };
  };
  const ends = await Promise.all([open(), open()]);
  const [a, b] = ends.map(({ page }) => page) as [Page, Page];
  await meet("lasting", a, b);
  for (const page of [a, b]) await say(page, "lasting");

  for (const { carriers, page } of ends) {
    const used = await onlyLink(page);
    await carriers.kill(used, "closed");
    expect(await onlyLink(page, used)).not.toBe(used);
    const count = (await heard(page, "lasting")).length;
    await expect.poll(async () => (await heard(page, "lasting")).length).toBeGreaterThan(count + 20);
  }

  const said = await Promise.all([a, b].map((page) => page.evaluate(() => window.hush())));
  for (const [at, page] of [b, a].entries()) {
    await expect.poll(async () => (await heard(page, "lasting")).map(({ data }) => data)).toEqual(Array.from({ length: said[at] as number }, (_, number) => number));
  }
});

/** Waits until these two frames hold the links to a peer. */
const bothIn = (page: Page, pair: string[]): Promise<void> =>
  page.evaluate(async (pair) => {
    for await (const { peers } of window.mine.watch()) if (peers.some(({ frames }) => pair.every((frame) => frames.includes(frame)))) return;
  }, pair);

/** Waits until there is a standby to the only peer. */
const twoLinks = (page: Page): Promise<void> =>
  page.evaluate(async () => {
    for await (const { peers } of window.mine.watch()) if (peers[0]?.links === 2) return;
  });

/** The frame of the link to the only peer; of another than this one. */
const onlyLink = (page: Page, than?: string): Promise<string> =>
  page.evaluate(async (than) => {
    for await (const { peers } of window.mine.watch()) if (peers[0]?.frames[0] && peers[0].frames[0] !== than) return peers[0].frames[0];
    throw new Error("the watching ended");
  }, than);

/** Says numbers in the topic, at a steady rate. */
const say = (page: Page, name: string): Promise<void> =>
  page.evaluate(
    ({ name, beat }) => {
      let next = 0;
      const timer = setInterval(() => void window.rooms[name]?.topic.publish(next++), beat);
      window.hush = () => {
        clearInterval(timer);
        return next;
      };
    },
    { name, beat: BEAT },
  );
