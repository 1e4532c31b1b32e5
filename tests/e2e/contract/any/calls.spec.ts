// Calls from one site to another: what comes back, what fails, and what the handler learns of it.
import type { Stream } from "@bitters/host-sdk";

import { reach } from "../../support/room.ts";
import type { Tab } from "../../support/tab.ts";
import { idOf } from "../../support/test.ts";
import { expect, test as base } from "../test.ts";

/** What a call that fails tells. */
interface Failure {
  code: string;
  executed: string;
  message: string;
  retryable: boolean;
}

/** The answering end's id, with the methods that tests call; answering ends with the test. */
const test = base.extend<{ peer: string }>({
  peer: async ({ a, b }, use) => {
    await b.evaluate(async () => {
      window.log = [];
      window.answering = new AbortController();
      const { mine } = window;
      const { signal } = window.answering;
      void mine.answer("echo", (data, { from }) => {
        window.log.push(from);
        return data;
      }, { signal });
      void mine.answer("fail", () => {
        throw new Error("the kettle is empty");
      }, { signal });
      void mine.answer("grow", (data) => new Uint8Array((data as Uint8Array).length + 1), { signal });
      void mine.answer("never", async (_, { signal }) => {
        window.log.push("begun");
        signal.addEventListener("abort", () => window.log.push("aborted"));
        await new Promise(() => {});
      }, { signal });
      // After this the leader knows.
      await mine.status();
    });
    await use(await reach(a, await idOf(b)));
    await b.evaluate(async () => {
      window.answering.abort();
      // After this the leader knows.
      await window.mine.status();
    });
  },
});

declare global {
  interface Window {
    /** Ends the answering of calls. */
    answering: AbortController;
    /** Gives a call up. */
    giveUp: AbortController;
  }
}

test("bytes, text and JSON come back as the kinds that were sent, and the handler learns who called", async ({ a, b, peer }) => {
  const answers = await a.evaluate(async (peer) => {
    const asked = [new Uint8Array([0, 255, 7]), "grüße 🦀", { deep: [1, null, { text: "" }] }, null, 3.5, ""];
    const answers = [];
    for (const data of asked) answers.push(await window.mine.call(peer, "echo", data));
    return answers.map((data) => (data instanceof Uint8Array ? { bytes: [...data] } : data));
  }, peer);

  expect(answers).toEqual([{ bytes: [0, 255, 7] }, "grüße 🦀", { deep: [1, null, { text: "" }] }, null, 3.5, ""]);
  expect(await b.evaluate(() => window.log)).toEqual(Array(6).fill(await idOf(a)));
});

test("256 KiB go both ways, and one byte more is TooLarge, as argument and as result", async ({ a, peer }) => {
  const [whole, argument, result] = await a.evaluate(async (peer) => {
    const most = new Uint8Array(256 * 1024).fill(7);
    const back = await window.mine.call<Uint8Array>(peer, "echo", most);
    const failures = [window.mine.call(peer, "echo", new Uint8Array(most.length + 1)), window.mine.call(peer, "grow", most)].map((call) =>
      call.then(
        () => "answered",
        ({ code, executed, message }) => ({ code, executed, message }),
      ),
    );
    return [back.length === most.length && back.every((byte) => byte === 7), ...(await Promise.all(failures))];
  }, peer);

  expect(whole).toBe(true);
  expect(argument).toMatchObject({ code: "TooLarge", executed: "no" });
  // To the caller it is the handler's failure.
  expect(result).toMatchObject({ code: "Remote", executed: "yes", message: expect.stringContaining("256 KiB") });
});

test("a handler's error is told with its message; a method that nobody answers isn't found, nor executed", async ({ a, peer }) => {
  expect(await failure(a, peer, "fail")).toEqual({ code: "Remote", executed: "yes", message: "the kettle is empty", retryable: false });
  expect(await failure(a, peer, "nothing")).toMatchObject({ code: "NotFound", executed: "no" });
});

test("a handler that never answers: the caller gets Timeout, the handler's signal aborts", async ({ a, b, peer }) => {
  const started = Date.now();
  expect(await failure(a, peer, "never", 1_000)).toMatchObject({ code: "Timeout", executed: "unknown", retryable: true });
  expect(Date.now() - started).toBeGreaterThanOrEqual(1_000);
  await expect.poll(() => b.evaluate(() => window.log)).toEqual(["begun", "aborted"]);
});

