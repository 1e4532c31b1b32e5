// Sites that lie, babble and flood: each gets a typed error or a closed port, and the node goes on for all others.
import type { BrowserContext, Page } from "@playwright/test";

import { ownPage, quietPage, works } from "./support/alive.ts";
import { bringRaw } from "./support/raw.ts";
import { expect, idOf, statusOf, test as base } from "./support/test.ts";

interface Scene {
  readonly browser: BrowserContext;
  /** A site of no interest to anyone, which may do anything. */
  readonly mallory: Page;
  /** Two honest sites; the first observes. */
  readonly a: Page;
  readonly c: Page;
}

declare global {
  interface Window {
    /** Whether the page's flood has begun. */
    floods?: boolean;
  }
}

/** After each test the honest sites still have the same leader, and hear one another. */
const test = base.extend<{ scene: Scene }>({
  scene: async ({ browse, connect, visit }, use) => {
    const browser = await browse();
    const [a, c] = [await connect(browser, "a"), await connect(browser, "c")];
    const mallory = await visit(browser, "b");
    await bringRaw(mallory);
    const { leader } = await statusOf(a);
    await use({ browser, mallory, a, c });
    await works(a, c);
    expect((await statusOf(a)).leader).toEqual(leader);
  },
});

const failed = (code: string): unknown => ({ failed: expect.objectContaining({ code }) });

test("a host that names another origin in its hello is who the browser says", async ({ scene: { a, mallory }, server }) => {
  const [welcome, honest] = await mallory.evaluate(async ([node, victim]) => {
    const { frame, nonce } = await window.bare.embed(node as string);
    const lies = { origin: victim, host: victim, persona: victim, id: victim };
    const line = window.bare.hello(frame, { bitters: "hello", nonce, versions: { min: 1, max: 1 }, identity: "site", ...lies });
    const { tell } = await window.bare.until(line, ({ id }) => id === 0);
    return [tell, (await window.sdk.connect({ node: node as string })).id];
  }, [server.node, server.url("a").slice(0, -1)]);

  expect(welcome).toMatchObject({ welcome: { id: honest } });
  expect(honest).not.toBe(await idOf(a));
  const origins = (await statusOf(a)).frames.map(({ origin }) => new URL(origin).hostname);
  expect(origins).toEqual(["a.localhost", "c.localhost", "b.localhost", "b.localhost"]);
});

test("a hello with another nonce, from another window, malformed or said twice isn't heard", async ({ scene: { mallory }, server }) => {
  const heard = await mallory.evaluate(async (node) => {
    const { frame, nonce } = await window.bare.embed(node);
    const hello = { bitters: "hello", nonce, versions: { min: 1, max: 1 }, identity: "site" };
    const sibling = document.body.appendChild(document.createElement("iframe")).contentWindow as Window;
    const unheard = [
      window.bare.hello(frame, { ...hello, nonce: crypto.randomUUID() }),
      window.bare.hello(frame, { ...hello, nonce: "" }),
      window.bare.hello(frame, { ...hello, nonce: { toString: nonce } }),
      window.bare.hello(frame, { ...hello, bitters: "ready" }),
      window.bare.hello(frame, [hello]),
      window.bare.hello(frame, hello, sibling),
    ];
    // Without a port, and with what is no port.
    for (const message of [hello, null, 7, "hello", new Uint8Array(8)]) frame.postMessage(message, "*");
    frame.postMessage(hello, "*", [new ArrayBuffer(8)]);
    const first = window.bare.hello(frame, hello);
    await window.bare.until(first, ({ id }) => id === 0);
    unheard.push(window.bare.hello(frame, hello), window.bare.hello(frame, { ...hello, identity: "person" }));
    for (const { port } of unheard) port.postMessage({ id: 1, ask: "status" });
    // What the first asks last is answered last.
    await window.bare.ask(first, 1, "status");
    await window.bare.ask(first, 2, "status");
    return [unheard.flatMap(({ heard }) => heard), first.heard.map(({ id }) => id)];
  }, server.node);

  expect(heard).toEqual([[], [0, 1, 2]]);
});

