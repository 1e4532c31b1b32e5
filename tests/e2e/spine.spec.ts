// The spine: two sites share one node.
import { expect, idOf, statusOf, test } from "./support/test.ts";

test("two sites share one node and meet under ids that share nothing", async ({ browse, connect }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const b = await connect(browser, "b");

  expect(await idOf(a)).not.toBe(await idOf(b));
  expect(await a.evaluate(() => window.mine.scope)).toBe("browser");
  const status = await statusOf(a);
  expect(status.frames.map((frame) => new URL(frame.origin).hostname)).toEqual(["a.localhost", "b.localhost"]);
  expect(status.leader?.kind).toBe("shared");

  await b.evaluate(async () => {
    const topic = await window.mine.join("lobby");
    (window as unknown as { heard: unknown }).heard = topic[Symbol.asyncIterator]().next();
  });
  await a.evaluate(async () => {
    const topic = await window.mine.join("lobby");
    await topic.publish({ hello: ["b", 1] });
  });
  const heard = await b.evaluate(
    () => (window as unknown as { heard: Promise<IteratorResult<{ from: string; data: unknown }>> }).heard,
  );
  expect(heard.value).toMatchObject({ from: await idOf(a), data: { hello: ["b", 1] } });
});
