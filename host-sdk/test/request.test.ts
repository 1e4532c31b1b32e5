import { afterEach, describe, expect, it, vi } from "vitest";
import type { BittersNode, Returned, Status } from "../src/index.js";
import { ALICE, BOB, FakeFrame, INCOMING, connected, failing, kindOf, settled } from "./frame.js";
import { page } from "./page.js";

afterEach(() => {
  vi.useRealTimers();
  page.clear();
});

const STATUS: Status = { scope: "site", leader: undefined, frames: [], peers: [], seeds: 0, topics: [], warnings: [] };

describe("a call", () => {
  it("gives the result, as the kind that was sent", async () => {
    const { node, frame } = await connected();
    const calling = node.call(BOB, "add", [1, 2], { timeout: 5000, idempotent: true });
    const { id, ask } = await frame.take("call");
    expect(ask).toMatchObject({ peer: BOB, method: "add", data: { json: "[1,2]" }, idempotent: true });
    expect(ask.timeout).toBeGreaterThan(4000);
    expect(ask.timeout).toBeLessThanOrEqual(5000);
    frame.tell(id, { reply: { json: "3" } });
    expect(await calling).toBe(3);
  });

  it("fails as the node says, and says whether it was executed", async () => {
    const { node, frame } = await connected();
    const calling = node.call(BOB, "add", "x");
    const { id } = await frame.take("call");
    frame.tell(id, { failed: { code: "Remote", message: "no such sum", retryable: false, executed: "yes" } });
    await failing(calling, { code: "Remote", message: "no such sum", executed: "yes", retryable: false });
    expect(await frame.all("cancel")).toEqual([]);
  });

  it.each([
    [["somebody", "add", 1], "BadArgument"],
    [[BOB, "", 1], "BadArgument"],
    [[BOB, "add", undefined], "BadArgument"],
    [[BOB, "add", "x".repeat(256 * 1024 + 1)], "TooLarge"],
    [[BOB, "add", 1, { timeout: 0 }], "BadArgument"],
    [[BOB, "add", 1, { timeout: Number.NaN }], "BadArgument"],
    [[BOB, "add", 1, { signal: AbortSignal.abort("why") }], "Aborted"],
  ])("is not made of %o", async (args, code) => {
    const { node, frame } = await connected();
    await failing(node.call(...(args as unknown as Parameters<BittersNode["call"]>)), { code, executed: "no" });
    expect(await frame.all("call")).toEqual([]);
  });

  it("fails at its deadline and tells the frame", async () => {
    const { node, frame } = await connected();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const unasked = failing(node.call(BOB, "add", 1), { code: "Timeout", executed: "unknown", retryable: true });
    const told = failing(node.call(BOB, "add", 1, { timeout: 20_000 }), { code: "Timeout" });
    await vi.advanceTimersByTimeAsync(15_000);
    await unasked;
    expect((await frame.all("cancel")).map(({ id }) => id)).toEqual([1]);
    await vi.advanceTimersByTimeAsync(5_000);
    await told;
  });

  it("is aborted, and the frame told", async () => {
    const { node, frame } = await connected();
    const controller = new AbortController();
    const calling = node.call(BOB, "add", 1, { signal: controller.signal });
    const { id } = await frame.take("call");
    controller.abort("enough");
    await failing(calling, { code: "Aborted", cause: "enough", executed: "unknown" });
    expect((await frame.take("cancel")).id).toBe(id);
    frame.tell(id, { reply: { json: "3" } });
    await settled();
  });

  it.each([{ reply: 5 }, { reply: { json: "{" } }, { reply: {} }, { value: "1" }, "done?", 7])("fails on %o from the node", async (tell) => {
    const { node, frame } = await connected();
    const calling = node.call(BOB, "add", 1);
    frame.tell((await frame.take("call")).id, tell);
    await expect(calling).rejects.toMatchObject({ name: "BittersError", executed: expect.any(String) });
  });
});