test("a hello of no version or identity that the node knows is refused", async ({ scene: { mallory }, server }) => {
  const refusals = await mallory.evaluate(async (node) => {
    const refusals = [];
    for (const wrong of [
      { versions: { min: 7, max: 9 } },
      { versions: { min: 3, max: 1 } },
      { versions: { min: -1, max: 1e9 } },
      { versions: "1" },
      { versions: undefined },
      { identity: "everyone" },
    ]) {
      const { frame, nonce } = await window.bare.embed(node);
      const line = window.bare.hello(frame, { bitters: "hello", nonce, versions: { min: 1, max: 1 }, identity: "site", ...wrong });
      const { tell } = await window.bare.until(line, ({ id }) => id === 0);
      refusals.push((tell as { failed: { code: string } }).failed.code);
    }
    return refusals;
  }, server.node);

  expect(refusals).toEqual(Array(6).fill("VersionMismatch"));
});

test("garbage on the port is answered by a typed error, and too much of it by silence", async ({ scene: { mallory }, server }) => {
  const { tells, status, ids } = await mallory.evaluate(async (node) => {
    const line = await window.bare.line(node);
    const deep: unknown[] = [];
    for (let at = deep, level = 0; level < 500; level++) at.push((at = [] as unknown[]));
    const cycle: Record<string, unknown> = {};
    cycle["ask"] = cycle;
    const garbage = [
      "nonsense",
      { nonsense: {} },
      { join: {} },
      { join: { name: 7 } },
      { join: { name: { length: 1 } } },
      { join: null },
      { call: { peer: "x", method: "y", data: { text: "z" }, timeout: -1, idempotent: false } },
      { call: { peer: "x", method: "y", data: { film: "z" }, timeout: 1, idempotent: false } },
      { status: 1, watch: 1 },
      { publish: { topic: "lobby", data: { bytes: [1, 2, 999] } } },
      { write: { bytes: "text" } },
      deep,
      cycle,
      new Map([["status", 1]]),
      new Date(),
      1n,
    ];
    const tells = [];
    for (const [at, ask] of garbage.entries()) tells.push(await window.bare.ask(line, at + 1, ask));
    // Nothing of these has a number that could be answered.
    for (const message of [null, undefined, 1, "status", [], {}, { id: "one", ask: "status" }, { id: NaN, ask: "x" }, new Blob()])
      line.port.postMessage(message);
    const status = await window.bare.ask(line, 100, "status");
    // 64 are forgiven in all.
    for (let id = 200; id < 400; id++) line.port.postMessage({ id, ask: "nonsense" });
    const other = await window.sdk.connect({ node });
    await other.status();
    return { tells, status, ids: line.heard.map(({ id }) => id).filter((id) => id >= 200) };
  }, server.node);

  expect(tells).toEqual(tells.map(() => failed("BadArgument")));
  expect(status).toEqual({ status: expect.objectContaining({ scope: "browser" }) });
  expect(ids.length).toBeGreaterThan(0);
  expect(ids.length).toBeLessThanOrEqual(64);
});

