// One leader after another: terminated, wedged, superseded; and what must go on meanwhile.
import type { BrowserContext, Page } from "@playwright/test";

import { frameOf, quietPage, works } from "./support/alive.ts";
import { type Build, Builds } from "./support/builds.ts";
import { StaticHost } from "./support/host.ts";
import { keptFor } from "./support/kept.ts";
import { enter, heard, meet, reach, say } from "./support/room.ts";
import { NODE, Server } from "./support/server.ts";
import { expect, idOf, statusOf, test as base } from "./support/test.ts";
import { wedgeWorkerOf, Workers } from "./support/workers.ts";

const test = base.extend<{ builds: Builds }>({
  builds: async ({}, use) => {
    const builds = await Builds.make();
    await use(builds);
    await builds.remove();
  },
});

/** A stream on which one site sends numbers, one after another, for as long as it is let. */
interface Counting {
  readonly peer: string;
  stop(): Promise<number>;
}

test("the leader's worker is terminated alone: topics and streams go on, and nothing is lost", async ({ browse, connect }) => {
  const [near, far] = [await browse(), await browse()];
  const [a, b, c] = [await connect(near, "a"), await connect(near, "b"), await connect(far, "c")];
  await meet("lasting", a, b, c);
  const counting = await count(a, c);
  const workers = await Workers.of(near);
  const [leader] = await workers.running();
  const before = (await statusOf(a)).leader;

  await workers.terminate(leader as string);
  await newLeader(a, before);

  await says(a, "lasting", b, "to a frame");
  await says(c, "lasting", a, "from a peer");
  await says(b, "lasting", c, "to a peer");
  const sent = await counting.stop();
  expect(sent).toBeGreaterThan(0);
  await expect.poll(() => counted(c)).toEqual(numbers(sent));
  expect((await statusOf(a)).frames.length).toBe(2);
  await works(a, b);
});

test("a wedged leader is replaced, and doesn't come back when it comes to", async ({ browse, connect }) => {
  const browser = await browse();
  const [a, b] = [await connect(browser, "a"), await connect(browser, "b")];
  await Promise.all([enter(a, "lasting"), enter(b, "lasting")]);
  const workers = await Workers.of(browser);
  const [wedged] = await workers.running();
  const [id, before] = [await idOf(a), (await statusOf(a)).leader];

  const release = await workers.wedge(wedged as string);
  await silence(a);
  void say(a, "lasting", "kept for the next");
  await newLeader(a, before, 60_000);

  await expect.poll(async () => (await heard(b, "lasting")).map(({ data }) => data)).toContain("kept for the next");
  expect(await idOf(a)).toBe(id);
  const after = (await statusOf(a)).leader;
  expect(after?.epoch).toBeGreaterThan(before?.epoch ?? Infinity);
  await works(a, b);

  expect(await workers.running()).toContain(wedged);
  await release();
  await expect.poll(() => workers.running(), { message: "the old one is gone" }).not.toContain(wedged);
  expect((await statusOf(a)).leader).toEqual(after);
  await works(a, b);
});

test("a page that opens while the leader is wedged is in the node, too", async ({ browse, connect, visit, server }) => {
  const browser = await browse();
  await connect(browser, "a");
  const workers = await Workers.of(browser);
  const [wedged] = await workers.running();

  const release = await workers.wedge(wedged as string);
  const [b, c] = [await visit(browser, "b"), await visit(browser, "c")];
  await Promise.all([b, c].map((page) => connectHere(page, server.node, 50_000)));

  await works(b, c);
  await release();
});

test("the fallback's leading page goes into the back/forward cache: another leads", async ({ browse, connect, server }) => {
  const browser = await browse({ backForwardCache: true, init: "delete window.SharedWorker;" });
  const leading = await connect(browser, "a");
  const [second, third] = [await connect(browser, "a"), await connect(browser, "a")];
  const [id, before] = [await idOf(second), (await statusOf(second)).leader];
  await Promise.all([second, third].map((page) => enter(page, "lasting")));

  // A page in the cache is dropped when its first service worker begins.
  await keptFor(leading, server);
  await leading.goto(server.url("c"));
  for (const page of [second, third]) await newLeader(page, before);
  await says(second, "lasting", third, "with a new leader");
  expect(await idOf(second)).toBe(id);

  await leading.goBack({ waitUntil: "commit" });
  expect(await leading.evaluate(() => "mine" in window), "it was in the cache").toBe(true);
  await works(leading, second, third);
});

