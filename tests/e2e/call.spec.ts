// Calls from a site in one browser to a site in another: what comes back, what fails, and what the handler learns of it.
import type { Page } from "@playwright/test";

import { reach } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

declare global {
  interface Window {
    /** What handlers saw. */
    log: unknown[];
    /** Gives a call up. */
    giveUp: AbortController;
  }
}

interface Pair {
  readonly a: Page;
  readonly b: Page;
  readonly idA: string;
  readonly idB: string;
}

const paired = test.extend<{ pair: Pair }>({
  pair: async ({ browse, connect }, use) => {
    const [one, two] = await Promise.all([browse(), browse()]);
    const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
    await b.evaluate(() => {
      window.log = [];
      const { mine, log } = window;
      void mine.answer("echo", (data, { from }) => {
        log.push(from);
        return data;
      });
      void mine.answer("fail", () => {
        throw new Error("the kettle is empty");
      });
      void mine.answer("never", async (_, { signal }) => {
        log.push("begun");
        signal.addEventListener("abort", () => log.push("aborted"));
        await new Promise(() => {});
      });
    });
    await use({ a, b, idA: await idOf(a), idB: await reach(a, await idOf(b)) });
  },
});

paired("bytes, text and JSON come back as the kinds that were sent, and the handler learns who called", async ({ pair }) => {
  const { a, b, idA, idB } = pair;
  const answers = await a.evaluate(async (peer) => {
    const asked = [new Uint8Array([0, 255, 7]), "grüße 🦀", { deep: [1, null, { text: "" }] }, null, 3.5, ""];
    const answers = [];
    for (const data of asked) answers.push(await window.mine.call(peer, "echo", data));
    return answers.map((data) => (data instanceof Uint8Array ? { bytes: [...data] } : data));
  }, idB);

  expect(answers).toEqual([{ bytes: [0, 255, 7] }, "grüße 🦀", { deep: [1, null, { text: "" }] }, null, 3.5, ""]);
  expect(await b.evaluate(() => window.log)).toEqual(Array(6).fill(idA));
});

paired("256 KiB go both ways, and one byte more is TooLarge, as argument and as result", async ({ pair }) => {
  const { a, b, idB } = pair;
  await b.evaluate(() => {
    void window.mine.answer("grow", (data) => new Uint8Array((data as Uint8Array).length + 1));
  });

  const [length, argument, result] = await a.evaluate(async (peer) => {
    const most = new Uint8Array(256 * 1024).fill(7);
    const back = await window.mine.call<Uint8Array>(peer, "echo", most);
    const failures = [window.mine.call(peer, "echo", new Uint8Array(most.length + 1)), window.mine.call(peer, "grow", most)].map((call) =>
      call.then(
        () => "answered",
        ({ code, executed, message }) => ({ code, executed, message }),
      ),
    );
    return [back.length === most.length && back.every((byte) => byte === 7), ...(await Promise.all(failures))];
  }, idB);

  expect(length).toBe(true);
  expect(argument).toMatchObject({ code: "TooLarge", executed: "no" });
  // To the caller it is the handler's failure.
  expect(result).toMatchObject({ code: "Remote", executed: "yes", message: expect.stringContaining("256 KiB") });
});

paired("a handler's error is told with its message: Remote, executed", async ({ pair }) => {
  expect(await failure(pair, "fail")).toMatchObject({ code: "Remote", executed: "yes", message: "the kettle is empty", retryable: false });
});

paired("a method that nobody answers is NotFound, not executed", async ({ pair }) => {
  expect(await failure(pair, "nothing")).toMatchObject({ code: "NotFound", executed: "no" });
});

paired("a handler that never answers: the caller gets Timeout, the handler's signal aborts", async ({ pair }) => {
  const started = Date.now();
  expect(await failure(pair, "never", 1_500)).toMatchObject({ code: "Timeout", executed: "unknown", retryable: true });
  expect(Date.now() - started).toBeGreaterThanOrEqual(1_500);
  await expect.poll(() => pair.b.evaluate(() => window.log)).toEqual(["begun", "aborted"]);
});

paired("a call that is given up: Aborted with the signal's reason, and the handler's signal aborts", async ({ pair }) => {
  const { a, b, idB } = pair;
  await a.evaluate((peer) => {
    window.giveUp = new AbortController();
    const call = window.mine.call(peer, "never", null, { signal: window.giveUp.signal });
    window.log = [call.catch(({ code, cause, executed }) => ({ code, cause, executed }))];
  }, idB);
  await expect.poll(() => b.evaluate(() => window.log)).toEqual(["begun"]);

  await a.evaluate(() => window.giveUp.abort("changed my mind"));

  expect(await a.evaluate(() => window.log[0])).toEqual({ code: "Aborted", cause: "changed my mind", executed: "unknown" });
  await expect.poll(() => b.evaluate(() => window.log)).toEqual(["begun", "aborted"]);
});

paired("fifty calls at once each get their own answer", async ({ pair }) => {
  const answers = await pair.a.evaluate(
    (peer) => Promise.all(Array.from({ length: 50 }, (_, at) => window.mine.call(peer, "echo", at))),
    pair.idB,
  );
  expect(answers).toEqual(Array.from({ length: 50 }, (_, at) => at));
});

paired("a peer whose tab closes during a call: the handler may have run; of the next call it is known that it didn't", async ({ pair, connect }) => {
  const { b } = pair;
  await connect(b.context(), "c");
  const failed = failure(pair, "never", 2_000);
  await expect.poll(() => b.evaluate(() => window.log)).toEqual(["begun"]);
  await b.close();

  expect(await failed).toMatchObject({ executed: "unknown", retryable: true });
  expect(await failure(pair, "echo")).toMatchObject({ code: "PeerUnreachable", executed: "no", retryable: true });
});

/** How a call without argument fails. */
function failure({ a, idB }: Pair, method: string, timeout = 15_000): Promise<{ code: string; executed: string; message: string; retryable: boolean }> {
  return a.evaluate(
    ({ peer, method, timeout }) =>
      window.mine.call(peer, method, null, { timeout }).then(
        () => Promise.reject(new Error("it was answered")),
        ({ code, executed, message, retryable }) => ({ code, executed, message, retryable }),
      ),
    { peer: idB, method, timeout },
  );
}