test("numbers used wrongly, and requests for things that aren't there, hurt nobody", async ({ scene: { mallory }, server }) => {
  const { wrong, quiet } = await mallory.evaluate(async (node) => {
    const line = await window.bare.line(node);
    const wrong = [
      await window.bare.ask(line, 2 ** 31, "status"),
      await window.bare.ask(line, 2 ** 32 - 1, { join: { name: "lobby" } }),
      await window.bare.ask(line, 1, { publish: { topic: 77, data: { text: "x" } } }),
      await window.bare.ask(line, 2, { publish: { topic: 0, data: { text: "x" } } }),
      await window.bare.ask(line, 3, { join: { name: "" } }),
      await window.bare.ask(line, 4, { join: { name: "x".repeat(129) } }),
      await window.bare.ask(line, 5, { open: { peer: "me", protocol: "x" } }),
      await window.bare.ask(line, 6, { dial: { to: "y".repeat(52) } }),
      await window.bare.ask(line, 7, { service: { name: "nothing", method: "any", args: "[]" } }),
      await window.bare.ask(line, 8, { answer: { method: "\0" } }),
    ];
    await window.bare.ask(line, 20, { join: { name: "lobby" } });
    const again = window.bare.until(line, ({ id, tell }) => id === 20 && typeof tell === "object");
    line.port.postMessage({ id: 20, ask: { join: { name: "other" } } });
    wrong.push((await again).tell);
    // About requests that never were, are of another kind, or are over.
    const before = line.heard.length;
    for (const id of [0, 1, 20, 50, 2 ** 31, 2 ** 32 - 1])
      for (const ask of [
        { credit: { limit: NaN } },
        { credit: { limit: -1 } },
        { write: { bytes: new Uint8Array(9) } },
        { reply: { outcome: { ok: { text: "x" } } } },
        { reset: { reason: "x".repeat(100_000) } },
        "finish",
        "stop",
      ])
        line.port.postMessage({ id, ask });
    for (const id of [0, 1, 50]) line.port.postMessage({ id, ask: "cancel" });
    await window.bare.ask(line, 60, "status");
    return { wrong, quiet: line.heard.slice(before).map(({ id }) => id) };
  }, server.node);

  const codes = ["BadArgument", "BadArgument", "Closed", "Closed", "BadArgument", "BadArgument", "BadArgument", "BadArgument", "NotFound", "BadArgument", "BadArgument"];
  expect(wrong).toEqual(codes.map(failed));
  expect(quiet).toEqual([60]);
});

test("what is too large is refused, whatever asks for it", async ({ scene: { mallory }, server }) => {
  const codes = await mallory.evaluate(async (node) => {
    const line = await window.bare.line(node);
    const me = (line.heard[0] as { tell: { welcome: { id: string } } }).tell.welcome.id;
    await window.bare.ask(line, 1, { join: { name: "lobby" } });
    const large = 256 * 1024 + 1;
    const huge = 4 * 1024 * 1024;
    const asks = [large, huge].flatMap((size) => [
      { publish: { topic: 1, data: { bytes: new Uint8Array(size) } } },
      { publish: { topic: 1, data: { text: "x".repeat(size) } } },
      { call: { peer: me, method: "any", data: { json: `"${"x".repeat(size)}"` }, timeout: 1000, idempotent: false } },
      { service: { name: "any", method: "any", args: `["${"x".repeat(size)}"]` } },
      { join: { name: "x".repeat(size) } },
      { dial: { to: "y".repeat(size) } },
    ]);
    const codes = [];
    for (const [at, ask] of asks.entries()) {
      const tell = (await window.bare.ask(line, at + 2, ask)) as { failed?: { code: string } };
      codes.push(tell.failed?.code);
    }
    return codes;
  }, server.node);

  // What is longer than any message may be isn't even read.
  expect(codes).toEqual(["TooLarge", "TooLarge", "TooLarge", "TooLarge", "BadArgument", "BadArgument", ...Array(6).fill("TooLarge")]);
});

test("the 65th topic and the 129th served name are over the quota", async ({ scene: { mallory }, server }) => {
  const codes = await mallory.evaluate(async (node) => {
    const line = await window.bare.line(node);
    const codeOf = (tell: unknown): unknown => (tell === "done" ? tell : (tell as { failed: { code: string } }).failed.code);
    const topics = [];
    for (let id = 1; id <= 65; id++) topics.push(codeOf(await window.bare.ask(line, id, { join: { name: `topic ${id}` } })));
    const served = [];
    for (let id = 101; id <= 229; id++) served.push(codeOf(await window.bare.ask(line, id, { serve: { protocol: `p${id}` } })));
    // One left makes room for one.
    line.port.postMessage({ id: 1, ask: "cancel" });
    const next = codeOf(await window.bare.ask(line, 66, { join: { name: "another" } }));
    return { topics, served, next };
  }, server.node);

  expect(codes).toEqual({
    topics: [...Array(64).fill("done"), "Quota"],
    served: [...Array(128).fill("done"), "Quota"],
    next: "done",
  });
});

