// The SDK's contract in one real browser.
import { quietPage } from "./support/alive.ts";
import { bringSdk, expect, idOf, test } from "./support/test.ts";

/** What each of these works comes to: its value, or its error's code. */
type Outcomes = Record<string, unknown>;

declare global {
  interface Window {
    /** The value of a promise, or the code of the `BittersError` that it rejects with. */
    codeOf(work: () => unknown): Promise<unknown>;
  }
}

const codeOf = `window.codeOf = async (work) => {
  try {
    return await work();
  } catch (error) {
    if (!window.sdk || error instanceof window.sdk.BittersError) return error.code + (error.executed ? " " + error.executed : "");
    return String(error);
  }
};`;

test("connect fails with a typed error where there is no node, in time, or when it is given up", async ({ browse, visit, server }) => {
  const a = await visit(await browse({ init: codeOf }), "a");

  const outcomes = await a.evaluate(
    async ({ node, quiet }): Promise<Outcomes> => {
      const { connect } = window.sdk;
      const given = new AbortController();
      const later = window.codeOf(() => connect({ node: quiet, signal: given.signal }));
      given.abort("changed my mind");
      return {
        neither: await window.codeOf(() => connect({})),
        unspeakable: await window.codeOf(() => connect({ node: "no url" })),
        protocol: await window.codeOf(() => connect({ node: "ftp://node.example" })),
        // A page that isn't a node, and a port where nobody listens.
        silent: await window.codeOf(() => connect({ node: quiet, timeout: 300 })),
        closed: await window.codeOf(() => connect({ node: "http://node.localhost:1", timeout: 300 })),
        aborted: await later,
        before: await window.codeOf(() => connect({ node, signal: AbortSignal.abort() })),
        time: await window.codeOf(() => connect({ node, timeout: 0 })),
        badge: await window.codeOf(() => connect({ node, badge: "loud" as "auto" })),
        identity: await window.codeOf(() => connect({ node, identity: "anyone" as "site" })),
        person: await window.codeOf(() => connect({ node, identity: "person" })),
        iframes: document.querySelectorAll("iframe").length,
        fallback: await window.codeOf(async () => (await connect({ fallback: node, badge: "hidden" })).origin),
      };
    },
    { node: server.node, quiet: server.url("b") },
  );

  expect(outcomes).toEqual({
    neither: "NoNode",
    unspeakable: "BadArgument",
    protocol: "BadArgument",
    silent: "NoNode",
    closed: "NoNode",
    aborted: "Aborted",
    before: "Aborted",
    time: "BadArgument",
    badge: "BadArgument",
    identity: "BadArgument",
    person: "Denied",
    // Whatever fails leaves nothing behind.
    iframes: 0,
    fallback: server.node,
  });
});

test("the node tells what it is, and the badge stands where the site wants it", async ({ browse, visit, server }) => {
  const a = await visit(await browse(), "a");

  const seen = await a.evaluate(async (node) => {
    const holder = document.body.appendChild(document.createElement("aside"));
    const { origin, version, scope } = await window.sdk.connect({ node, badge: holder });
    await window.sdk.connect({ node, badge: "hidden" });
    const hidden = document.querySelector<HTMLIFrameElement>("body > iframe");
    return { origin, version, scope, held: holder.querySelectorAll("iframe").length, inert: hidden?.inert };
  }, server.node);

  expect(seen).toEqual({ origin: server.node, version: expect.stringMatching(/^\d+\.\d+\.\d+/), scope: "browser", held: 1, inert: true });
});

test("watch tells the status now and after each change, until it is left", async ({ browse, connect }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  await a.evaluate(() => {
    const counts: number[] = [];
    Object.assign(window, { counts });
    void (async () => {
      for await (const { frames } of window.mine.watch()) {
        counts.push(frames.length);
        if (frames.length === 1 && counts.length > 1) break;
      }
      counts.push(-1);
    })();
  });
  const counts = (): Promise<number[]> => a.evaluate(() => (window as unknown as { counts: number[] }).counts);
  await expect.poll(counts).toEqual([1]);

  const b = await connect(browser, "b");
  await expect.poll(async () => (await counts()).at(-1)).toBe(2);
  await b.close();
  await expect.poll(async () => (await counts()).at(-1)).toBe(-1);

  // Distinct neighbours: nothing is told twice.
  const all = (await counts()).filter((count, at, all) => count !== all[at - 1]);
  expect(all).toEqual([1, 2, 1, -1]);
});

test("a watch ends with its signal, and the node goes on", async ({ browse, connect }) => {
  const a = await connect(await browse({ init: codeOf }), "a");

  const seen = await a.evaluate(async () => {
    const given = new AbortController();
    const statuses = window.mine.watch({ signal: given.signal })[Symbol.asyncIterator]();
    const first = await statuses.next();
    const second = window.codeOf(() => statuses.next());
    given.abort();
    return [first.value?.frames.length, await second, (await statuses.next()).done, (await window.mine.status()).frames.length];
  });

  expect(seen).toEqual([1, "Aborted", true, 1]);
});

