// Calls that are given up, at whatever moment: nothing of them is left at either end.
import type { Page } from "@playwright/test";

import { faultsOf } from "./support/faults.ts";
import { teachListeners } from "./support/listeners.ts";
import { reach } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

/** Before the call is made, in the same turn, some turns later, once its handler runs, when it was answered, or never. */
const MOMENTS = ["before", "at once", "later", "running", "answered", "never"] as const;

/** A call, and when it is given up. */
interface Plan {
  number: number;
  moment: (typeof MOMENTS)[number];
  /** How many turns later. */
  turns: number;
  method: "echo" | "hold";
  idempotent: boolean;
}

/** How many calls are made, and how many of them wait at a time. */
const [CALLS, AT_ONCE] = [300, 20];

const SEED = 2026;

declare global {
  interface Window {
    /** Calls whose handler has begun, and whose handler's signal was aborted. */
    held: { begun: number[]; aborted: number[] };
  }
}

for (const where of ["one browser", "two browsers"])
  test(`300 calls, in ${where}, given up at any moment: nobody listens to their signals any longer, their handlers are told, others are answered`, async ({ browse, connect }) => {
    const one = await browse();
    const two = where === "one browser" ? one : await browse();
    const [a, b] = [await connect(one, "a"), await connect(two, "b")];
    const faults = [a, b].map(faultsOf);
    await answer(b);
    const peer = await reach(a, await idOf(b));

    const { outcomes, ...listening } = await callAll(a, peer, plan());

    expect(outcomes).toHaveLength(CALLS + AT_ONCE);
    // Whether an answer comes before so many turns is the machine's affair.
    const certain = outcomes.filter((outcome) => outcome !== "later: answered");
    expect(new Set(certain)).toEqual(
      new Set(["before: Aborted no", "at once: Aborted unknown", "later: Aborted unknown", "running: Aborted unknown", "answered: answered", "never: answered"]),
    );
    expect(listening).toEqual({ afterwards: 0, lasting: 0, running: AT_ONCE, ended: 0 });
    expect(await a.evaluate((peer) => window.mine.call(peer, "echo", "hello"), peer)).toBe("hello");
    // What was held last has begun, and so has all that was called before, if it ever does.
    const { begun } = await b.evaluate(() => window.held);
    expect(begun.length).toBeGreaterThanOrEqual(AT_ONCE);
    await expect.poll(() => b.evaluate(() => window.held.aborted.toSorted())).toEqual(begun.toSorted());
    expect(faults).toEqual([[], []]);
  });

/** The same each time. */
function plan(): Plan[] {
  let state = SEED;
  const below = (end: number): number => {
    // Numerical Recipes' generator.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
  return Array.from({ length: CALLS }, (_, number) => {
    const moment = MOMENTS[below(MOMENTS.length)] ?? "never";
    const isHeld = moment === "running" || (["before", "at once", "later"].includes(moment) && below(2) === 0);
    return { number, moment, turns: below(30), method: isHeld ? "hold" : "echo", idempotent: below(2) === 0 };
  });
}

/** Answers `echo`, and `hold`, which tells its caller that it runs and then waits for the end. */
const answer = (page: Page): Promise<void> =>
  page.evaluate(() => {
    window.held = { begun: [], aborted: [] };
    const { mine } = window;
    void mine.answer("echo", (data) => data);
    void mine.answer<number>("hold", async (number, { from, signal }) => {
      window.held.begun.push(number);
      const ended = new Promise<never>((_, reject) =>
        signal.addEventListener("abort", () => {
          window.held.aborted.push(number);
          reject(signal.reason);
        }),
      );
      await mine.call(from, "running", number, { signal }).catch(() => {});
      return ended;
    });
  });

interface Outcome {
  /** When each call was given up, and what it came to. */
  outcomes: string[];
  /** How many listened to the calls' signals when their calls were over. */
  afterwards: number;
  /** The same of a signal that many calls had. */
  lasting: number;
  /** How many listened to that one while as many calls as may wait at a time were held. */
  running: number;
  /** And when those were given up. */
  ended: number;
}

/** Makes the calls that are planned, and then as many as may wait at a time, which are given up together. */
async function callAll(page: Page, peer: string, plans: Plan[]): Promise<Outcome> {
  await teachListeners(page);
  return page.evaluate(
    async ({ peer, plans, atOnce }) => {
      const runs = new Map<number, () => void>();
      const serving = new AbortController();
      void window.mine.answer<number>("running", (number) => runs.get(number)?.(), { signal: serving.signal });
      const begins = (number: number): Promise<void> => new Promise((resolve) => runs.set(number, resolve));
      const turn = (): Promise<void> =>
        new Promise((resolve) => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = () => resolve(port1.close());
          port2.postMessage(undefined);
        });
      const settled = (call: Promise<unknown>): Promise<string> => call.then(() => "answered", ({ code, executed }) => `${code} ${executed}`);
      const lasting = new AbortController();
      const onLasting = window.listenersOf(lasting.signal);
      const outcomes: string[] = [];
      let afterwards = 0;

      const make = async ({ number, moment, turns, method, idempotent }: (typeof plans)[number]): Promise<void> => {
        const given = moment === "never" ? lasting : new AbortController();
        const listening = moment === "never" ? () => 0 : window.listenersOf(given.signal);
        const began = begins(number);
        if (moment === "before") given.abort();
        const outcome = settled(window.mine.call(peer, method, number, { signal: given.signal, idempotent }));
        if (moment === "later") for (let at = 0; at < turns; at++) await turn();
        if (moment === "running") await began;
        if (moment === "answered") await outcome;
        if (moment !== "never") given.abort();
        outcomes.push(`${moment}: ${await outcome}`);
        afterwards += listening();
      };
      const left = plans.values();
      await Promise.all(Array.from({ length: atOnce }, async () => {
        for (const plan of left) await make(plan);
      }));

      const result = { outcomes, afterwards, lasting: onLasting() };
      const numbers = Array.from({ length: atOnce }, (_, at) => plans.length + at);
      const began = Promise.all(numbers.map(begins));
      const held = numbers.map((number) => settled(window.mine.call(peer, "hold", number, { signal: lasting.signal })));
      await began;
      const running = onLasting();
      lasting.abort();
      for (const outcome of held) outcomes.push(`running: ${await outcome}`);
      serving.abort();
      return { ...result, running, ended: onLasting() };
    },
    { peer, plans, atOnce: AT_ONCE },
  );
}