test("floods are refused beyond a quota, and don't keep others waiting", async ({ scene: { a, mallory }, server }) => {
  const before = await waits(a);
  const flood = mallory.evaluate(async (node) => {
    const line = await window.bare.line(node);
    const codes = new Set<string>();
    const settled = (count: number, from: number): Promise<void> =>
      new Promise((resolve) => {
        const open = new Set(Array.from({ length: count }, (_, at) => from + at));
        const hear = ({ data: { id, tell } }: MessageEvent): void => {
          open.delete(id);
          codes.add(typeof tell === "string" ? tell : `${Object.keys(tell)[0]} ${tell.failed?.code ?? ""}`.trim());
          if (open.size > 0) return;
          line.port.removeEventListener("message", hear);
          resolve();
        };
        line.port.addEventListener("message", hear);
      });
    await window.bare.ask(line, 1, { join: { name: "flooded" } });
    window.floods = true;
    const letters = "ybndrfg8ejkmcpqxot1uwisza345h769";
    const another = (id: number): string => letters + letters.slice(0, 16) + [id & 31, (id >> 5) & 31, (id >> 10) & 31].map((at) => letters[at]).join("") + "o";
    // Half of the ids are no key's, and nobody has the others.
    const asks: Record<string, (id: number) => unknown> = {
      publish: () => ({ topic: 1, data: { text: "x".repeat(1000) } }),
      dial: (id) => ({ to: another(id) }),
      service: () => ({ name: "nothing", method: "any", args: "[]" }),
    };
    const seen: Record<string, string[]> = {};
    for (const [at, [what, ask]] of Object.entries(asks).entries()) {
      codes.clear();
      const from = 10_000 * (at + 1);
      const all = settled(1000, from);
      for (let id = from; id < from + 1000; id++) line.port.postMessage({ id, ask: { [what]: ask(id) } });
      await all;
      seen[what] = [...codes].sort();
    }
    return seen;
  }, server.node);
  const during = await waitsDuring(mallory, a);

  expect(await flood).toEqual({
    publish: ["done", "failed Quota"],
    dial: ["failed BadArgument", "failed PeerUnreachable", "failed Quota"],
    // There is none of that name, which is said at once: only those that wait count.
    service: expect.arrayContaining(["failed NotFound"]),
  });
  console.log(`a round trip takes ${median(before).toFixed(1)} ms, and ${median(during).toFixed(1)} ms during floods`);
  expect(median(during)).toBeLessThan(hardlyMore(before));
});

for (const [what, ask, atOnce] of [
  ["credit", `{ credit: { limit: 1e9 } }`, 200],
  ["slices", `{ write: { bytes: new Uint8Array(2 * 1024 * 1024) } }`, 10],
  ["requests under numbers that are none", `"status"`, 200],
] as const)
  test(`a page that floods its port with ${what} is told so once and heard no longer`, async ({ scene: { a, mallory }, server }) => {
    const before = await waits(a);
    const flood = mallory.evaluate(
      async ({ node, ask, atOnce }) => {
        const line = await window.bare.line(node);
        let next = (_: unknown): void => {};
        line.port.addEventListener("message", ({ data: { id, tell } }) => (id === 1 || tell.failed?.code === "Quota") && next(tell));
        const said = (0, eval)(`(${ask})`);
        let tell: unknown;
        // Under a number of the frame's own, which has told of none. No more at once than the page's memory bears.
        do {
          for (let at = 0; at < atOnce; at++) line.port.postMessage({ id: 2 ** 31 + 7, ask: said });
          line.port.postMessage({ id: 1, ask: "status" });
          tell = await new Promise((resolve) => (next = resolve));
          window.floods = true;
        } while (!Object.hasOwn(tell as object, "failed"));
        const heard = line.heard.length;
        line.port.postMessage({ id: 1, ask: "status" });
        const other = await window.sdk.connect({ node });
        await other.status();
        return { tell, after: line.heard.length - heard };
      },
      { node: server.node, ask, atOnce },
    );
    const during = await waitsDuring(mallory, a);

    expect(await flood).toEqual({ tell: failed("Quota"), after: 0 });
    console.log(`a round trip takes ${median(before).toFixed(1)} ms, and ${median(during).toFixed(1)} ms beside a flood of ${what}`);
    expect(median(during)).toBeLessThan(hardlyMore(before));
  });

