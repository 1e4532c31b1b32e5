// The leader's worker is terminated: how soon the next one answers sites.
import { statusOf } from "../e2e/support/test.ts";
import { Workers } from "../e2e/support/workers.ts";
import { expect, test } from "./support/bench.ts";
import { reportSpread } from "./support/measure.ts";

const SAMPLES = 20;

test("a leader dies", async ({ browse, connect }) => {
  const browser = await browse();
  const [a, b] = [await connect(browser, "a"), await connect(browser, "b")];
  const workers = await Workers.of(browser);

  const times = [];
  for (let round = 0; round < SAMPLES; round += 1) {
    const before = (await statusOf(a)).leader;
    const running = await workers.running();
    // Asked before the death: the answer to the watch comes from whoever leads.
    const next = a.evaluate(async (boot) => {
      const began = performance.now();
      for await (const { leader } of window.mine.watch()) if (leader && leader.boot !== boot) return performance.now() - began;
      throw new Error("the watching ended");
    }, before?.boot);
    await Promise.all(running.map((worker) => workers.terminate(worker)));
    times.push(await next);
    expect(await b.evaluate(async () => (await window.mine.status()).frames.length)).toBe(1);
  }
  reportSpread("a leader's worker is terminated: the next one answers a site", times);
});
