// The second site of a browser, whose node runs already, against the first one's cold start: from `connect()` to the first message
// from another browser.
import type { BrowserContext, Page } from "@playwright/test";

import { test } from "./support/bench.ts";
import { median, report } from "./support/measure.ts";

const ROUNDS = 5;

test("the second site of a browser", async ({ browse, connect, server, visit }) => {
  const greeter = await connect(await browse(), "a");
  await greeter.evaluate(async () => {
    const topic = await window.mine.join("porch");
    topic.addEventListener("peerjoin", () => void topic.publish("welcome"));
  });

  const times = { first: [] as number[], second: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const browser: BrowserContext = await browse();
    const pages = { first: await visit(browser, "b"), second: await visit(browser, "c") };
    times.first.push(await welcomed(pages.first, server.node));
    times.second.push(await welcomed(pages.second, server.node));
    await browser.close();
  }

  report({
    what: "second site's first message, after connect()",
    unit: "ms",
    baseline: median(times.first),
    ours: median(times.second),
    goal: { atMost: 0.1 },
  });
});

/** Milliseconds until the site was greeted. */
function welcomed(page: Page, node: string): Promise<number> {
  return page.evaluate(async (node) => {
    const began = performance.now();
    window.mine = await window.sdk.connect({ node });
    const topic = await window.mine.join("porch");
    await topic[Symbol.asyncIterator]().next();
    return performance.now() - began;
  }, node);
}