test("a page comes back from the back/forward cache, and its frame's first reload comes to nothing: it is tried again", async ({ browse, connect, server }) => {
  const host = await StaticHost.start(NODE);
  const browser = await browse({ backForwardCache: true, init: "delete Navigator.prototype.serviceWorker;" });
  const back = await connect(browser, "a", host.node);
  await back.goto(server.url("c"));

  host.withheld = 1;
  await back.goBack({ waitUntil: "commit" });
  expect(await back.evaluate(() => "mine" in window), "it was in the cache").toBe(true);
  // Another page's frame would be the one that gets nothing.
  await expect.poll(() => host.withheld).toBe(0);
  await works(back, await connect(browser, "a", host.node));
  await host.stop();
});

test("the fallback's leader is wedged: another frame's leads, and the old one ends when it comes to", async ({ browse, connect, server }) => {
  const browser = await browse({ init: "delete window.SharedWorker;" });
  const leading = await connect(browser, "a");
  const [second, third] = [await connect(browser, "a"), await connect(browser, "a")];
  const [id, before] = [await idOf(second), (await statusOf(second)).leader];
  await Promise.all([second, third].map((page) => enter(page, "lasting")));
  const [wedged] = leading.workers();
  const ended = new Promise((resolve) => wedged?.once("close", resolve));

  const release = await wedgeWorkerOf(frameOf(leading, server));
  await silence(second);
  void say(second, "lasting", "kept for the next");
  await newLeader(second, before, 60_000);

  await expect.poll(async () => (await heard(third, "lasting")).map(({ data }) => data)).toContain("kept for the next");
  expect(await idOf(second)).toBe(id);
  const after = (await statusOf(second)).leader;
  await works(leading, second, third);
  await release();
  await ended;
  expect((await statusOf(second)).leader).toEqual(after);
  await works(leading, second, third);
});

for (const [old, next] of [["first", "second"], ["second", "first"]] as const satisfies [Build, Build][]) {
  test(`two builds at once: the ${old} leads until its last frame is gone, then the ${next}, and nothing is lost`, async ({ builds, browse }) => {
    await builds.deploy(old);
    const server = await Server.start(["--observe", "http://b.localhost:PORT"], builds.dir);
    const browser = await browse();
    const a = await open(browser, server, "a");
    await builds.deploy(next);
    // At other sites: this one's service worker has the old build.
    const [b, c] = [await open(browser, server, "b"), await open(browser, server, "c")];
    expect((await statusOf(b)).leader?.build).toBe(builds.ids[old]);
    await works(a, b, c);
    await Promise.all([b, c].map((page) => enter(page, "lasting")));
    const before = (await statusOf(b)).leader;
    const counting = await count(b, c);

    await a.close();
    const said = await speak(b, "lasting", before?.boot);

    expect((await statusOf(b)).leader?.build).toBe(builds.ids[next]);
    await expect.poll(async () => (await heard(c, "lasting")).map(({ data }) => data)).toEqual(numbers(said));
    const sent = await counting.stop();
    await expect.poll(() => counted(c)).toEqual(numbers(sent));
    await works(b, c);
    await server.stop();
  });
}

test("the database is deleted under the leader: nobody is blocked, and the node is the same at the next visit", async ({ browse, connect, server }) => {
  const [near, far] = [await browse(), await browse()];
  const quiet = await quietPage(near, server);
  const a = await connect(near, "a");
  const id = await idOf(a);

  const outcome = await quiet.evaluate(
    () =>
      new Promise((resolve) => {
        const deleting = indexedDB.deleteDatabase("bitters");
        for (const type of ["success", "blocked", "error"]) deleting.addEventListener(type, () => resolve(type));
      }),
  );
  expect(outcome).toBe("success");
  // A link is learned of, and written.
  const c = await connect(far, "c");
  await reach(a, await idOf(c));
  await expect.poll(() => quiet.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name))).toContain("bitters");
  expect((await statusOf(a)).warnings).toEqual([]);

  await a.close();
  await quiet.evaluate(() => navigator.locks.request("bitters/2/leader", () => {}));
  expect(await idOf(await connect(near, "a"))).toBe(id);
});

