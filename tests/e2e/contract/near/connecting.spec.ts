// From `connect` to `close`.
import { bringSdk } from "../../support/tab.ts";
import { idOf, statusOf } from "../../support/test.ts";
import { expect, framesBecome, test } from "../test.ts";

test("connect fails with a typed error where there is no node, in time, or when it is given up", async ({ here, more, server }) => {
  const a = await more("a", { connected: false });

  const outcomes = await a.evaluate(
    async ({ node, quiet }): Promise<Record<string, unknown>> => {
      const { connect } = window.sdk;
      const given = new AbortController();
      const later = window.codeOf(() => connect({ node: quiet, signal: given.signal }));
      given.abort("changed my mind");
      const unanswered = window.codeOf(() => connect({ node, identity: "person", timeout: 8_000 }));
      return {
        neither: await window.codeOf(() => connect({ timeout: 500 })),
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
        person: await unanswered,
        iframes: document.querySelectorAll("iframe").length,
        fallback: await window.codeOf(async () => (await connect({ fallback: node, badge: "hidden", timeout: 20_000 })).origin),
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
    // The person is asked, for one node for all sites first, and says nothing here; but where no way leads to such a node.
    person: here.leader === "dedicated" ? "Denied" : "Timeout",
    // Whatever fails leaves nothing behind.
    iframes: 0,
    fallback: server.node,
  });
});

test("the node tells what it is, and the badge stands where the site wants it", async ({ here, more, server }) => {
  const a = await more("a", { connected: false });

  const seen = await a.evaluate(async ({ node, wanted }) => {
    const holder = document.body.appendChild(document.createElement("aside"));
    const mine = await window.sdk.connect({ node, badge: holder });
    // Where the site has asked the person before, its frames follow.
    if (mine.scope !== wanted) await new Promise((resolve) => mine.addEventListener("scope", resolve, { once: true }));
    await window.sdk.connect({ node, badge: "hidden" });
    const hidden = document.querySelector<HTMLIFrameElement>("body > iframe");
    const { id, origin, scope, version } = mine;
    return { id, origin, version, scope, held: holder.querySelectorAll("iframe").length, inert: hidden?.inert };
  }, { node: server.node, wanted: here.scope });

  expect(seen).toEqual({
    id: expect.stringMatching(/^[13-9a-km-uw-z]{52}$/),
    origin: server.node,
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    scope: here.scope,
    held: 1,
    inert: true,
  });
});

test("the id stays over a reload, in another tab, and where the SDK is brought in twice", async ({ a, more, server }) => {
  const tab = await more("a");
  const id = await idOf(tab);
  expect(id).toBe(await idOf(a));

  await tab.reload();
  await bringSdk(tab, server);
  const connectAgain = (): Promise<string> => tab.evaluate(async (node) => (await window.sdk.connect({ node })).id, server.node);
  expect(await connectAgain()).toBe(id);
  await bringSdk(tab, server);
  expect(await connectAgain()).toBe(id);
});

test("another site has another id, and shares the node only where it is of the whole browser", async ({ a, here, more, server }) => {
  const other = await more("b", { site: "c" });

  expect(await idOf(other)).not.toBe(await idOf(a));
  expect(await other.evaluate(() => window.mine.scope)).toBe(here.scope);
  const seen = (await statusOf(a)).frames.some(({ origin }) => origin === server.url("c").slice(0, -1));
  expect(seen).toBe(here.scope === "browser");
});

test("close takes the node out of the page: everything open ends, and others see it go", async ({ a, frames, more, server }) => {
  const closing = await more("a");
  await framesBecome(a, frames + 1);
  await a.evaluate(() => void window.mine.serve("sink", () => new Promise(() => {})));

  const outcomes = await closing.evaluate(async (idA): Promise<Record<string, unknown>> => {
    const topic = await window.mine.join("closing");
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
      join: await window.codeOf(() => window.mine.join("closing")),
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
  await framesBecome(a, frames);
  // And it may connect again.
  await closing.evaluate(async (node) => void (await window.sdk.connect({ node })), server.node);
  await framesBecome(a, frames + 1);
});

test("a node that goes out of its scope is closed, where the language has that", async ({ more, server }) => {
  const tab = await more("a", { connected: false });

  const disposed = await tab.evaluate(async (node) => {
    if (!Symbol.asyncDispose) return "no such symbol";
    const mine = await window.sdk.connect({ node });
    await mine[Symbol.asyncDispose]();
    return window.codeOf(() => mine.status());
  }, server.node);

  expect(disposed).toBe((await tab.evaluate(() => "asyncDispose" in Symbol)) ? "Closed" : "no such symbol");
});
