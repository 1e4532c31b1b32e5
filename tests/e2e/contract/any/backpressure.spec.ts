// A reader that stops reading stops its writer, and nobody else.
import { reach } from "../../support/room.ts";
import type { Scripted } from "../../support/scripted.ts";
import { idOf } from "../../support/test.ts";
import { expect, test } from "../test.ts";

const MIB = 1024 * 1024;
const CHUNK = 64 * 1024;
const TOTAL = 12 * MIB;
/** What was read, the stream's window of 2 MiB after that, and a little for chunks that are being handled. */
const BOUND = 3.5 * MIB;

declare global {
  interface Window {
    /** Bytes that a stream's `write()` has accepted. */
    accepted: number;
    /** Bytes that were read, and their sum. */
    taken: { bytes: number; sum: number; ended: boolean };
    /** Lets the slow reader go on. */
    goOn: () => void;
  }
}

test("a reader that pauses after 1 MiB holds the writer within a few MiB, and gets all of it in the end", async ({ a, b }) => {
  const peer = await reach(a, await idOf(b));
  await serveSlowly(b);

  await write(a, peer, TOTAL);
  await expect.poll(() => b.evaluate(() => window.taken.bytes), { timeout: 60_000 }).toBeGreaterThanOrEqual(MIB);
  // Other streams of the same two, which also take the writer's time to go as far as it may.
  for (let round = 0; round < 3; round += 1) expect(await echo(a, peer, 2 * MIB)).toBe(2 * MIB);
  const held = await a.evaluate(() => window.accepted);
  expect(await echo(a, peer, 2 * MIB)).toBe(2 * MIB);

  expect(held).toBeGreaterThanOrEqual(MIB);
  expect(held).toBeLessThanOrEqual(BOUND);
  expect(await a.evaluate(() => window.accepted)).toBe(held);

  await b.evaluate(() => window.goOn());
  await expect.poll(() => b.evaluate(() => window.taken), { timeout: 60_000 }).toEqual({ bytes: TOTAL, sum: sumOf(TOTAL), ended: true });
  expect(await a.evaluate(() => window.accepted)).toBe(TOTAL);
});

test("a writer that waits for a reader who never reads is freed by abort, and the other end learns why", async ({ a, b }) => {
  await b.evaluate(() => {
    window.log = [];
    void window.mine.serve("unread", async (stream) => {
      const answer = stream.writable.getWriter();
      await answer.write(new Uint8Array(1));
      await answer.closed.catch(({ message }) => window.log.push(message));
    });
  });

  const code = await a.evaluate(
    async ({ peer, size }) => {
      const stream = await window.mine.open(peer, "unread");
      await stream.readable.getReader().read();
      const writing = stream.writable.getWriter().write(new Uint8Array(size));
      stream.abort("had enough");
      return window.codeOf(() => writing);
    },
    { peer: await reach(a, await idOf(b)), size: 8 * MIB },
  );

  expect(code).toBe("Aborted");
  await expect.poll(() => b.evaluate(() => window.log)).toEqual([expect.stringContaining("had enough")]);
});

/** Serves `slow`, whose reader pauses after 1 MiB until told to go on, and `echo`. */
async function serveSlowly(page: Scripted): Promise<void> {
  await page.evaluate((pause) => {
    window.taken = { bytes: 0, sum: 0, ended: false };
    const patience = new Promise<void>((resolve) => (window.goOn = resolve));
    void window.mine.serve("slow", async (stream) => {
      const reader = stream.readable.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        window.taken.bytes += value.length;
        for (const byte of value) window.taken.sum += byte;
        if (window.taken.bytes >= pause) await patience;
      }
      window.taken.ended = true;
    });
    void window.mine.serve("slow echo", (stream) => stream.readable.pipeTo(stream.writable));
  }, MIB);
}

/** Begins to write; what is accepted is counted. */
async function write(page: Scripted, peer: string, total: number): Promise<void> {
  await page.evaluate(
    async ({ peer, total, chunk }) => {
      window.accepted = 0;
      const stream = await window.mine.open(peer, "slow");
      const writer = stream.writable.getWriter();
      void (async () => {
        for (let at = 0; at < total; at += chunk) {
          await writer.write(new Uint8Array(chunk).fill(at / chunk));
          window.accepted = at + chunk;
        }
        await writer.close();
      })();
    },
    { peer, total, chunk: CHUNK },
  );
}

/** The bytes that came back. */
async function echo(page: Scripted, peer: string, size: number): Promise<number> {
  return page.evaluate(
    async ({ peer, size }) => {
      const stream = await window.mine.open(peer, "slow echo");
      const back = new Response(stream.readable).arrayBuffer();
      await new Blob([new Uint8Array(size)]).stream().pipeTo(stream.writable);
      return (await back).byteLength;
    },
    { peer, size },
  );
}

function sumOf(total: number): number {
  let sum = 0;
  for (let at = 0; at < total / CHUNK; at += 1) sum += (at % 256) * CHUNK;
  return sum;
}