test("a stream's writer beyond its credit, and a reader that asks for the impossible, lose the stream only", async ({ scene: { a, mallory }, server }) => {
  await a.evaluate(() => void window.mine.serve("sink", (stream) => stream.readable.pipeTo(new WritableStream({ write: () => new Promise(() => {}) }))));
  const { beyond, alive } = await mallory.evaluate(async ([node, peer]) => {
    const line = await window.bare.line(node as string);
    const open = (id: number): Promise<unknown> => window.bare.ask(line, id, { open: { peer, protocol: "sink" } });
    await open(1);
    const over = window.bare.until(line, ({ id, tell }) => id === 1 && typeof tell === "object" && tell !== null && "failed" in tell);
    const credit = await window.bare.until(line, ({ id, tell }) => id === 1 && typeof tell === "object" && tell !== null && "credit" in tell);
    const limit = (credit.tell as { credit: number }).credit;
    for (let sent = 0; sent <= limit; sent += 256 * 1024)
      line.port.postMessage({ id: 1, ask: { write: { bytes: new Uint8Array(256 * 1024) } } });
    const beyond = (await over).tell;
    await open(2);
    for (const limit of [Infinity, -Infinity, NaN, -1, 1e300, 2 ** 60, 0]) line.port.postMessage({ id: 2, ask: { credit: { limit } } });
    line.port.postMessage({ id: 2, ask: { write: { bytes: new Uint8Array(10) } } });
    const alive = await window.bare.ask(line, 3, "status");
    return { beyond, alive };
  }, [server.node, await idOf(a)]);

  expect(beyond).toEqual(failed("Quota"));
  expect(alive).toEqual({ status: expect.anything() });
});

test("garbage on the node's own channels and on the leader's port is not heard", async ({ scene: { a, browser }, server }) => {
  const own = await ownPage(browser, server);
  const build = await own.locator("meta[name=build]").getAttribute("content");
  const script = await own.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name).find((name) => /\/leader\.\w+\.js$/.test(name)));
  const frames = (await statusOf(a)).frames.map(({ id }) => id);
  const quiet = await quietPage(browser, server);

  await quiet.evaluate(
    async ({ build, frames, script }) => {
      const garbage = [
        null,
        "LeaderUp",
        { LeaderUp: {} },
        new Uint8Array(0),
        new Uint8Array(10_000),
        crypto.getRandomValues(new Uint8Array(1000)),
        // Variants that exist, then nothing, or lengths beyond all bounds.
        ...[0, 1, 2].flatMap((variant) => [new Uint8Array([variant]), new Uint8Array([variant, ...Array(40).fill(0xff)])]),
        new Uint8Array(8 * 1024 * 1024),
      ];
      const names = ["bitters/2", ...frames.map((frame) => `bitters/2/to/${frame}`)];
      for (const channel of names.map((name) => new BroadcastChannel(name))) for (const message of garbage) channel.postMessage(message);
      const options = { name: `bitters/2/${build}`, type: "module", sameSiteCookies: "none" } as WorkerOptions;
      const { port } = new SharedWorker(script as string, options);
      for (let round = 0; round < 20; round++) for (const message of garbage) port.postMessage(message);
      for (let round = 0; round < 200; round++) port.postMessage(crypto.getRandomValues(new Uint8Array(round)));
    },
    { build, frames, script },
  );

  await expect(own.locator("html[data-state=ready]")).toHaveCount(1);
  expect((await statusOf(a)).frames.map(({ id }) => id)).toEqual(frames);
});

/** How long a site waits for the leader's answer, fifty times, in milliseconds. */
const waits = (page: Page): Promise<number[]> =>
  page.evaluate(async () => {
    const waits: number[] = [];
    for (let round = 0; round < 50; round++) {
      const begun = performance.now();
      await window.mine.status();
      waits.push(performance.now() - begun);
    }
    return waits;
  });

/** Once a page's flood is on its way. */
async function waitsDuring(flooding: Page, page: Page): Promise<number[]> {
  await flooding.waitForFunction(() => window.floods);
  return await waits(page);
}

/** A process that is shared is busier, and so is the machine; nobody waits for the flood's end. */
const hardlyMore = (before: number[]): number => 5 * median(before) + 50;

const median = (values: number[]): number => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
