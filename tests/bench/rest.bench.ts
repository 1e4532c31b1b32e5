// A node that has nothing to do: its memory by the number of its frames, and what it costs in a minute. The baseline is a browser with
// the same pages, whose iframes are empty pages of another site.
import type { BrowserContext, Page } from "@playwright/test";

import { frameOf } from "../e2e/support/alive.ts";
import { keptFor } from "../e2e/support/kept.ts";
import { Metrics } from "../e2e/support/metrics.ts";
import { meet } from "../e2e/support/room.ts";
import { Server } from "../e2e/support/server.ts";
import { Workers } from "../e2e/support/workers.ts";
import { test as base } from "./support/bench.ts";
import { report } from "./support/measure.ts";
import { Processes } from "./support/processes.ts";

const FRAMES = [1, 5, 20];
const MINUTE = 60_000;

const test = base.extend<{ metrics: Metrics }>({
  metrics: async ({}, use) => use(await Metrics.free()),
  server: async ({ metrics }, use) => {
    const server = await Server.start(metrics.extra);
    await use(server);
    await server.stop();
  },
});

test.setTimeout(10 * MINUTE);

test("memory by frames", async ({ browse, connect, server }) => {
  const [ours, plain] = [await browse(), await browse()];
  const [processes, baseline] = [await Processes.of(ours), await Processes.of(plain)];
  const pages = (browser: BrowserContext): number => browser.pages().length - 1;
  for (const frames of FRAMES) {
    while (pages(ours) < frames) await keptFor(await connect(ours, "a"), server);
    while (pages(plain) < frames) await embedNothing(plain, server);
    const [with_, without] = [await processes.memory(), await baseline.memory()];
    report({ what: `memory of a browser with ${frames} frames of the node, each in a tab`, unit: "MiB", baseline: without, ours: with_ });
    report({ what: `more than without, for each frame`, unit: "MiB", ours: (with_ - without) / frames });
  }
});

for (const peers of [0, 1]) {
  test(`a minute with ${peers} peers`, async ({ browse, connect, metrics, server }) => {
    const [ours, plain] = [await browse(), await browse()];
    await embedNothing(plain, server);
    const page = await connect(ours, "a");
    if (peers) await meet("rest", page, await connect(await browse(), "b"));
    await keptFor(page, server);
    const counts = await Counts.of(ours, page, server);
    const [processes, baseline] = [await Processes.of(ours), await Processes.of(plain)];
    // What a start leaves to do is done.
    await new Promise((resolve) => setTimeout(resolve, 10_000));

    const before = { ours: await processes.used(), plain: await baseline.used(), counts: await counts.read(), server: await serverTold(metrics) };
    // What is measured: a minute in which nothing is asked.
    await new Promise((resolve) => setTimeout(resolve, MINUTE));
    const after = { ours: await processes.used(), plain: await baseline.used(), counts: await counts.read(), server: await serverTold(metrics) };

    const a = `a minute, ${peers} peers:`;
    const used = (what: "cpu" | "wakeups"): { baseline: number; ours: number } =>
      ({ baseline: after.plain[what] - before.plain[what], ours: after.ours[what] - before.ours[what] });
    report({ what: `${a} CPU of the browser`, unit: "ms", ...used("cpu") });
    report({ what: `${a} wake-ups of its threads`, unit: "", ...used("wakeups") });
    for (const name of Object.keys(after.counts) as (keyof Count)[])
      report({ what: `${a} ${NAMES[name]}`, unit: "", ours: after.counts[name] - before.counts[name] });
    report({ what: `${a} messages with the rendezvous, of all browsers`, unit: "", ours: after.server - before.server });
  });
}

/** What the node's own code does, in the frame and in the leader. */
interface Count {
  channel: number;
  ports: number;
  timers: number;
}

const NAMES: Record<keyof Count, string> = {
  channel: "messages to peers",
  ports: "messages of frame, leader and site among themselves",
  timers: "timers of frame and leader",
};

declare global {
  interface Window {
    count: Count;
  }
}

/** Counts in both from now on. */
class Counts {
  readonly #read: () => Promise<Count[]>;

  private constructor(read: () => Promise<Count[]>) {
    this.#read = read;
  }

  static async of(browser: BrowserContext, page: Page, server: Server): Promise<Counts> {
    const frame = frameOf(page, server);
    const workers = await Workers.of(browser);
    const [leader = ""] = await workers.running();
    await frame.evaluate(`(${count})()`);
    await workers.evaluate(leader, `(${count})()`);
    return new Counts(async () => [await frame.evaluate(() => window.count), (await workers.evaluate(leader, "count")) as Count]);
  }

  async read(): Promise<Count> {
    const [frame, leader] = await this.#read();
    if (!frame || !leader) throw new Error("a frame and a leader are counted");
    const sum = (name: keyof Count): number => frame[name] + leader[name];
    return { channel: sum("channel"), ports: sum("ports"), timers: sum("timers") };
  }
}

/** Runs in frames and workers: has the platform's functions count. */
function count(): void {
  const counted: Count = { channel: 0, ports: 0, timers: 0 };
  const wrap = (of: { prototype: object } | undefined, method: string, name: keyof Count): void => {
    const prototype = of?.prototype as Record<string, (...args: unknown[]) => unknown> | undefined;
    const plain = prototype?.[method];
    if (!prototype || !plain) return;
    prototype[method] = function (...args) {
      counted[name] += 1;
      return plain.apply(this, args);
    };
  };
  wrap(globalThis.MessagePort, "postMessage", "ports");
  wrap(globalThis.RTCDataChannel, "send", "channel");
  const set = globalThis.setTimeout as (act: () => void, ms?: number) => number;
  const counting = (act: () => void, ms?: number): number => set(() => ((counted.timers += 1), act()), ms);
  Object.assign(globalThis, { count: counted, setTimeout: counting });
}

/** Messages in both directions. */
async function serverTold(metrics: Metrics): Promise<number> {
  const counted = await metrics.read();
  return counted.sum("rendezvous_received") + counted.sum("rendezvous_sent");
}

async function embedNothing(browser: BrowserContext, server: Server): Promise<void> {
  const page = await browser.newPage();
  await page.goto(server.url("a"));
  await page.evaluate(async (src) => {
    const iframe = Object.assign(document.createElement("iframe"), { src });
    document.body.append(iframe);
    await new Promise((resolve) => iframe.addEventListener("load", resolve));
  }, server.url("c"));
}
