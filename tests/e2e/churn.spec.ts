// A page that leaves a topic and joins it again, over and over, as one does that joins for each view it shows.
import { enter, heard, meet, moves, present, say } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

const ROUNDS = 100;

for (const where of ["one browser", "two browsers"])
  test(`a page leaves a topic and joins it again a hundred times, in ${where}: it hears and is heard then, and is there once`, async ({ browse, connect }) => {
    const one = await browse();
    const two = where === "one browser" ? one : await browse();
    const [restless, calm] = [await connect(one, "a"), await connect(two, "b")];
    const [itself, other] = [await idOf(restless), await idOf(calm)];
    await meet("door", restless, calm);

    const ended = await restless.evaluate(async (rounds) => {
      const readings = [];
      let topic = window.rooms["door"]?.topic;
      for (let round = 0; round < rounds; round++) {
        topic?.leave();
        topic = await window.mine.join("door");
        readings.push(topic[Symbol.asyncIterator]().next());
      }
      topic?.leave();
      return (await Promise.all(readings)).filter(({ done }) => done).length;
    }, ROUNDS);
    // What it has left it doesn't hear.
    expect(ended).toBe(ROUNDS);
    await enter(restless, "door");

    await expect.poll(() => present(restless, "door")).toEqual([other]);
    // The last that is told of it.
    await expect.poll(async () => (await moves(calm, "door")).at(-1)).toBe(`+${itself}`);
    for (const text of ["one", "two"]) await Promise.all([restless, calm].map((page) => say(page, "door", text)));
    await expect.poll(() => heard(restless, "door")).toEqual([{ from: other, data: "one" }, { from: other, data: "two" }]);
    await expect.poll(() => heard(calm, "door")).toEqual([{ from: itself, data: "one" }, { from: itself, data: "two" }]);

    // Nothing that was told late has changed it.
    expect(await Promise.all([restless, calm].map((page) => present(page, "door")))).toEqual([[other], [itself]]);
    const seen = await moves(calm, "door");
    expect(seen).toEqual(seen.map((_, at) => `${at % 2 === 0 ? "+" : "-"}${itself}`));
  });
