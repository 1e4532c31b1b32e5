// A frame dies that carried a stream between two browsers: how soon its leader knows, how soon the peer's does, how soon the
// stream goes on; against what Chromium alone tells about a connection whose far page died.
import type { BrowserContext, Page } from "@playwright/test";
import type { FrameStatus, PeerStatus } from "@bitters/host-sdk";

import { Carriers, connectAloof, crash, openPair } from "../e2e/support/carriers.ts";
import { finish, talk } from "../e2e/support/numbers.ts";
import { statusOf } from "../e2e/support/test.ts";
import { expect, test } from "./support/bench.ts";
import { median, report, reportSpread } from "./support/measure.ts";

const KINDS = ["removed", "closed", "crashed"] as const;
type Kind = (typeof KINDS)[number];
/** Deaths of each kind, with a standby and as many without. A round takes some eight seconds, most of them to open the next pages. */
const SAMPLES = 10;
/** Milliseconds between one end's records: what is measured can't be finer. */
const PACE = 4;

interface News {
  /** Milliseconds since 1970, as all times here: pages of one machine share that clock. */
  readonly at: number;
  readonly frames: FrameStatus[];
  readonly peer: PeerStatus | undefined;
}

declare global {
  interface Window {
    /** What `watch()` told. */
    news: News[];
    /** What Chromium told about each connection. */
    told: Record<"disconnected" | "failed", number[]>;
  }
}

/** Milliseconds after a death. */
interface Sample {
  readonly leader: number;
  readonly peer: number;
  readonly resumed: number;
}

test("a frame that carries a stream dies", async ({ browse, connect, server, visit }) => {
  test.setTimeout(900_000);
  const alone = await chromiumAlone(await browse(), await browse(), visit);

  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connectAloof(one, server, "a"), connectAloof(two, server, "a")]);
  const seen = (await statusOf(a)).frames.map(({ id }) => id);
  const openDoomed = async (): ReturnType<typeof openPair> => {
    const pair = await openPair(one, connect, server.node, "a", seen);
    seen.push(...pair.frames);
    return pair;
  };
  let doomed = await openDoomed();
  const carriers = new Carriers(two, server, connect, "a");
  await carriers.pass(b);
  for (let count = 0; count < 3; count += 1) await carriers.add();
  await listen(a, b);
  await talk(a, b, PACE);

  const samples = { with: byKind(), without: byKind() };
  for (let round = 0; round < SAMPLES * KINDS.length; round += 1) {
    const kind = KINDS[round % KINDS.length] as Kind;
    await Promise.all([linked(a, doomed.frames), linked(b, carriers.frames)]);
    // Both of this node's links: what is left is the site's own frame, without any.
    samples.without[kind].push(await measure(a, b, () => die(one, doomed.page, kind)));
    if (!doomed.page.isClosed()) await doomed.page.close();
    doomed = await openDoomed();
    await Promise.all([linked(a), linked(b, carriers.frames)]);
    // The frame at the other end of the link that is used, so that the next round finds both links in doomed frames again.
    let repair = async (): Promise<void> => {};
    samples.with[kind].push(await measure(b, a, async (used) => {
      const began = await timeOf(b);
      repair = await carriers.kill(used, kind);
      return began;
    }));
    await repair();
  }

  for (const kind of KINDS) {
    const [standby, none] = [samples.with[kind], samples.without[kind]];
    const all = [...standby, ...none];
    reportSpread(`a frame is ${kind}: its leader knows`, all.map(({ leader }) => leader));
    reportSpread(`a frame is ${kind}: the peer's leader knows; Chromium says "disconnected"`, standby.map(({ peer }) => peer), { baseline: alone.disconnected });
    reportSpread(`a frame is ${kind}: the stream goes on over a standby`, standby.map(({ resumed }) => resumed), { within: 100 });
    reportSpread(`a frame is ${kind}: the stream goes on without a standby`, none.map(({ resumed }) => resumed), { within: 500 });
  }
  report({ what: 'Chromium alone says "failed", median', unit: "ms", baseline: median(alone.failed) });
  const tallies = await finish(a, b);
  const [sent, received, lost, doubled] = (["sent", "received", "lost", "doubled"] as const).map((name) => tallies.reduce((sum, tally) => sum + tally[name], 0));
  expect(tallies.map(({ failure, strange }) => ({ failure, strange }))).toEqual(Array(2).fill({ failure: undefined, strange: 0 }));
  expect(received).toBe(sent);
  report({ what: `lost of ${sent} records`, unit: "", ours: lost as number, goal: { within: 0 } });
  report({ what: `doubled of ${sent} records`, unit: "", ours: doubled as number, goal: { within: 0 } });
});

const byKind = (): Record<Kind, Sample[]> => ({ closed: [], crashed: [], removed: [] });

/** The time. This process has another clock than pages. */
const timeOf = (page: Page): Promise<number> => page.evaluate(() => performance.timeOrigin + performance.now());

/** All of the node's frames in the page die; tells when that was asked for. */
async function die(browser: BrowserContext, page: Page, kind: Kind): Promise<number> {
  const began = await timeOf(page);
  if (kind === "closed") await page.close();
  if (kind === "crashed") await crash(browser, page);
  if (kind !== "removed") return began;
  return page.evaluate(() => {
    const began = performance.timeOrigin + performance.now();
    const take = (): void => document.querySelectorAll("iframe").forEach((iframe) => iframe.remove());
    // The SDK puts it back, and gives that up.
    new MutationObserver(take).observe(document, { childList: true, subtree: true });
    take();
    return began;
  });
}