test("requests refuse what they can't do, with a typed error", async ({ browse, connect }) => {
  const a = await connect(await browse({ init: codeOf }), "a");

  const outcomes = await a.evaluate(async (): Promise<Outcomes> => {
    const { mine } = window;
    const me = mine.id;
    const topic = await mine.join("lobby");
    const left = await mine.join("left");
    left.leave();
    const hanging = new AbortController();
    void mine.answer("hang", (data) => {
      if (data === "abort") hanging.abort();
      return new Promise(() => {});
    });
    return {
      join: await window.codeOf(() => mine.join("")),
      long: await window.codeOf(() => mine.join("x".repeat(129))),
      longest: await window.codeOf(async () => (await mine.join("é".repeat(128))).name.length),
      dial: await window.codeOf(() => mine.dial("me")),
      aborted: await window.codeOf(() => mine.join("lobby", { signal: AbortSignal.abort() })),
      publish: await window.codeOf(() => topic.publish(new Uint8Array(256 * 1024 + 1))),
      most: await window.codeOf(() => topic.publish(new Uint8Array(256 * 1024))),
      function: await window.codeOf(() => topic.publish((() => 1) as unknown as string)),
      left: await window.codeOf(() => left.publish("hello")),
      call: await window.codeOf(() => mine.call(me, "nothing", null)),
      argument: await window.codeOf(() => mine.call(me, "nothing", "x".repeat(256 * 1024 + 1))),
      timeout: await window.codeOf(() => mine.call(me, "hang", null, { timeout: 200 })),
      hung: await window.codeOf(() => mine.call(me, "hang", "abort", { signal: hanging.signal })),
      open: await window.codeOf(() => mine.open(me, "nothing")),
      twice: await window.codeOf(() => mine.answer("hang", () => 1)),
    };
  });

  expect(outcomes).toEqual({
    join: "BadArgument",
    long: "BadArgument",
    longest: 128,
    dial: "BadArgument",
    aborted: "Aborted",
    publish: "TooLarge",
    most: undefined,
    function: "BadArgument",
    left: "Closed",
    call: "NotFound no",
    argument: "TooLarge no",
    timeout: "Timeout unknown",
    hung: "Aborted unknown",
    open: "NotFound",
    twice: "BadArgument",
  });
});

test("two sites of one browser: streams and calls of every kind of data, both ways", async ({ browse, connect }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const b = await connect(browser, "b");
  const [idA, idB] = [await idOf(a), await idOf(b)];
  await b.evaluate(() => {
    void window.mine.serve("upper", async (stream) => {
      const upper = new TransformStream<string, string>({ transform: (text, out) => out.enqueue(text.toUpperCase()) });
      const bytes = stream.readable as unknown as ReadableStream<Uint8Array<ArrayBuffer>>;
      await bytes.pipeThrough(new TextDecoderStream()).pipeThrough(upper).pipeThrough(new TextEncoderStream()).pipeTo(stream.writable);
    });
    void window.mine.answer("echo", (data, { from }) => {
      if (data === "throw") throw new Error("as you like");
      return data instanceof Uint8Array ? data : { from, data };
    });
  });

  const seen = await a.evaluate(async (idB) => {
    const stream = await window.mine.open(idB, "upper");
    const writer = stream.writable.getWriter();
    for (const text of ["hello ", "from ", "a"]) await writer.write(new TextEncoder().encode(text));
    await writer.close();
    const text = await new Response(stream.readable as BodyInit).text();
    const failure = await window.mine.call(idB, "echo", "throw").catch(({ code, message, executed }) => ({ code, message, executed }));
    return {
      peer: stream.peer,
      protocol: stream.protocol,
      text,
      dialled: await window.mine.dial(idB),
      string: await window.mine.call(idB, "echo", "text"),
      json: await window.mine.call(idB, "echo", { list: [1, null, true], deep: { text: "ß" } }),
      bytes: Array.from((await window.mine.call(idB, "echo", new Uint8Array([0, 128, 255]))) as Uint8Array),
      failure,
    };
  }, idB);

  expect(seen).toEqual({
    peer: idB,
    protocol: "upper",
    text: "HELLO FROM A",
    dialled: idB,
    string: { from: idA, data: "text" },
    json: { from: idA, data: { list: [1, null, true], deep: { text: "ß" } } },
    bytes: [0, 128, 255],
    failure: { code: "Remote", message: "as you like", executed: "yes" },
  });
});