describe("answering", () => {
  async function answering(handler: Parameters<BittersNode["answer"]>[1]): Promise<FakeFrame> {
    const { node, frame } = await connected();
    void node.answer("add", handler);
    const id = await frame.begun("answer");
    frame.tell(id, { incomingCall: { call: INCOMING, from: ALICE, data: { json: "[1,2]" } } });
    return frame;
  }

  it.each([
    [() => 3, { ok: { json: "3" } }],
    [async () => "three", { ok: { text: "three" } }],
    [() => {}, { ok: { json: "null" } }],
    [() => Promise.reject(new Error("no such sum")), { err: "no such sum" }],
    [() => new Uint8Array(256 * 1024 + 1), { err: "over 256 KiB" }],
  ])("%s replies", async (handler, outcome) => {
    const frame = await answering(handler);
    expect(await frame.take("reply")).toEqual({ id: INCOMING, ask: { outcome } });
  });

  it("tells the handler who asks and what", async () => {
    const frame = await answering((data, { from, signal }) => [data, from, signal.aborted] as never);
    expect((await frame.take("reply")).ask).toEqual({ outcome: { ok: { json: JSON.stringify([[1, 2], ALICE, false]) } } });
  });

  it("aborts the handler's signal when nobody waits any longer, and doesn't reply", async () => {
    const reason = new Promise((resolve) => {
      void answering((_, { signal }) => new Promise<void>((done) => signal.addEventListener("abort", () => (resolve(signal.reason), done())))).then(
        async (frame) => {
          await settled();
          frame.tell(INCOMING, "cancelled");
          await settled();
          expect(frame.heard.map(({ ask }) => kindOf(ask))).not.toContain("reply");
        },
      );
    });
    expect(await reason).toMatchObject({ code: "Aborted" });
  });

  it("sends away who calls after it ended", async () => {
    const { node, frame } = await connected();
    const controller = new AbortController();
    void node.answer("add", () => 3, { signal: controller.signal });
    const id = await frame.begun("answer");
    await settled();
    controller.abort();
    frame.tell(id, { incomingCall: { call: INCOMING, from: ALICE, data: { json: "1" } } });
    expect((await frame.take("cancel")).id).toBe(id);
    expect((await frame.take("cancel")).id).toBe(INCOMING);
  });
});

describe("a service", () => {
  interface Guestbook {
    sign(name: string): Returned<{ signed: boolean }>;
    entries(): Returned<string>;
  }

  it("gives a method's value", async () => {
    const { node, frame } = await connected();
    const signing = node.service<Guestbook>("guestbook").sign("hello");
    const { id, ask } = await frame.take("service");
    expect(ask).toEqual({ name: "guestbook", method: "sign", args: '["hello"]' });
    frame.tell(id, { value: '{"signed":true}' });
    expect(await signing).toEqual({ signed: true });
  });

  it("gives undefined for nothing", async () => {
    const { node, frame } = await connected();
    const signing = node.service("guestbook")["sign"]!();
    frame.tell((await frame.take("service")).id, { value: "" });
    expect(await signing).toBeUndefined();
  });

  it.each(["iterated", "awaited first"])("gives a method's sequence, %s", async (how) => {
    const { node, frame } = await connected();
    const entries = node.service<Guestbook>("guestbook").entries();
    const reading = (async () => {
      const all: string[] = [];
      for await (const entry of how == "iterated" ? entries : ((await entries) as unknown as AsyncIterable<string>)) all.push(entry);
      return all;
    })();
    const { id } = await frame.take("service");
    frame.tell(id, { next: '"a"' });
    frame.tell(id, { next: '"b"' });
    frame.tell(id, "end");
    expect(await reading).toEqual(["a", "b"]);
    expect(await frame.all("cancel")).toEqual([]);
  });

  it("waits for a sequence's first as long as it takes, for a value until the deadline", async () => {
    const { node, frame } = await connected();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const { entries, sign } = node.service<Guestbook>("guestbook");
    const reading = entries()[Symbol.asyncIterator]().next();
    const signing = failing(sign("hello"), { code: "Timeout" });
    await vi.advanceTimersByTimeAsync(60_000);
    await signing;
    frame.tell((await frame.take("service")).id, { next: '"late"' });
    expect(await reading).toEqual({ done: false, value: "late" });
  });

  it("is told when a sequence isn't read any longer", async () => {
    const { node, frame } = await connected();
    const reading = (async () => {
      for await (const _ of node.service<Guestbook>("guestbook").entries()) break;
    })();
    const { id } = await frame.take("service");
    frame.tell(id, { next: '"a"' });
    await reading;
    expect((await frame.take("cancel")).id).toBe(id);
  });

  it("fails a sequence in the middle, by the node or by the signal", async () => {
    const { node, frame } = await connected();
    const controller = new AbortController();
    for (const end of ["node", "signal"]) {
      const entries = node.service<Guestbook>("guestbook", { signal: controller.signal }).entries()[Symbol.asyncIterator]();
      const { id } = await frame.take("service");
      frame.tell(id, { next: '"a"' });
      expect((await entries.next()).value).toBe("a");
      const next = entries.next();
      if (end == "node") frame.tell(id, { failed: { code: "Quota", message: "enough", retryable: true } });
      else controller.abort();
      await failing(next, { code: end == "node" ? "Quota" : "Aborted" });
    }
  });

  it("can't iterate over a value", async () => {
    const { node, frame } = await connected();
    const next = node.service<Guestbook>("guestbook").sign("x")[Symbol.asyncIterator]().next();
    frame.tell((await frame.take("service")).id, { value: "1" });
    await failing(next, { code: "Unsupported" });
  });

  it("is no promise and no iterable itself", async () => {
    const { node, frame } = await connected();
    const service = await Promise.resolve(node.service("guestbook"));
    expect(service[Symbol.asyncIterator as never]).toBeUndefined();
    expect(service["then"]).toBeUndefined();
    expect(await frame.all("service")).toEqual([]);
  });

  it("takes JSON, of a bounded size", async () => {
    const { node } = await connected();
    const { sign } = node.service("guestbook");
    await failing(sign!(1n), { code: "BadArgument" });
    await failing(sign!("x".repeat(256 * 1024)), { code: "TooLarge" });
    await failing(node.service("")["sign"]!(), { code: "BadArgument" });
  });
});