/** Has the frame of `here` die that carries the stream, and waits until it goes on. */
async function measure(here: Page, there: Page, kill: (used: string) => Promise<number>): Promise<Sample> {
  const [before, beforeThere] = await Promise.all([latest(here), latest(there)]);
  const used = before.peer?.frames[0] ?? "";
  const began = await kill(used);
  const [leader, peer] = await Promise.all([
    here.evaluate(firstNews, { began, without: used, frame: true }),
    there.evaluate(firstNews, { began, without: beforeThere.peer?.frames[0] ?? "", frame: false }),
  ]);
  const resumed = await Promise.all([here, there].map((page) => page.evaluate(endOfGap, { began, known: Math.max(leader, peer) })));
  return { leader: leader - began, peer: peer - began, resumed: Math.max(...resumed) - began };
}

const latest = (page: Page): Promise<News> => page.evaluate(() => window.news.at(-1) as News);

/** When the first news came in which a frame is gone, or isn't the one whose link is used. */
async function firstNews({ began, without, frame }: { began: number; without: string; frame: boolean }): Promise<number> {
  const fits = ({ at, frames, peer }: News): boolean =>
    at >= began && (frame ? frames.every(({ id }) => id !== without) : peer?.frames[0] !== without);
  for (;;) {
    const found = window.news.find(fits);
    if (found) return found.at;
    await new Promise((resolve) => addEventListener("news", resolve, { once: true }));
  }
}

/** When the longest silence of the stream was over that began between a death and its becoming known. */
async function endOfGap({ began, known }: { began: number; known: number }): Promise<number> {
  const { arrivals } = window.exchange;
  const enough = arrivals.length + 25;
  // The page notes arrivals and tells nobody of them: nothing more is to run beside what is measured.
  while (arrivals.length < enough) await new Promise((resolve) => setTimeout(resolve, 20));
  const times = arrivals.map(({ at }) => performance.timeOrigin + at).filter((at) => at > began - 100);
  let [longest, end] = [0, 0];
  times.forEach((at, index) => {
    const last = times[index - 1] ?? at;
    if (at > began && last < known && at - last > longest) [longest, end] = [at - last, at];
  });
  return end;
}

/** Keeps what both nodes tell of themselves. */
async function listen(...pages: Page[]): Promise<void> {
  for (const page of pages) {
    await page.evaluate(() => {
      window.news = [];
      void (async () => {
        for await (const { frames, peers } of window.mine.watch()) {
          window.news.push({ at: performance.timeOrigin + performance.now(), frames, peer: peers[0] });
          dispatchEvent(new Event("news"));
        }
      })();
    });
  }
}

/** Waits until two of the node's frames, or of these, hold a link each to the only peer. One may hold both for a moment. */
async function linked(page: Page, among?: string[]): Promise<void> {
  await page.evaluate(async (among) => {
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error(`no two links among ${among?.join(" ")}: ${JSON.stringify(window.news.at(-1))}`)), 30_000);
    });
    late.catch(() => {});
    for (;;) {
      const holders = [...new Set(window.news.at(-1)?.peer?.frames)];
      if (holders.length === 2 && holders.every((frame) => among?.includes(frame) ?? true)) return;
      await Promise.race([late, new Promise((resolve) => addEventListener("news", resolve, { once: true }))]);
    }
  }, among);
}

/** Milliseconds until Chromium tells that the page at the other end was closed: as many connections as samples. */
async function chromiumAlone(
  one: BrowserContext,
  two: BrowserContext,
  visit: (browser: BrowserContext, site: string) => Promise<Page>,
): Promise<Record<"disconnected" | "failed", number[]>> {
  const [near, far] = await Promise.all([visit(one, "b"), visit(two, "b")]);
  const describe = async ({ remotes, count }: { remotes: RTCSessionDescriptionInit[]; count: number }): Promise<RTCSessionDescriptionInit[]> => {
    const all = ((window as unknown as { all: RTCPeerConnection[] }).all = Array.from({ length: count }, () => new RTCPeerConnection()));
    return Promise.all(all.map(async (one, at) => {
      one.createDataChannel("raw", { negotiated: true, id: 0 });
      if (remotes[at]) await one.setRemoteDescription(remotes[at]);
      await one.setLocalDescription();
      while (one.iceGatheringState !== "complete") await new Promise((resolve) => one.addEventListener("icegatheringstatechange", resolve, { once: true }));
      return one.localDescription?.toJSON() as RTCSessionDescriptionInit;
    }));
  };
  const answers = await far.evaluate(describe, { remotes: await near.evaluate(describe, { remotes: [], count: SAMPLES }), count: SAMPLES });
  await near.evaluate(async (answers) => {
    const { all } = window as unknown as { all: RTCPeerConnection[] };
    window.told = { disconnected: [], failed: [] };
    await Promise.all(all.map(async (one, at) => {
      await one.setRemoteDescription(answers[at] as RTCSessionDescriptionInit);
      while (one.connectionState !== "connected") await new Promise((resolve) => one.addEventListener("connectionstatechange", resolve, { once: true }));
      one.addEventListener("connectionstatechange", () => {
        const state = one.connectionState as "disconnected" | "failed";
        window.told[state]?.push(performance.timeOrigin + performance.now());
      });
    }));
  }, answers);

  const began = await timeOf(near);
  await far.close();
  await near.waitForFunction((count) => window.told.failed.length === count, SAMPLES, { timeout: 60_000 });
  const told = await near.evaluate(() => window.told);
  await Promise.all([one.close(), two.close()]);
  return { disconnected: told.disconnected.map((at) => at - began), failed: told.failed.map((at) => at - began) };
}
