// Frames die in every way while two sites talk: nobody loses anything.
import type { Page } from "@playwright/test";
import type { Status } from "@bitters/host-sdk";

import { aloof, Carriers, type Death, DEATHS } from "./support/carriers.ts";
import { exchange, type Exchange, type Tally } from "./support/numbers.ts";
import { reach } from "./support/room.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

declare global {
  interface Window {
    /** The page's end of the numbered stream. */
    exchange: Exchange;
  }
}

/** In all. */
const COUNT = 56;
/** Milliseconds between one end's records. */
const PACE = 10;
/** Milliseconds that a stream may stand still: several times what is measured on a busy machine. */
const STALL = 3000;

/** What the frame that dies does for the stream: it holds the link that is used, the standby, or none. */
const PARTS = ["used", "used", "standby", "used", "used", "idle", "used"] as const;
type Part = (typeof PARTS)[number];

test("a stream in both directions while 56 frames die in every way: nothing is lost, doubled or out of order", async ({ browse, connect, server }) => {
  test.setTimeout(180_000);
  const ends = await Promise.all([1, 2].map(async () => {
    const browser = await browse({ backForwardCache: true, init: aloof("a") });
    const carriers = new Carriers(browser, server, connect);
    for (let count = 0; count < 3; count += 1) await carriers.add();
    return { carriers, page: await connect(browser, "a"), repaired: Promise.resolve() };
  }));
  const [a, b] = ends as [(typeof ends)[0], (typeof ends)[0]];
  await talk(a.page, b.page);

  const deaths: { death: Death; part: Part; switched: boolean }[] = [];
  for (let at = 0; at < COUNT; at += 1) {
    const here = at % 2 === 0 ? a : b;
    const [death, part] = [DEATHS[at % DEATHS.length] as Death, PARTS[at % PARTS.length] as Part];
    await here.repaired;
    await Promise.all(ends.map(({ page, carriers }) => linked(page, carriers.frames)));

    const [used, standby] = (await statusOf(here.page)).peers[0]?.frames ?? [];
    const idle = here.carriers.frames.find((frame) => frame !== used && frame !== standby);
    const doomed = { idle, standby, used }[part] ?? "none";
    const repair = await here.carriers.kill(doomed, death);
    const next = await linked(here.page, here.carriers.frames);
    deaths.push({ death, part, switched: part === "used" && next.peers[0]?.frames[0] === standby });
    here.repaired = repair();
  }
  await Promise.all(ends.map(({ repaired }) => repaired));

  const [tallyOfA, tallyOfB] = await Promise.all(ends.map(({ page }) => page.evaluate(() => window.exchange.finish()))) as [Tally, Tally];
  expect(tallyOfA).toEqual(flawless(tallyOfA, tallyOfB.sent));
  expect(tallyOfB).toEqual(flawless(tallyOfB, tallyOfA.sent));
  expect(Math.max(tallyOfA.longestGap, tallyOfB.longestGap)).toBeLessThan(STALL);

  // And something happened.
  const count = (fits: (death: (typeof deaths)[0]) => boolean): number => deaths.filter(fits).length;
  for (const kind of DEATHS) expect(count(({ death }) => death === kind), kind).toBeGreaterThanOrEqual(10);
  expect(count(({ part }) => part === "used")).toBeGreaterThanOrEqual(30);
  expect(count(({ switched }) => switched)).toBeGreaterThanOrEqual(30);
  expect(a.carriers.restored + b.carriers.restored).toBeGreaterThan(0);
  expect(Math.min(tallyOfA.sent, tallyOfB.sent)).toBeGreaterThan(1000);
});

/** All that the other end sent has come, once and in order. */
const flawless = ({ sent, longestGap }: Tally, received: number): Tally =>
  ({ sent, received, lost: 0, doubled: 0, strange: 0, longestGap, failure: undefined });

/** Opens the numbered stream between the two pages. */
async function talk(a: Page, b: Page): Promise<void> {
  for (const page of [a, b]) await page.evaluate(`window.begin = ${exchange}`);
  await b.evaluate((pace) => {
    void window.mine.serve("numbers", (stream) => {
      window.exchange = (window as unknown as { begin: typeof exchange }).begin(stream, pace);
    });
  }, PACE);
  await a.evaluate(
    async ({ peer, pace }) => {
      const stream = await window.mine.open(peer, "numbers");
      window.exchange = (window as unknown as { begin: typeof exchange }).begin(stream, pace);
    },
    { peer: await reach(a, await idOf(b)), pace: PACE },
  );
}

/** Waits until two of these frames hold a link each to the only peer. */
function linked(page: Page, frames: string[]): Promise<Status> {
  return page.evaluate(async (frames) => {
    for await (const status of window.mine.watch()) {
      const holders = [...new Set(status.peers[0]?.frames)];
      if (holders.length === 2 && holders.every((frame) => frames.includes(frame))) return status;
    }
    throw new Error("the watching ended");
  }, frames);
}
