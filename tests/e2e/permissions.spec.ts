// Permissions and quotas: a site that asks for too much is told so, and waits for itself.
import type { Page } from "@playwright/test";

import { reach } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

declare global {
  interface Window {
    /** How often a flood was refused, by code, and whether each refusal may be tried again. */
    refusals: Record<string, number>;
    retryable: boolean[];
    /** Ends the flood. */
    calm: () => void;
  }
}

test("a site that publishes, dials and asks in a tight loop is refused, and another site's calls go on", async ({ browse, connect }) => {
  test.slow();
  const [one, two] = await Promise.all([browse(), browse()]);
  const [loud, quiet, far] = await Promise.all([connect(one, "a"), connect(one, "b"), connect(two, "c")]);
  await answers(far);
  const peer = await reach(quiet, await idOf(far));
  const before = await callTimes(quiet, peer, 20);

  await flood(loud);
  await expect.poll(() => loud.evaluate(() => window.refusals["Quota"] ?? 0)).toBeGreaterThan(1000);
  const during = await callTimes(quiet, peer, 20);
  const { refusals, retryable } = await loud.evaluate(() => {
    window.calm();
    return { refusals: window.refusals, retryable: window.retryable };
  });

  console.log(`calls: median ${median(before)} ms before, ${median(during)} ms during the flood; ${JSON.stringify(refusals)}`);
  expect(median(during)).toBeLessThan(Math.max(250, 5 * median(before)));
  // Half of the ids that it dials are no key's, and nobody has the others.
  const others = Object.keys(refusals).filter((code) => !["BadArgument", "PeerUnreachable"].includes(code));
  expect(others).toEqual(["Quota"]);
  expect(new Set(retryable)).toEqual(new Set([true]));
  // What it may ask it may ask again once it has calmed down.
  await expect.poll(() => loud.evaluate(() => window.mine.join("calm").then(() => "joined", ({ code }) => code))).toBe("joined");
});

test("a site that fills a link with streams nobody reads waits for itself, and the link stays", async ({ browse, connect }) => {
  test.slow();
  const [one, two] = await Promise.all([browse(), browse()]);
  const [loud, quiet] = await Promise.all([connect(one, "a"), connect(one, "b")]);
  const [unread, far] = await Promise.all([connect(two, "a"), connect(two, "c")]);
  await answers(far);
  await unread.evaluate(() => void window.mine.serve("unread", () => new Promise(() => undefined)));
  const [sink, peer] = [await reach(loud, await idOf(unread)), await reach(quiet, await idOf(far))];
  const before = await callTimes(quiet, peer, 20);

  // More than the frame that carries the link takes (64 MiB), were all of it on its way there.
  const streams = 40;
  await loud.evaluate(
    async ({ sink, streams }) => {
      window.refusals = {};
      for (let n = 0; n < streams; n += 1) {
        const stream = await window.mine.open(sink, "unread");
        const writer = stream.writable.getWriter();
        writer.write(new Uint8Array(2 * 1024 * 1024)).catch(({ code }) => (window.refusals[code] = (window.refusals[code] ?? 0) + 1));
      }
    },
    { sink, streams },
  );
  const during = await callTimes(quiet, peer, 40);

  console.log(`calls: median ${median(before)} ms before, ${median(during)} ms with ${streams} streams on the same link`);
  expect(median(during)).toBeLessThan(Math.max(250, 5 * median(before)));
  expect(await loud.evaluate(() => window.refusals)).toEqual({});
});

/** Answers `echo`. */
const answers = (page: Page): Promise<void> => page.evaluate(() => void window.mine.answer("echo", (data) => data as string));

/** How long calls take, one after the other, in milliseconds. */
const callTimes = (page: Page, peer: string, times: number): Promise<number[]> =>
  page.evaluate(
    async ({ peer, times }) => {
      const took: number[] = [];
      for (let n = 0; n < times; n += 1) {
        const began = performance.now();
        await window.mine.call(peer, "echo", `call ${n}`);
        took.push(Math.round(performance.now() - began));
      }
      return took;
    },
    { peer, times },
  );

/** Asks as fast as the page can, a few hundred at a time, until it is calmed. */
async function flood(page: Page): Promise<void> {
  await page.evaluate(async () => {
    window.refusals = {};
    window.retryable = [];
    let goesOn = true;
    window.calm = () => (goesOn = false);
    const topic = await window.mine.join("flood");
    const letters = "ybndrfg8ejkmcpqxot1uwisza345h769";
    const anybody = (): string => Array.from({ length: 51 }, () => letters[Math.floor(Math.random() * 32)]).join("") + "y";
    const count = ({ code, retryable }: { code: string; retryable: boolean }): void => {
      window.refusals[code] = (window.refusals[code] ?? 0) + 1;
      if (code === "Quota") window.retryable.push(retryable);
    };
    const round = async (n: number): Promise<void> => {
      const asks: Promise<unknown>[] = [];
      for (let m = 0; m < 100; m += 1) {
        asks.push(topic.publish(new Uint8Array(32 * 1024)));
        asks.push(window.mine.join(`flood ${n} ${m}`).then((joined) => joined.leave()));
        asks.push(window.mine.status());
        // Those that aren't refused wait for 15 s: they are left alone.
        window.mine.dial(anybody()).catch(count);
      }
      await Promise.all(asks.map((ask) => ask.catch(count)));
    };
    void (async () => {
      for (let n = 0; goesOn; n += 1) await round(n);
    })();
  });
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
