// What is refused, and which limits there are.
import { expect, test } from "../test.ts";

test("requests refuse what they can't do, with a typed error", async ({ a }) => {
  const outcomes = await a.evaluate(async (): Promise<Record<string, unknown>> => {
    const { mine } = window;
    const me = mine.id;
    const topic = await mine.join("refusals");
    const left = await mine.join("left");
    left.leave();
    const hanging = new AbortController();
    void mine.answer("hang", (data) => {
      if (data === "abort") hanging.abort();
      return new Promise(() => {});
    });
    return {
      dial: await window.codeOf(() => mine.dial("me")),
      address: await window.codeOf(() => mine.dial("A".repeat(200))),
      aborted: await window.codeOf(() => mine.join("refusals", { signal: AbortSignal.abort() })),
      publish: await window.codeOf(() => topic.publish(new Uint8Array(256 * 1024 + 1))),
      most: await window.codeOf(() => topic.publish(new Uint8Array(256 * 1024))),
      function: await window.codeOf(() => topic.publish((() => 1) as unknown as string)),
      left: await window.codeOf(() => left.publish("hello")),
      call: await window.codeOf(() => mine.call(me, "nothing", null)),
      argument: await window.codeOf(() => mine.call(me, "nothing", "x".repeat(256 * 1024 + 1))),
      timeout: await window.codeOf(() => mine.call(me, "hang", null, { timeout: 200 })),
      hung: await window.codeOf(() => mine.call(me, "hang", "abort", { signal: hanging.signal })),
      open: await window.codeOf(() => mine.open(me, "nothing")),
      twice: await window.codeOf(() => mine.answer("hang", () => 1)),
    };
  });

  expect(outcomes).toEqual({
    dial: "BadArgument",
    address: "BadArgument",
    aborted: "Aborted",
    publish: "TooLarge",
    most: undefined,
    function: "BadArgument",
    left: "Closed",
    call: "NotFound no",
    argument: "TooLarge no",
    timeout: "Timeout unknown",
    hung: "Aborted unknown",
    open: "NotFound",
    twice: "BadArgument",
  });
});

test("names have 1 to 128 characters, whatever they name", async ({ a }) => {
  const outcomes = await a.evaluate(async () => {
    const { mine } = window;
    const named = async (name: string): Promise<Record<string, unknown>> => ({
      topic: await window.codeOf(async () => (await mine.join(name)).leave()),
      opened: await window.codeOf(() => mine.open(mine.id, name)),
      called: await window.codeOf(() => mine.call(mine.id, name, null)),
      service: await window.codeOf(() => mine.service(name)["ring"]?.()),
      method: await window.codeOf(() => mine.service("telephone")[name]?.()),
    });
    const given = async (name: string): Promise<Record<string, unknown>> => ({
      served: await window.codeOf(() => mine.serve(name, () => {})),
      answered: await window.codeOf(() => mine.answer(name, () => null)),
    });
    const long = "x".repeat(129);
    return [await named("é".repeat(128)), { ...(await named("")), ...(await given("")) }, { ...(await named(long)), ...(await given(long)) }];
  });

  const refused = { topic: "BadArgument", opened: "BadArgument", called: "BadArgument no", service: "BadArgument", method: "BadArgument" };
  const given = { served: "BadArgument", answered: "BadArgument" };
  const taken = { opened: "NotFound", called: "NotFound no", service: "NotFound", method: "NotFound" };
  expect(outcomes).toEqual([taken, { ...refused, ...given }, { ...refused, ...given }]);
});

test("errors are of one class, with a message, and say whether to try again", async ({ a }) => {
  const told = await a.evaluate(async () => {
    const failing = [window.mine.join(""), window.mine.call(window.mine.id, "nobody answers this", null, { timeout: 1 })];
    return (await Promise.allSettled(failing)).map((one) => {
      const error = one.status === "rejected" ? one.reason : undefined;
      return { ours: error instanceof window.sdk.BittersError, error: error instanceof Error, name: error.name, message: error.message !== "", retryable: error.retryable };
    });
  });

  const ours = { ours: true, error: true, name: "BittersError", message: true };
  expect(told[0]).toEqual({ ...ours, retryable: false });
  expect(told[1]).toMatchObject(ours);
});
