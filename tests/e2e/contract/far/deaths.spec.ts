// Frames go while two nodes talk.
import type { Status } from "@bitters/host-sdk";

import { scopeBecomes } from "../../support/consent.ts";
import { enter, heard, moves, present, reach, say } from "../../support/room.ts";
import { finish, flawless, goesOn, talk } from "../../support/numbers.ts";
import type { Tab } from "../../support/tab.ts";
import { takeAway } from "../../support/taken.ts";
import { idOf, statusOf } from "../../support/test.ts";
import { expect, test } from "../test.ts";
import type { World } from "../world.ts";

/** Milliseconds between one end's records. */
const PACE = 10;
/** Milliseconds that a stream may stand still: several times what is measured on a busy machine. */
const STALL = 3000;

/** How a tab's frame goes. */
const WAYS: Record<string, (tab: Tab) => Promise<void>> = {
  closed: (tab) => tab.close(),
  removed: (tab) => tab.evaluate(takeAway),
  reloaded: (tab) =>
    tab.evaluate(() => {
      const iframe = document.querySelector("iframe") as HTMLIFrameElement;
      iframe.src = iframe.src;
    }),
  // In a later turn: the page would be gone before it says that it did that.
  navigated: (tab) => tab.evaluate(() => void setTimeout(() => location.assign("/roll.js"))),
};

const OWN_PAGE = "the node's own page is older than its sites' frames, and holds the used link";

test("the tab that holds the used link, and started the leader, closes: stream and topic go on, nothing is lost", async ({ here, own }) => {
  test.skip(here.consent.length > 0, OWN_PAGE);
  const { a: carrier, b } = own;
  const idB = await reach(carrier, await idOf(b));
  const a = await own.open("a");
  await Promise.all([a, b].map((tab) => enter(tab, "lasting")));
  await expect.poll(() => present(a, "lasting")).toEqual([idB]);
  await talk(a, b, PACE);
  const { frames, leader, peers } = await until(a, ({ peers }) => peers[0]?.frames.length === 2, undefined);
  expect(peers[0]?.frames[0]).toBe(frames[0]?.id);

  await carrier.close();

  await goesOn(a, b);
  // A worker of that tab's own has gone with it.
  const after = (await until(a, ({ frames }) => frames.length === 1, undefined)).leader;
  expect({ kind: after?.kind, same: after?.boot === leader?.boot }).toEqual({ kind: here.leader, same: here.leader === "shared" });
  await say(a, "lasting", "still here");
  await expect.poll(() => heard(b, "lasting")).toEqual([{ from: await idOf(a), data: "still here" }]);
  await haveLostNothing(a, b);
  // They never seemed to be gone.
  expect(await moves(a, "lasting")).toEqual([`+${idB}`]);
});

test("frames that hold the used link go in every way: nothing is lost", async ({ here, own }) => {
  test.skip(here.consent.length > 0, OWN_PAGE);
  const { b } = own;
  const a = await own.open("a", { seems: "hidden" });
  const carriers = new Carriers(own, a);
  await carriers.begin();
  await talk(a, b, PACE);

  for (const way of Object.values(WAYS)) {
    await carriers.lose(way);
    await goesOn(a, b);
  }

  await haveLostNothing(a, b);
});

