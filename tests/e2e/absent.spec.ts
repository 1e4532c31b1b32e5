// Who isn't there, or not yet.
import { expect, idOf, test } from "./support/test.ts";

/** A key that nobody registered. */
const NOBODY = "9y6o5wekpxr8i9ypkknwf3qpf1btg7wrqgkz9dg3wy5jbpnw1w7o";

test("nobody answers to an unknown id: PeerUnreachable, before a call gives up; who comes meanwhile is found", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, before] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  const peer = await idOf(before);
  await before.close();
  const failures = a.evaluate(async (id) => {
    const { mine } = window;
    const asked = [mine.dial(id), mine.open(id, "greet"), mine.call(id, "greet", null)];
    return (await Promise.allSettled(asked)).map((one) => one.status === "rejected" && { code: one.reason.code, retryable: one.reason.retryable });
  }, NOBODY);
  const dialled = a.evaluate((peer) => window.mine.dial(peer).catch(({ code }) => code as string), peer);

  // It is being dialled when its page opens.
  await a.evaluate(() => window.mine.status());
  await connect(two, "b");

  expect(await dialled).toBe(peer);
  expect(await failures).toEqual(Array(3).fill({ code: "PeerUnreachable", retryable: true }));
});
