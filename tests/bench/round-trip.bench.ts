// From a site to the leader and back, against the same hops in plain JavaScript: host, iframe, SharedWorker, with one MessagePort
// from each to the next and an answer of the same content.
import type { Page } from "@playwright/test";

import { expect, test } from "./support/bench.ts";
import { quantile, report } from "./support/measure.ts";

const BLOCKS = 6;
const SAMPLES = 220;
/** Milliseconds from one to the next: a site may ask for a hundred statuses a second. */
const PAUSE = 10;

declare global {
  interface Window {
    /** Asks the plain worker. */
    askPlain: () => Promise<unknown>;
  }
}

test("a round trip to the leader", async ({ browse, connect, server }) => {
  const site = await connect(await browse(), "b");
  await connectPlain(site, `${server.url("plain")}`);
  expect(await site.evaluate(() => window.askPlain())).toEqual(await site.evaluate(() => window.mine.status()));

  const times = { ours: [] as number[], plain: [] as number[] };
  for (let block = 0; block < BLOCKS; block += 1) {
    for (const which of ["plain", "ours"] as const) {
      const block = await sample(site, which);
      // The first ones warm up.
      times[which].push(...block.slice(SAMPLES / 10));
    }
  }

  for (const [name, part] of [["p50", 0.5], ["p99", 0.99]] as const) {
    report({
      what: `round trip from a site to its leader, ${name}`,
      unit: "ms",
      baseline: quantile(times.plain, part),
      ours: quantile(times.ours, part),
      goal: { atMost: 1.5 },
    });
  }
});

/** Milliseconds of each of some round trips, one after the other. */
function sample(site: Page, which: "ours" | "plain"): Promise<number[]> {
  return site.evaluate(
    async ({ which, samples, pause }) => {
      const ask = which === "ours" ? () => window.mine.status() : window.askPlain;
      const times = [];
      for (let at = 0; at < samples; at += 1) {
        const began = performance.now();
        await ask();
        times.push(performance.now() - began);
        // A site may ask for a hundred statuses a second.
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
      return times;
    },
    { which, samples: SAMPLES, pause: PAUSE },
  );
}

/** Embeds the plain iframe and teaches its worker the node's own answer. */
async function connectPlain(site: Page, url: string): Promise<void> {
  await site.evaluate(async (url) => {
    const iframe = document.createElement("iframe");
    iframe.src = url;
    const ready = new Promise<void>((resolve) =>
      addEventListener("message", ({ source, data }) => source === iframe.contentWindow && data === "ready" && resolve()),
    );
    document.body.append(iframe);
    await ready;
    const { port1, port2 } = new MessageChannel();
    const waiting = new Map<number, (answer: unknown) => void>();
    let next = 1;
    const ask = (ask: unknown): Promise<unknown> =>
      new Promise((resolve) => {
        waiting.set(next, resolve);
        port1.postMessage({ id: next++, ask });
      });
    port1.onmessage = ({ data: { id, tell } }) => {
      waiting.get(id)?.(tell.status);
      waiting.delete(id);
    };
    iframe.contentWindow?.postMessage("hello", "*", [port2]);
    await ask({ learn: await window.mine.status() });
    window.askPlain = () => ask("status");
  }, url);
}