test("the node's own page closes, and with it the leader, the used link and the bridge: the site goes home, and nothing is lost", async ({ here, own }) => {
  test.skip(here.consent.length === 0, "nothing depends on the node's own page");
  const { a, b } = own;
  const [idA, idB] = [await idOf(a), await reach(a, await idOf(b))];
  await Promise.all([a, b].map((tab) => enter(tab, "homeward")));
  await expect.poll(() => present(a, "homeward")).toEqual([idB]);
  await talk(a, b, PACE);
  await goesOn(a, b);

  await own.closeWays();

  await scopeBecomes(a, "site");
  await goesOn(a, b);
  const [ours, theirs] = await finish(a, b);
  expect(ours).toEqual(flawless(ours, theirs.sent));
  expect(theirs).toEqual(flawless(theirs, ours.sent));
  expect(await idOf(a)).toBe(idA);
  await say(a, "homeward", "still here");
  await expect.poll(() => heard(b, "homeward")).toEqual([{ from: idA, data: "still here" }]);
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

/** Ends the stream: all that was sent has come, and it never stood still for long. */
async function haveLostNothing(a: Tab, b: Tab): Promise<void> {
  const [ours, theirs] = await finish(a, b);
  expect(ours).toEqual(flawless(ours, theirs.sent));
  expect(theirs).toEqual(flawless(theirs, ours.sent));
  expect(Math.max(ours.longestGap, theirs.longestGap)).toBeLessThan(STALL);
}

/** The tabs of one end whose frames hold links, while another one talks. */
class Carriers {
  readonly #world: World;
  readonly #talker: Tab;
  readonly #tabs = new Map<string, Tab>();
  readonly #seen: string[] = [];

  constructor(world: World, talker: Tab) {
    this.#world = world;
    this.#talker = talker;
  }

  /** Three: when one goes, the two others hold a link each, and the talker none. */
  async begin(): Promise<void> {
    const { frames } = await statusOf(this.#talker);
    for (const { id } of frames) this.#seen.push(id);
    this.#tabs.set(this.#seen[0] ?? "none", this.#world.a);
    for (let more = 0; more < 2; more += 1) await this.#open();
  }

  /** The frame that holds the used link goes; another tab is opened, unless it comes back. */
  async lose(way: (tab: Tab) => Promise<void>): Promise<void> {
    const { peers } = await this.#linked();
    const used = peers[0]?.frames[0] ?? "none";
    const tab = this.#tabs.get(used);
    if (!tab) throw new Error(`no carrier has the frame ${used}`);
    this.#tabs.delete(used);
    await way(tab);
    await until(this.#talker, ({ frames }, used) => frames.every(({ id }) => id !== used), used);
    await (way === WAYS["reloaded"] ? this.#enlist(tab) : this.#open());
  }

  async #open(): Promise<void> {
    await this.#enlist(await this.#world.open("a", { seems: "visible" }));
  }

  /** The frame that wasn't there before is this tab's. */
  async #enlist(tab: Tab): Promise<void> {
    const isNew = ({ frames }: Status, seen: string[]): boolean => frames.some(({ id }) => !seen.includes(id));
    const { frames } = await until(this.#talker, isNew, this.#seen);
    const frame = frames.find(({ id }) => !this.#seen.includes(id))?.id ?? "none";
    this.#seen.push(frame);
    this.#tabs.set(frame, tab);
  }

  /**
   * Waits until two carriers hold a link each to the only peer. Where the leader died with a carrier the next one may have given a link to the
   * talker, before the other carriers had come to it: a page that is frozen gives its links away.
   */
  async #linked(): Promise<Status> {
    const two = ({ peers }: Status): boolean => new Set(peers[0]?.frames).size === 2;
    const twoAmong = ({ peers }: Status, among: string[]): boolean => among.filter((frame) => peers[0]?.frames.includes(frame)).length === 2;
    const carriers = [...this.#tabs.keys()];
    const status = await until(this.#talker, two, undefined);
    if (twoAmong(status, carriers)) return status;
    const { node } = this.#world.server;
    await this.#talker.evaluateIn(node, () => void document.dispatchEvent(new Event("freeze")));
    const next = await until(this.#talker, twoAmong, carriers);
    await this.#talker.evaluateIn(node, () => void document.dispatchEvent(new Event("resume")));
    return next;
  }
}

/** Waits for a status that fits. */
function until<T>(tab: Tab, fits: (status: Status, given: T) => boolean, given: T): Promise<Status> {
  return tab.evaluate(
    async ({ fits, given }) => {
      const fit = new Function(`return ${fits}`)() as (status: Status, given: unknown) => boolean;
      let last: Status | undefined;
      const look = async (): Promise<Status> => {
        for await (last of window.mine.watch({ signal: AbortSignal.timeout(20_000) })) if (fit(last, given)) return last;
        throw new Error("the watching ended");
      };
      return look().catch((error) => {
        throw new Error(`${error}: no status fits ${JSON.stringify(given)}, but ${JSON.stringify(last)}`);
      });
    },
    { fits: String(fits), given },
  );
}

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
