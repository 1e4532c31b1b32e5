// A stream whose loss, doubling and order can be checked: both ends write numbered records at a steady rate.
import type { Stream } from "@bitters/host-sdk";

import { reach } from "./room.ts";
import type { Scripted } from "./scripted.ts";
import { expect, idOf } from "./test.ts";

declare global {
  interface Window {
    /** `exchange` of this module. */
    begin: typeof exchange;
    /** The page's end of the numbered stream. */
    exchange: Exchange;
  }
}

/** What one end wrote, and what it read. */
export interface Tally {
  /** Records written. */
  sent: number;
  /** Records read whose bytes are right. */
  received: number;
  /** Numbers that were left out. */
  lost: number;
  /** Numbers that had come, or been left out, before. */
  doubled: number;
  /** Records with other bytes than their number's. */
  strange: number;
  /** Milliseconds. */
  longestGap: number;
  /** Why writing or reading failed. */
  failure: string | undefined;
}

/** One end at work. */
export interface Exchange {
  readonly tally: Tally;
  /** When each record came, and its number. */
  readonly arrivals: { at: number; number: number }[];
  /** Writes no more, and waits until all has been read. */
  finish(): Promise<Tally>;
}

/** Writes a record every `pace` milliseconds, and checks what comes. Runs in pages. */
export function exchange(stream: Stream, pace: number): Exchange {
  const size = 256;
  const record = (number: number): Uint8Array => {
    const words = Uint32Array.from({ length: size / 4 }, (_, at) => Math.imul(number * 64 + at + 1, 0x9e3779b1));
    words[0] = number;
    return new Uint8Array(words.buffer);
  };
  const tally: Tally = { sent: 0, received: 0, lost: 0, doubled: 0, strange: 0, longestGap: 0, failure: undefined };
  const arrivals: { at: number; number: number }[] = [];
  const fail = (error: unknown): void => void (tally.failure ??= String(error));

  let next = 0;
  const take = (bytes: Uint8Array): void => {
    const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (record(number).some((byte, at) => byte !== bytes[at])) return void (tally.strange += 1);
    tally.received += 1;
    if (number < next) tally.doubled += 1;
    else tally.lost += number - next;
    next = Math.max(next, number + 1);
    const at = performance.now();
    tally.longestGap = Math.max(tally.longestGap, at - (arrivals.at(-1)?.at ?? at));
    arrivals.push({ at, number });
  };
  const read = async (): Promise<void> => {
    let held = new Uint8Array();
    const reader = stream.readable.getReader();
    for (;;) {
      const { done, value: chunk } = await reader.read();
      if (done) break;
      const all = new Uint8Array(held.length + chunk.length);
      all.set(held);
      all.set(chunk, held.length);
      for (held = all; held.length >= size; held = held.subarray(size)) take(held);
    }
    if (held.length > 0) tally.strange += 1;
  };

  const writer = stream.writable.getWriter();
  const reading = read().catch(fail);
  const timer = setInterval(() => {
    writer.write(record(tally.sent)).catch(fail);
    tally.sent += 1;
  }, pace);
  const finish = async (): Promise<Tally> => {
    clearInterval(timer);
    await writer.close().catch(fail);
    await reading;
    return tally;
  };
  return { tally, arrivals, finish };
}

/** Opens a stream between the two pages, on which both write. */
export async function talk(a: Scripted, b: Scripted, pace: number): Promise<void> {
  for (const page of [a, b])
    await page.evaluate((exchange) => {
      window.begin = new Function(`return ${exchange}`)();
    }, String(exchange));
  await b.evaluate((pace) => {
    void window.mine.serve("numbers", (stream) => {
      window.exchange = window.begin(stream, pace);
    });
  }, pace);
  await a.evaluate(
    async ({ peer, pace }) => {
      window.exchange = window.begin(await window.mine.open(peer, "numbers"), pace);
    },
    { peer: await reach(a, await idOf(b)), pace },
  );
  // The stream is accepted before its handler is called.
  await expect.poll(() => b.evaluate(() => window.exchange !== undefined)).toBe(true);
}

/** Waits until each has read what the other wrote after this was asked. */
export async function goesOn(...pages: [Scripted, Scripted]): Promise<void> {
  const sent = await Promise.all(pages.map((page) => page.evaluate(() => window.exchange.tally.sent)));
  const received = (): Promise<number[]> => Promise.all(pages.map((page) => page.evaluate(() => window.exchange.tally.received)));
  await expect.poll(async () => (await received()).every((count, at) => count > (sent[1 - at] ?? 0)), { timeout: 60_000 }).toBe(true);
}

/** Ends the stream; what each tells of it. */
export async function finish(...pages: [Scripted, Scripted]): Promise<[Tally, Tally]> {
  const end = (page: Scripted): Promise<Tally> => page.evaluate(() => window.exchange.finish());
  return Promise.all([end(pages[0]), end(pages[1])]);
}

/** What an end tells that has read all that the other sent, once and in order. */
export const flawless = ({ sent, longestGap }: Tally, received: number): Tally =>
  ({ sent, received, lost: 0, doubled: 0, strange: 0, longestGap, failure: undefined });
