// Tabs of two sites die in every way while other tabs of theirs talk: nobody loses anything.
import type { BrowserContext, Page } from "@playwright/test";
import type { Status } from "@bitters/host-sdk";

import type { Profile } from "./support/browsers.ts";
import { Carriers, connectAloof, type Death, DEATHS } from "./support/carriers.ts";
import { finish, flawless, talk } from "./support/numbers.ts";
import type { Server } from "./support/server.ts";
import { expect, statusOf, test } from "./support/test.ts";
import { Workers } from "./support/workers.ts";

/** Frames that die in a run. */
const COUNT = 56;
/** Leaders that die in the run in which they do. */
const LEADERS = 6;
/** Milliseconds between one end's records. */
const PACE = 10;
/** Milliseconds that a stream may stand still: several times what is measured on a busy machine. */
const STALL = 3000;

/** Milliseconds until there are two links, or a leader, again. */
const PATIENCE = 30_000;

/** What the frame that dies does for the stream: it holds the link that is used, the standby, or none. */
const PARTS = ["used", "used", "standby", "used", "used", "idle", "used"] as const;
type Part = (typeof PARTS)[number];

/** One browser: the page that talks, and its site's other frames, which carry what it says. */
interface End {
  readonly browser: BrowserContext;
  readonly carriers: Carriers;
  readonly page: Page;
  /** There are as many carriers as before. */
  repaired: Promise<void>;
}
type Repair = () => Promise<void>;

test(`a stream in both directions while ${COUNT} frames die in every way: nothing is lost, doubled or out of order`, async ({ browse, connect, server }) => {
  test.setTimeout(180_000);
  const ends = await talking(browse, connect, server);

  const deaths = await run(ends, COUNT, async (_, kill) => kill());

  await hasLostNothing(ends);
  expect(deaths.filter(({ switched }) => switched).length).toBeGreaterThanOrEqual(30);
});

test(`the same while ${LEADERS} leaders die, too, some with a frame at once`, async ({ browse, connect, server }) => {
  test.setTimeout(240_000);
  const ends = await talking(browse, connect, server);
  const workers = new Map(await Promise.all(ends.map(async (end) => [end, await Workers.of(end.browser)] as const)));
  const boots = new Set<string | undefined>();

  await run(ends, COUNT, async (end, kill, at) => {
    if (at % Math.floor(COUNT / LEADERS) !== 1) return kill();
    const before = (await statusOf(end.page)).leader?.boot;
    const [leader] = (await workers.get(end)?.running()) ?? [];
    const terminate = (): Promise<void> | undefined => workers.get(end)?.terminate(leader as string);
    const atOnce = boots.size % 2 === 0;
    const repair = atOnce ? (await Promise.all([kill(), terminate()]))[0] : undefined;
    if (!atOnce) await terminate();
    boots.add(await nextBoot(end.page, before));
    return repair ?? kill();
  });

  await hasLostNothing(ends);
  expect(boots.size).toBeGreaterThanOrEqual(LEADERS);
});

/** Two browsers, in each a site with four tabs: three carriers, and the one that talks with that of the other browser. */
async function talking(
  browse: (profile: Profile) => Promise<BrowserContext>,
  connect: (browser: BrowserContext, site: string) => Promise<Page>,
  server: Server,
): Promise<[End, End]> {
  const open = async (): Promise<End> => {
    const browser = await browse({ backForwardCache: true });
    const carriers = new Carriers(browser, server, connect, "a");
    for (let count = 0; count < 3; count += 1) await carriers.add();
    const page = await connectAloof(browser, server, "a");
    await carriers.pass(page);
    return { browser, carriers, page, repaired: Promise.resolve() };
  };
  const [a, b] = await Promise.all([open(), open()]);
  await talk(a.page, b.page, PACE);
  return [a, b];
}

/** Has so many frames die, in turn here and there, each as soon as there are two links again; `act` is what surrounds a death. */
async function run(
  ends: [End, End],
  count: number,
  act: (end: End, kill: () => Promise<Repair>, at: number) => Promise<Repair>,
): Promise<{ switched: boolean }[]> {
  const deaths: { death: Death; part: Part; switched: boolean }[] = [];
  for (let at = 0; at < count; at += 1) {
    const end = ends[at % 2] as End;
    const [death, part] = [DEATHS[at % DEATHS.length] as Death, PARTS[at % PARTS.length] as Part];
    await end.repaired;
    await Promise.all(ends.map(({ page, carriers }) => linked(page, carriers.frames)));

    let standby: string | undefined;
    const repair = await act(
      end,
      async () => {
        const [used, other] = (await linked(end.page, end.carriers.frames)).peers[0]?.frames ?? [];
        const idle = end.carriers.frames.find((frame) => frame !== used && frame !== other);
        standby = other;
        return end.carriers.kill({ idle, standby, used }[part] ?? "none", death);
      },
      at,
    );
    const next = await linked(end.page, end.carriers.frames);
    deaths.push({ death, part, switched: part === "used" && next.peers[0]?.frames[0] === standby });
    end.repaired = repair();
  }
  await Promise.all(ends.map(({ repaired }) => repaired));

  // Something happened.
  for (const kind of DEATHS) expect(deaths.filter(({ death }) => death === kind).length, kind).toBeGreaterThanOrEqual(10);
  expect(deaths.filter(({ part }) => part === "used").length).toBeGreaterThanOrEqual(30);
  expect(ends.reduce((sum, { carriers }) => sum + carriers.restored, 0), "pages from the back/forward cache").toBeGreaterThan(0);
  return deaths;
}

/** Ends the stream: what was sent has come. */
async function hasLostNothing(ends: [End, End]): Promise<void> {
  const [a, b] = await finish(ends[0].page, ends[1].page);
  test.info().annotations.push({ type: "tallies", description: JSON.stringify([a, b]) });
  expect(a).toEqual(flawless(a, b.sent));
  expect(b).toEqual(flawless(b, a.sent));
  expect(Math.max(a.longestGap, b.longestGap)).toBeLessThan(STALL);
  expect(Math.min(a.sent, b.sent)).toBeGreaterThan(1000);
}

/** Waits until two of these frames hold a link each to the only peer. */
const linked = (page: Page, frames: string[]): Promise<Status> =>
  until(page, `two of ${frames} hold links`, frames, ({ peers }, frames) => {
    const holders = [...new Set(peers[0]?.frames)];
    return holders.length === 2 && holders.every((frame) => frames.includes(frame));
  });

/** Waits for another leader than that of this boot, and tells its boot. */
const nextBoot = async (page: Page, before: string | undefined): Promise<string | undefined> =>
  (await until(page, `another leads than ${before}`, before, ({ leader }, before) => leader !== undefined && leader.boot !== before)).leader?.boot;

/** Waits for a status that fits; where none comes in time, the last one says how things stand. */
function until<T>(page: Page, what: string, given: T, fits: (status: Status, given: T) => boolean): Promise<Status> {
  return page.evaluate(
    async ({ what, given, fits, patience }) => {
      const fit = new Function(`return ${fits}`)() as (status: Status, given: unknown) => boolean;
      let last: Status | undefined;
      const look = async (): Promise<Status> => {
        for await (last of window.mine.watch({ signal: AbortSignal.timeout(patience) })) if (fit(last, given)) return last;
        throw new Error("the watching ended");
      };
      return look().catch((cause: unknown) => {
        throw new Error(`${cause}, before ${what}: ${JSON.stringify(last)}`, { cause });
      });
    },
    { what, given, fits: String(fits), patience: PATIENCE },
  );
}
