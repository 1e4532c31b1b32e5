// A reader that stops reading stops its writer, and nobody else.
import type { Page } from "@playwright/test";

import { reach } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

const MIB = 1024 * 1024;
const CHUNK = 64 * 1024;
const TOTAL = 12 * MIB;
/** What was read, the stream's window of 2 MiB after that, and a little for chunks that are being handled. */
const BOUND = 3.5 * MIB;

declare global {
  interface Window {
    /** Bytes that a stream's `write()` has accepted, by the stream's protocol. */
    accepted: Record<string, number>;
    /** Bytes that were read, and their sum. */
    taken: { bytes: number; sum: number; ended: boolean };
    /** Lets the slow reader go on. */
    goOn: () => void;
  }
}

test("a reader that pauses after 1 MiB holds the writer within a few MiB, and gets all of it in the end", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  const idB = await reach(a, await idOf(b));
  await serveSlowly(b);

  await write(a, idB, "slow", TOTAL);
  await b.waitForFunction((bytes) => window.taken?.bytes >= bytes, MIB);
  // Other streams of the same two, which also take the writer's time to go as far as it may.
  for (let round = 0; round < 3; round += 1) expect(await echo(a, idB, 2 * MIB)).toBe(2 * MIB);
  const held = await a.evaluate(() => window.accepted["slow"] ?? 0);
  expect(await echo(a, idB, 2 * MIB)).toBe(2 * MIB);

  expect(held).toBeGreaterThanOrEqual(MIB);
  expect(held).toBeLessThanOrEqual(BOUND);
  expect(await a.evaluate(() => window.accepted["slow"])).toBe(held);

  await b.evaluate(() => window.goOn());
  await b.waitForFunction(() => window.taken.ended);
  expect(await b.evaluate(() => window.taken)).toEqual({ bytes: TOTAL, sum: sumOf(TOTAL), ended: true });
  expect(await a.evaluate(() => window.accepted["slow"])).toBe(TOTAL);
});

test("a writer that waits for a reader who never reads is freed by abort, and the other end learns why", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  await b.evaluate(() => {
    void window.mine.serve("never", async (stream) => {
      const answer = stream.writable.getWriter();
      await answer.write(new Uint8Array(1));
      const failure = await answer.closed.catch((error: { code: string; message: string }) => error);
      (window as unknown as { failure: unknown }).failure = { code: failure?.code, message: failure?.message };
    });
  });

  const code = await a.evaluate(
    async ({ peer, size }) => {
      const stream = await window.mine.open(peer, "never");
      await stream.readable.getReader().read();
      const writing = stream.writable.getWriter().write(new Uint8Array(size));
      stream.abort("had enough");
      return writing.then(
        () => "written",
        (error: { code: string }) => error.code,
      );
    },
    { peer: await reach(a, await idOf(b)), size: 8 * MIB },
  );

  expect(code).toBe("Aborted");
  const failure = await b.waitForFunction(() => (window as unknown as { failure?: { code: string; message: string } }).failure);
  expect((await failure.jsonValue())?.message).toContain("had enough");
});

/** Serves `slow`, whose reader pauses after 1 MiB until told to go on, and `echo`. */
async function serveSlowly(page: Page): Promise<void> {
  await page.evaluate((pause) => {
    window.taken = { bytes: 0, sum: 0, ended: false };
    const patience = new Promise<void>((resolve) => (window.goOn = resolve));
    void window.mine.serve("slow", async (stream) => {
      for await (const chunk of stream.readable as unknown as AsyncIterable<Uint8Array>) {
        window.taken.bytes += chunk.length;
        for (const byte of chunk) window.taken.sum += byte;
        if (window.taken.bytes >= pause) await patience;
      }
      window.taken.ended = true;
    });
    void window.mine.serve("echo", (stream) => stream.readable.pipeTo(stream.writable));
  }, MIB);
}

/** Begins to write; what is accepted is counted. */
async function write(page: Page, peer: string, protocol: string, total: number): Promise<void> {
  await page.evaluate(
    async ({ peer, protocol, total, chunk }) => {
      window.accepted = { [protocol]: 0 };
      const stream = await window.mine.open(peer, protocol);
      const writer = stream.writable.getWriter();
      void (async () => {
        for (let at = 0; at < total; at += chunk) {
          await writer.write(new Uint8Array(chunk).fill(at / chunk));
          window.accepted[protocol] = at + chunk;
        }
        await writer.close();
      })();
    },
    { peer, protocol, total, chunk: CHUNK },
  );
}

/** The bytes that came back. */
async function echo(page: Page, peer: string, size: number): Promise<number> {
  return page.evaluate(
    async ({ peer, size }) => {
      const stream = await window.mine.open(peer, "echo");
      const back = new Response(stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
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
