// The node's frame in a page goes and comes back: what the site had goes on.
import { enter, heard, reach, say } from "../../support/room.ts";
import type { Tab } from "../../support/tab.ts";
import { idOf } from "../../support/test.ts";
import { expect, test } from "../test.ts";

/** How a frame is lost and found; runs in the page. */
const WAYS: Record<string, () => void> = {
  "loads again": () => {
    const iframe = document.querySelector("iframe") as HTMLIFrameElement;
    iframe.src = iframe.src;
  },
  // The SDK puts it back.
  "is taken out": () => document.querySelector("iframe")?.remove(),
};

for (const [way, lose] of Object.entries(WAYS))
  test(`an iframe ${way}: topics, methods and protocols go on, so do calls that may be made twice; what ended there fails`, async ({ b, more }) => {
    const tab = await more("a");
    const name = `lasting when it ${way}`;
    await Promise.all([tab, b].map((tab) => enter(tab, name)));
    await serve(tab, name);
    const peer = await reach(b, await idOf(tab));
    await openStream(b, peer, name);
    await hold(b, name);
    await callTwice(tab, await idOf(b), name);
    await expect.poll(() => b.evaluate(() => window.log)).toEqual(["begun", "begun"]);

    await tab.evaluate(lose);

    // The one end lost its frame, the other its peer.
    expect(await Promise.all([tab, b].map((tab) => tab.evaluate(() => window.ended)))).toEqual(["LeaderLost", "PeerUnreachable"]);
    await expect.poll(() => b.evaluate(() => window.log)).toEqual(["begun", "begun", "begun"]);
    await b.evaluate(() => window.release());
    expect(await tab.evaluate(() => window.called)).toEqual({ once: "LeaderLost unknown", idempotent: "released" });
    const works = (work: string): Promise<unknown> =>
      b.evaluate(
        ({ peer, name, work }) =>
          window.codeOf(() => (work === "call" ? window.mine.call(peer, name, "hello") : window.mine.open(peer, name).then(({ protocol }) => protocol))),
        { peer, name, work },
      );
    await expect.poll(() => works("call"), { timeout: 40_000 }).toBe("hello");
    expect(await works("open")).toBe(name);
    await hears(b, tab, name);
    await hears(tab, b, name);
  });

declare global {
  interface Window {
    /** The code with which the stream's reading ended. */
    ended: Promise<unknown>;
    /** What calls came to. */
    called: Promise<Record<string, unknown>>;
    /** Has the handler answer. */
    release: () => void;
  }
}

/** Answers and serves under this name. The leader, which tells the status, knows it then. */
const serve = (tab: Tab, name: string): Promise<void> =>
  tab.evaluate(async (name) => {
    void window.mine.answer(name, (data) => data);
    void window.mine.serve(name, async (stream) => {
      const reader = stream.readable.getReader();
      await reader.read();
      window.ended = window.codeOf(() => reader.read());
      await stream.writable.getWriter().write(new Uint8Array(1));
    });
    await window.mine.status();
  }, name);

/** Answers calls once they are released. */
const hold = (tab: Tab, name: string): Promise<void> =>
  tab.evaluate((name) => {
    window.log = [];
    const released = new Promise<string>((resolve) => (window.release = () => resolve("released")));
    void window.mine.answer(`held: ${name}`, () => {
      window.log.push("begun");
      return released;
    });
  }, name);

/** Calls what is held, as a call that may be made twice and as one that may not. */
async function callTwice(tab: Tab, id: string, name: string): Promise<void> {
  await tab.evaluate(
    ({ peer, name }) => {
      const call = (idempotent: boolean): Promise<unknown> => window.codeOf(() => window.mine.call(peer, `held: ${name}`, null, { idempotent, timeout: 40_000 }));
      const calls = [call(false), call(true)];
      window.called = Promise.all(calls).then(([once, idempotent]) => ({ once, idempotent }));
    },
    { peer: await reach(tab, id), name },
  );
}

/** Opens a stream, and reads until it ends; something has gone both ways then. */
const openStream = (tab: Tab, peer: string, name: string): Promise<void> =>
  tab.evaluate(
    async ({ peer, name }) => {
      const stream = await window.mine.open(peer, name);
      const reader = stream.readable.getReader();
      await stream.writable.getWriter().write(new Uint8Array(1));
      await reader.read();
      window.ended = window.codeOf(() => reader.read());
    },
    { peer, name },
  );

/** What one says the other hears; said until it does, as the frame may just be joining. */
async function hears(speaker: Tab, listener: Tab, name: string): Promise<void> {
  const text = `from ${await speaker.evaluate(() => crypto.randomUUID())}`;
  const heardIt = async (): Promise<boolean> => {
    await say(speaker, name, text);
    return (await heard(listener, name)).some(({ data }) => data === text);
  };
  await expect.poll(heardIt).toBe(true);
}
