// What one end of a dialled address does and sees, in any browser.
import type { Stream } from "@bitters/host-sdk";

import type { Scripted } from "./scripted.ts";
import { expect } from "./test.ts";

declare global {
  interface Window {
    /** The stream that echoes. */
    echo: Stream;
  }
}

export const addressOf = (tab: Scripted): Promise<string> => tab.evaluate(() => window.mine.address());

/** Dials, and tells whom it came to, or what came of it. */
export const dial = (tab: Scripted, where: string): Promise<string> =>
  tab.evaluate((where) => window.mine.dial(where).catch(({ code, message }) => `${code}: ${message}`), where);

/** How an observer's peers are reached. */
export const pathsOf = async (tab: Scripted): Promise<string[]> =>
  tab.evaluate(async () => (await window.mine.status()).peers.map(({ path }) => path));

/** Streams to the page come back, as its leader knows. */
export const serveEcho = (tab: Scripted): Promise<void> =>
  tab.evaluate(async () => {
    void window.mine.serve("echo", (stream) => stream.readable.pipeTo(stream.writable));
    await window.mine.status();
  });

/** Opens a stream that echoes, and sees that it does. */
export async function talk(tab: Scripted, peer: string, text: string): Promise<void> {
  await tab.evaluate(async (peer) => {
    window.echo = await window.mine.open(peer, "echo");
  }, peer);
  await again(tab, text);
}

/** The same stream still echoes. */
export async function again(tab: Scripted, text: string): Promise<void> {
  const echoed = await tab.evaluate(async (text) => {
    const writer = window.echo.writable.getWriter();
    void writer.write(new TextEncoder().encode(text)).finally(() => writer.releaseLock());
    const reader = window.echo.readable.getReader();
    let heard = "";
    while (heard.length < text.length) {
      const { done, value } = await reader.read();
      if (done) break;
      heard += new TextDecoder().decode(value);
    }
    reader.releaseLock();
    return heard;
  }, text);
  expect(echoed).toBe(text);
}
