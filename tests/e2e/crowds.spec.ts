// More streams to one peer than there may be: the first open, the others are refused while those are open, and what is closed makes room.
import { reach } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

/** How many streams to one peer are open at most (`MAX_STREAMS` of the wire). */
const MOST = 128;

for (const where of ["one browser", "two browsers"])
  test(`500 streams at once, in ${where}: 128 open and the others are refused at once; those that end make room for as many`, async ({ browse, connect }) => {
    const one = await browse();
    const two = where === "one browser" ? one : await browse();
    const [a, b] = [await connect(one, "a"), await connect(two, "b")];
    await b.evaluate(() => {
      // Until the opener has finished.
      void window.mine.serve("crowd", async (stream) => {
        await stream.readable.pipeTo(new WritableStream());
        await stream.close();
      });
    });
    const peer = await reach(a, await idOf(b));

    const rounds = await a.evaluate(async (peer) => {
      const rounds = [];
      for (let round = 0; round < 2; round++) {
        // Longer than this test may take: what is refused doesn't end by that.
        const opening = Array.from({ length: 500 }, () => window.mine.open(peer, "crowd", { timeout: 600_000 }));
        const outcomes = await Promise.allSettled(opening);
        const streams = outcomes.filter((one) => one.status === "fulfilled").map(({ value }) => value);
        const refusals = outcomes.filter((one) => one.status === "rejected").map(({ reason }) => `${reason.code}, ${reason.retryable}`);
        rounds.push({ opened: streams.length, refused: refusals.length, refusals: [...new Set(refusals)] });
        await Promise.all(streams.map(async (stream) => {
          await stream.close();
          await stream.readable.pipeTo(new WritableStream());
        }));
      }
      return rounds;
    }, peer);

    expect(rounds).toEqual(Array(2).fill({ opened: MOST, refused: 500 - MOST, refusals: ["Quota, true"] }));
  });
