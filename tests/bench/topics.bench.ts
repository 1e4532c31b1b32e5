// From `join()` to the first message of a member, where the node runs already.
import type { Page } from "@playwright/test";

import { test } from "./support/bench.ts";
import { reportSpread } from "./support/measure.ts";

const ROUNDS = 15;

test("from join() to the first message of a member", async ({ browse, connect }) => {
  const greeter = await connect(await browse(), "a");
  await greeter.evaluate(async () => {
    const topic = await window.mine.join("porch");
    topic.addEventListener("peerjoin", () => void topic.publish("welcome"));
  });

  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const browser = await browse();
    times.push(await welcomed(await connect(browser, "b")));
    await browser.close();
  }
  reportSpread("join() to the first message of a member, ms", times);
});

/** Milliseconds until the site was greeted. It is registered with the server by then. */
function welcomed(page: Page): Promise<number> {
  return page.evaluate(async () => {
    await window.mine.address();
    const began = performance.now();
    const topic = await window.mine.join("porch");
    await topic[Symbol.asyncIterator]().next();
    return performance.now() - began;
  });
}