describe("status", () => {
  it("is what the node says", async () => {
    const { node, frame } = await connected();
    const asking = node.status();
    frame.tell((await frame.take("status")).id, { status: STATUS });
    expect(await asking).toEqual(STATUS);
  });

  it("is watched: a slow reader gets the latest", async () => {
    const { node, frame } = await connected();
    const statuses = node.watch()[Symbol.asyncIterator]();
    const id = await frame.begun("watch");
    frame.tell(id, { status: STATUS });
    expect((await statuses.next()).value).toEqual(STATUS);
    for (let seeds = 1; seeds <= 5; seeds++) frame.tell(id, { status: { ...STATUS, seeds } });
    await settled();
    expect((await statuses.next()).value).toEqual({ ...STATUS, seeds: 5 });

    await statuses.return?.();
    expect((await frame.take("cancel")).id).toBe(id);
  });

  it("is watched until the signal says so, or the node", async () => {
    const { node, frame } = await connected();
    const controller = new AbortController();
    const first = node.watch({ signal: controller.signal })[Symbol.asyncIterator]().next();
    const id = await frame.begun("watch");
    await settled();
    controller.abort("enough");
    await failing(first, { code: "Aborted", cause: "enough" });
    expect((await frame.take("cancel")).id).toBe(id);

    const second = node.watch()[Symbol.asyncIterator]().next();
    frame.tell((await frame.take("watch")).id, { failed: { code: "Denied", message: "no", retryable: false } });
    await failing(second, { code: "Denied" });
  });
});