test("a call reaches another tab of the same site; a stream between the two is abortable by both", async ({ browse, connect }) => {
  const browser = await browse({ init: codeOf });
  const caller = await connect(browser, "a");
  const answerer = await connect(browser, "a");
  await answerer.evaluate(() => {
    void window.mine.answer("whoami", (_, { from }) => ({ from, tab: "second" }));
    void window.mine.serve("doomed", (stream) => {
      Object.assign(window, { over: stream.readable.getReader().read().catch(({ code, message }) => [code, message]) });
    });
    void window.mine.serve("failing", () => {
      throw new Error("not today");
    });
  });

  const me = await idOf(caller);
  expect(await caller.evaluate((me) => window.mine.call(me, "whoami", null), me)).toEqual({ from: me, tab: "second" });
  const failing = await caller.evaluate(async (me) => {
    (await window.mine.open(me, "doomed")).abort("enough");
    const stream = await window.mine.open(me, "failing");
    return stream.readable.getReader().read().catch(({ code, message }) => [code, message]);
  }, me);
  expect(failing).toEqual(["Remote", expect.stringContaining("not today")]);
  await answerer.waitForFunction(() => "over" in window);
  expect(await answerer.evaluate(() => (window as unknown as { over: unknown }).over)).toEqual(["Remote", expect.stringContaining("enough")]);
});

test("one who stops serving, answering or listening isn't found any longer", async ({ browse, connect }) => {
  const browser = await browse({ init: codeOf });
  const a = await connect(browser, "a");
  const b = await connect(browser, "b");
  await b.evaluate(() => {
    const given = new AbortController();
    void window.mine.serve("echo", (stream) => stream.close(), { signal: given.signal });
    void window.mine.answer("echo", (data) => data, { signal: given.signal });
    Object.assign(window, { stop: () => given.abort() });
  });
  const ask = (): Promise<unknown[]> =>
    a.evaluate(
      async (idB) => [
        await window.codeOf(() => window.mine.call(idB, "echo", 1)),
        await window.codeOf(async () => (await window.mine.open(idB, "echo")).protocol),
      ],
      idB,
    );
  const idB = await idOf(b);

  expect(await ask()).toEqual([1, "echo"]);
  await b.evaluate(async () => {
    (window as unknown as { stop(): void }).stop();
    await window.mine.status();
  });
  expect(await ask()).toEqual(["NotFound no", "NotFound"]);
});

test("close takes the node out of the page: everything open ends, and others see it go", async ({ browse, connect, server }) => {
  const browser = await browse({ init: codeOf });
  const a = await connect(browser, "a");
  const b = await connect(browser, "b");
  await a.evaluate(() => void window.mine.serve("sink", () => new Promise(() => {})));

  const outcomes = await b.evaluate(async (idA): Promise<Outcomes> => {
    const topic = await window.mine.join("lobby");
    const next = topic[Symbol.asyncIterator]().next();
    const stream = await window.mine.open(idA, "sink");
    const read = window.codeOf(() => stream.readable.getReader().read());
    const watch = window.mine.watch()[Symbol.asyncIterator]();
    await watch.next();
    await window.mine.close();
    return {
      iframes: document.querySelectorAll("iframe").length,
      topic: (await next).done,
      read: await read,
      watch: (await watch.next()).done,
      status: await window.codeOf(() => window.mine.status()),
      join: await window.codeOf(() => window.mine.join("lobby")),
      call: await window.codeOf(() => window.mine.call(idA, "any", null)),
      again: await window.codeOf(() => window.mine.close()),
    };
  }, await idOf(a));

  expect(outcomes).toEqual({
    iframes: 0,
    topic: true,
    read: "Closed",
    watch: true,
    status: "Closed",
    join: "Closed",
    call: "Closed no",
    again: undefined,
  });
  await expect.poll(() => a.evaluate(async () => (await window.mine.status()).frames.length)).toBe(1);
  // And it may connect again.
  await b.evaluate(async (node) => {
    window.mine = await window.sdk.connect({ node });
  }, server.node);
  expect((await a.evaluate(() => window.mine.status())).frames.length).toBe(2);
});

test("the node needs no service worker", async ({ browse, connect, server }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const quiet = await quietPage(browser, server);

  expect(await quiet.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length)).toBe(0);
  expect(browser.serviceWorkers()).toEqual([]);
  expect(await a.evaluate(async () => (await window.mine.status()).warnings)).toEqual([]);
});

test("the SDK can be brought in by any site, twice in one page", async ({ browse, connect, server }) => {
  const a = await connect(await browse(), "a");
  const first = await idOf(a);
  await bringSdk(a, server);

  const again = await a.evaluate(async (node) => (await window.sdk.connect({ node })).id, server.node);

  expect(again).toBe(first);
  expect(await a.evaluate(async () => (await window.mine.status()).frames.length)).toBe(2);
});