test("a call that is given up: Aborted with the signal's reason, and the handler's signal aborts", async ({ a, b, peer }) => {
  await a.evaluate((peer) => {
    window.giveUp = new AbortController();
    const call = window.mine.call(peer, "never", null, { signal: window.giveUp.signal });
    const outcome = call.catch(({ code, cause, executed }) => ({ code, cause, executed }));
    Object.assign(window, { outcome });
  }, peer);
  await expect.poll(() => b.evaluate(() => window.log)).toEqual(["begun"]);

  await a.evaluate(() => window.giveUp.abort("changed my mind"));

  const outcome = await a.evaluate(() => (window as unknown as { outcome: Promise<unknown> }).outcome);
  expect(outcome).toEqual({ code: "Aborted", cause: "changed my mind", executed: "unknown" });
  await expect.poll(() => b.evaluate(() => window.log)).toEqual(["begun", "aborted"]);
});

test("fifty calls at once each get their own answer, idempotent or not", async ({ a, peer }) => {
  const answers = await a.evaluate(
    (peer) => Promise.all(Array.from({ length: 50 }, (_, at) => window.mine.call(peer, "echo", at, { idempotent: at % 2 === 0 }))),
    peer,
  );
  expect(answers).toEqual(Array.from({ length: 50 }, (_, at) => at));
});

test("a tab that stops serving and stays open: calls and streams go to the tab that serves now, and to nobody if none does", async ({ a, b, more }) => {
  const other = await more("b");
  await Promise.all([serveAs(b, "first"), serveAs(other, "second")]);
  const peer = await reach(a, await idOf(b));
  const [bound, free] = (await whoServes(a, peer)).call === "first" ? [b, other] : [other, b];
  const [boundName, freeName] = bound === b ? ["first", "second"] : ["second", "first"];
  expect(await whoServes(a, peer)).toEqual({ call: boundName, stream: boundName });

  await stopServing(bound);
  expect(await whoServes(a, peer)).toEqual({ call: freeName, stream: freeName });

  await stopServing(free);
  const started = Date.now();
  expect(await whoServes(a, peer)).toEqual({ call: "NotFound no", stream: "NotFound" });
  // At once, not when a call is given up.
  expect(Date.now() - started).toBeLessThan(15_000);

  await serveAs(bound, boundName);
  expect(await whoServes(a, peer)).toEqual({ call: boundName, stream: boundName });
  await stopServing(bound);
});

/** Answers the call and serves the protocol "whose turn" with a name. */
function serveAs(tab: Tab, name: string): Promise<unknown> {
  return tab.evaluate((name) => {
    window.answering = new AbortController();
    const { mine } = window;
    const { signal } = window.answering;
    void mine.answer("whose turn", () => name, { signal });
    const tell = async (stream: Stream): Promise<void> => {
      await stream.writable.getWriter().write(new TextEncoder().encode(name));
      await stream.close();
    };
    void mine.serve("whose turn", tell, { signal });
    // After this the leader knows.
    return mine.status();
  }, name);
}

async function stopServing(tab: Tab): Promise<void> {
  await tab.evaluate(() => {
    window.answering.abort();
    return window.mine.status();
  });
}

/** Which tab answers a call and takes a stream, or how those fail. */
function whoServes(tab: Tab, peer: string): Promise<{ call: unknown; stream: unknown }> {
  return tab.evaluate(async (peer) => {
    const read = async (): Promise<string> => {
      const stream = await window.mine.open(peer, "whose turn");
      const text = await new Response(stream.readable as BodyInit).text();
      await stream.close();
      return text;
    };
    return { call: await window.codeOf(() => window.mine.call(peer, "whose turn", null)), stream: await window.codeOf(read) };
  }, peer);
}

/** How a call without argument fails. */
function failure(tab: Tab, peer: string, method: string, timeout = 15_000): Promise<Failure> {
  return tab.evaluate(
    ({ peer, method, timeout }) =>
      window.mine.call(peer, method, null, { timeout }).then(
        () => Promise.reject(new Error("it was answered")),
        ({ code, executed, message, retryable }) => ({ code, executed, message, retryable }),
      ),
    { peer, method, timeout },
  );
}