describe("dialling", () => {
  it("gives the peer's id", async () => {
    const { node, frame } = await connected();
    const dialling = node.dial(BOB);
    const { id, ask } = await frame.take("dial");
    expect(ask).toEqual({ to: BOB });
    frame.tell(id, { peer: BOB });
    expect(await dialling).toBe(BOB);
  });

  it("is undone by hanging up", async () => {
    const { node, frame } = await connected();
    const hangingUp = node.hangUp(BOB);
    const { id, ask } = await frame.take("hangUp");
    expect(ask).toEqual({ peer: BOB });
    frame.tell(id, "done");
    expect(await hangingUp).toBeUndefined();
    await expect(node.hangUp("nobody")).rejects.toMatchObject({ code: "BadArgument" });
  });

  it("takes addresses, which calls and streams don't", async () => {
    const { node, frame } = await connected();
    for (const address of ["A".repeat(53), "AREEwAACAQ2W-_".repeat(8), "A".repeat(400)]) {
      const dialling = node.dial(address);
      const { id, ask } = await frame.take("dial");
      expect(ask).toEqual({ to: address });
      frame.tell(id, { peer: BOB });
      expect(await dialling).toBe(BOB);
      await failing(node.call(address, "add", 1), { code: "BadArgument" });
      await failing(node.open(address, "file"), { code: "BadArgument" });
    }
    for (const none of ["A".repeat(52), "A".repeat(401), `${"A".repeat(60)}=`, `${"A".repeat(60)}\n`, `${BOB} `, 5, null]) {
      await failing(node.dial(none as string), { code: "BadArgument" });
    }
    expect(await frame.all("dial")).toEqual([]);
  });

  it("fails by its deadline, its signal, and for what is no peer", async () => {
    const { node } = await connected();
    vi.useFakeTimers();
    const late = failing(node.dial(BOB), { code: "Timeout" });
    await vi.advanceTimersByTimeAsync(15_000);
    await late;
    await failing(node.dial(BOB, { signal: AbortSignal.abort() }), { code: "Aborted" });
    await failing(node.dial("nobody"), { code: "BadArgument" });
  });
});

describe("an address", () => {
  it("is what the node says, whichever frame it is asked of", async () => {
    const { node, frame } = await connected();
    const asking = node.address();
    await frame.take("address");
    const reloaded = FakeFrame.newest("n2");
    reloaded.welcome();
    reloaded.tell((await reloaded.take("address")).id, { address: "AREEwAACAQ2W" });
    expect(await asking).toBe("AREEwAACAQ2W");
  });

  it("is not waited for beyond the limits", async () => {
    const { node, frame } = await connected();
    await failing(node.address({ signal: AbortSignal.abort() }), { code: "Aborted" });
    await failing(node.address({ timeout: 1 }), { code: "Timeout" });
    expect((await frame.all("cancel")).length).toBe(1);
  });
});

it("survives garbage about nothing in particular", async () => {
  const { node, frame } = await connected();
  for (const garbage of [null, 5, "text", [], {}, { id: 99, tell: "done" }, { id: "constructor", tell: { x: 1 } }, { id: 9, tell: "incomingCall" }]) {
    frame.port?.postMessage(garbage);
  }
  await settled();
  const asking = node.status();
  frame.tell((await frame.take("status")).id, { status: STATUS });
  expect(await asking).toEqual(STATUS);
});

it("takes no more from a node that talks nonsense about itself", async () => {
  const { node, frame } = await connected();
  const asking = failing(node.status(), { code: "VersionMismatch" });
  frame.tell(0, { scopes: 5 });
  await asking;
});

describe("unify", () => {
  it("waits for the person, and resolves with the scope", async () => {
    const { node, frame } = await connected();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const unifying = node.unify();
    const { id } = await frame.take("unify");
    await vi.advanceTimersByTimeAsync(24 * 3600 * 1000);
    expect(await frame.all("cancel")).toEqual([]);
    frame.tell(id, { scope: "browser" });
    expect(await unifying).toBe("browser");
    // The node's own news come under number 0.
    expect(node.scope).toBe("site");
  });

  it("is denied when the person says no", async () => {
    const { node, frame } = await connected();
    const failed = failing(node.unify(), { code: "Denied", message: "the person said no", retryable: false });
    const { id } = await frame.take("unify");
    frame.tell(id, { failed: { code: "Denied", message: "the person said no", retryable: false } });
    await failed;
  });

  it("ends with its signal or its timeout, and the badge is told", async () => {
    const { node, frame } = await connected();
    const controller = new AbortController();
    const given = failing(node.unify({ signal: controller.signal }), { code: "Aborted", cause: "why" });
    const late = failing(node.unify({ timeout: 1 }), { code: "Timeout" });
    controller.abort("why");
    await given;
    await late;
    expect((await frame.all("cancel")).length).toBe(2);
  });

  it("is asked again of the next document", async () => {
    const { node, frame } = await connected();
    const unifying = node.unify();
    const { id } = await frame.take("unify");
    const next = new FakeFrame(frame.iframe, "n2");
    next.welcome();
    expect((await next.take("unify")).id).toBe(id);
    next.tell(id, { scope: "site" });
    expect(await unifying).toBe("site");
  });
});