/** Waits until the page's node has another leader. */
async function newLeader(page: Page, before: Awaited<ReturnType<typeof statusOf>>["leader"], timeout = 10_000): Promise<void> {
  let other = false;
  const watching = page.evaluate(async (boot) => {
    for await (const { leader } of window.mine.watch()) if (leader && leader.boot !== boot) return;
  }, before?.boot);
  watching.then(() => (other = true)).catch(() => {});
  await expect.poll(() => other, { message: "another leads", timeout }).toBe(true);
}

/** Waits until the page's leader answers nothing any longer. */
async function silence(page: Page): Promise<void> {
  const answers = (): Promise<boolean> =>
    page.evaluate(() => {
      // Many times what an answer takes; nothing tells that there is none.
      const late = new Promise<boolean>((resolve) => setTimeout(resolve, 500, false));
      return Promise.race([window.mine.status().then(() => true), late]);
    });
  await expect.poll(answers, { message: "the leader answers" }).toBe(false);
}

/** What one says in the topic the other hears. */
async function says(speaker: Page, name: string, page: Page, text: string): Promise<void> {
  await say(speaker, name, text);
  await expect.poll(async () => (await heard(page, name)).map(({ data }) => data)).toContain(text);
}

/** Says numbers in a topic until another leads, and a few more; returns how many. */
const speak = (page: Page, name: string, boot: string | undefined): Promise<number> =>
  page.evaluate(
    async ([name, boot]) => {
      let said = 0;
      let more = Infinity;
      void (async () => {
        for await (const { leader } of window.mine.watch()) if (leader && leader.boot !== boot) return void (more = said + 20);
      })();
      while (said < more) {
        await window.rooms[name as string]?.topic.publish(said++);
        // The pace at which it is said.
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return said;
    },
    [name, boot],
  );

/** One page sends numbers to another on a stream, until it is stopped; resolves as soon as some have arrived. */
async function count(page: Page, other: Page): Promise<Counting> {
  const peer = await idOf(other);
  await other.evaluate(() => {
    Object.assign(window, { counted: [] });
    void window.mine.serve("count", async (stream) => {
      const texts = (stream.readable as ReadableStream<BufferSource>).pipeThrough(new TextDecoderStream());
      let rest = "";
      for await (const text of texts as unknown as AsyncIterable<string>) {
        const lines = (rest + text).split("\n");
        rest = lines.pop() as string;
        (window as unknown as { counted: number[] }).counted.push(...lines.map(Number));
      }
    });
  });
  await reach(page, peer);
  await page.evaluate(async (peer) => {
    const stream = await window.mine.open(peer, "count");
    const writer = stream.writable.getWriter();
    let goes = true;
    const sending = (async () => {
      let sent = 0;
      for (; goes; sent++) {
        await writer.write(new TextEncoder().encode(`${sent}\n`));
        // The pace at which it is sent.
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return sent;
    })();
    const stop = (): Promise<number> => {
      goes = false;
      return sending;
    };
    Object.assign(window, { stop });
  }, peer);
  await expect.poll(async () => (await counted(other)).length).toBeGreaterThan(10);
  return { peer, stop: () => page.evaluate(() => (window as unknown as { stop(): Promise<number> }).stop()) };
}

const counted = (page: Page): Promise<number[]> =>
  page.evaluate(() => (window as unknown as { counted: number[] }).counted);

const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

async function open(browser: BrowserContext, server: Server, site: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(server.url(site));
  await page.evaluate(async (url) => {
    window.sdk = await import(url);
  }, `${server.node}/sdk/bitters.js`);
  await connectHere(page, server.node);
  return page;
}

async function connectHere(page: Page, node: string, timeout = 10_000): Promise<void> {
  await page.evaluate(async (options) => {
    window.mine = await window.sdk.connect(options);
  }, { node, timeout });
}
