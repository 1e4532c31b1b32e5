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
  "is taken out and put back": () => {
    const iframe = document.querySelector("iframe") as HTMLIFrameElement;
    const parent = iframe.parentElement as HTMLElement;
    iframe.remove();
    setTimeout(() => parent.append(iframe), 100);
  },
};

for (const [way, lose] of Object.entries(WAYS))
  test(`an iframe ${way}: topics, methods and protocols go on, a stream that ended there fails`, async ({ b, more }) => {
    const tab = await more("a");
    const name = `lasting when it ${way}`;
    await Promise.all([tab, b].map((tab) => enter(tab, name)));
    await serve(tab, name);
    const peer = await reach(b, await idOf(tab));
    await openStream(b, peer, name);

    await tab.evaluate(lose);

    // Both of its ends, whichever lost its frame.
    const errors = Promise.all([tab, b].map((tab) => tab.evaluate(() => window.ended)));
    expect(await errors).toEqual([expect.stringMatching(CODES), expect.stringMatching(CODES)]);
    const works = (work: string): Promise<unknown> =>
      b.evaluate(
        ({ peer, name, work }) =>
          window.codeOf(() => (work === "call" ? window.mine.call(peer, name, "hello") : window.mine.open(peer, name).then(({ protocol }) => protocol))),
        { peer, name, work },
      );
    await expect.poll(() => works("call"), { timeout: 20_000 }).toBe("hello");
    expect(await works("open")).toBe(name);
    await hears(b, tab, name);
    await hears(tab, b, name);
  });

declare global {
  interface Window {
    /** The code with which the stream's reading ended. */
    ended: Promise<unknown>;
  }
}

/** What a stream fails with whose other end, or whose own frame, is gone. */
const CODES = /^(LeaderLost|PeerUnreachable|Remote)$/;

/** Answers and serves under this name. */
const serve = (tab: Tab, name: string): Promise<void> =>
  tab.evaluate((name) => {
    void window.mine.answer(name, (data) => data);
    void window.mine.serve(name, async (stream) => {
      const reader = stream.readable.getReader();
      await reader.read();
      window.ended = window.codeOf(() => reader.read());
      await stream.writable.getWriter().write(new Uint8Array(1));
    });
  }, name);

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
