import { afterEach, expect, it, vi } from "vitest";
import type { Stream } from "../src/index.js";
import { ALICE, BOB, FakeFrame, INCOMING, connected, failing, settled } from "./frame.js";
import { page } from "./page.js";

afterEach(() => {
  vi.useRealTimers();
  page.clear();
});

/** The iframe loads again: another document in the same window. */
function reloaded(frame: FakeFrame): FakeFrame {
  return new FakeFrame(frame.iframe, "n2");
}

it("what lasts is asked again, under the same ids, once the next document welcomes", async () => {
  const { node, frame } = await connected();
  const joining = node.join("lobby");
  const id = await frame.begun("join");
  const topic = await joining;
  void node.serve("file", () => {});
  void node.answer("add", () => 3);
  const watching = node.watch()[Symbol.asyncIterator]().next();
  for (const kind of ["serve", "answer", "watch"]) await frame.begun(kind);
  frame.tell(id, { peerJoin: BOB });
  await settled();

  const next = reloaded(frame);
  next.ready();
  await settled();
  expect(next.heard).toEqual([]);
  next.tell(0, { welcome: { id: ALICE, version: "0.2.0", scope: "site", rpc: 1 } });
  await settled();

  expect(next.heard).toEqual([
    { id: 1, ask: { join: { name: "lobby" } } },
    { id: 2, ask: { serve: { protocol: "file" } } },
    { id: 3, ask: { answer: { method: "add" } } },
    { id: 4, ask: "watch" },
  ]);
  expect(node.version).toBe("0.2.0");
  const left: string[] = [];
  topic.addEventListener("peerleave", ({ detail }) => left.push(detail));
  for (const { id } of next.heard) next.tell(id, "done");
  next.tell(1, { message: { from: BOB, data: { text: "still here" }, id: "m" } });
  next.tell(4, { status: { scope: "site" } });
  expect((await topic[Symbol.asyncIterator]().next()).value?.data).toBe("still here");
  expect((await watching).value).toEqual({ scope: "site" });
  expect(left).toEqual([BOB]);
  expect(topic.peers).toEqual([]);
});

it("a new id and scope are told", async () => {
  const { node, frame } = await connected();
  const news: unknown[] = [];
  node.addEventListener("scope", ({ detail }) => news.push(detail));
  node.addEventListener("identity", ({ detail }) => news.push(detail));
  reloaded(frame).welcome({ id: BOB, scope: "browser" });
  await settled();
  expect(news).toEqual(["browser", BOB]);
});

it("what may be asked twice is, with the time that is left; the rest fails", async () => {
  const { node, frame } = await connected();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const once = failing(node.call(BOB, "add", 1), { code: "LeaderLost", executed: "unknown", retryable: true });
  const twice = node.call(BOB, "add", 2, { idempotent: true });
  const status = node.status();
  const dial = node.dial(BOB);
  const service = failing(node.service("guestbook")["sign"]!(), { code: "LeaderLost" });
  await frame.take("service");
  await vi.advanceTimersByTimeAsync(4_000);

  const next = reloaded(frame);
  next.welcome();
  await Promise.all([once, service]);
  const call = await next.take("call");
  expect(call.ask).toMatchObject({ data: { json: "2" } });
  expect(call.ask.timeout).toBeGreaterThan(10_000);
  expect(call.ask.timeout).toBeLessThanOrEqual(11_000);
  next.tell(call.id, { reply: { json: "3" } });
  next.tell((await next.take("status")).id, { status: { seeds: 1 } });
  next.tell((await next.take("dial")).id, { peer: BOB });
  expect([await twice, await status, await dial]).toEqual([3, { seeds: 1 }, BOB]);
  expect(next.heard).toEqual([]);
});

it("a message isn't published twice", async () => {
  const { node, frame } = await connected();
  const joining = node.join("lobby");
  await frame.begun("join");
  const publishing = failing((await joining).publish("hello"), { code: "LeaderLost" });
  await frame.take("publish");
  const next = reloaded(frame);
  next.welcome();
  await publishing;
  expect(await next.all("publish")).toEqual([]);
});

it("streams fail, and what they say later reaches nobody else's", async () => {
  const { node, frame } = await connected();
  const served: Stream[] = [];
  void node.serve("file", (stream) => void served.push(stream));
  const serve = await frame.begun("serve");
  const opening = node.open(BOB, "file");
  await frame.begun("open");
  const stream = await opening;
  frame.tell(serve, { incomingStream: { stream: INCOMING, peer: ALICE } });
  await frame.take("credit");
  const writing = failing(stream.writable.getWriter().write(Uint8Array.of(1)), { code: "LeaderLost" });

  const next = reloaded(frame);
  next.welcome();
  await writing;
  await failing(served[0]!.readable.getReader().read(), { code: "LeaderLost" });
  next.tell(await next.begun("serve"), { incomingStream: { stream: INCOMING, peer: BOB } });
  await next.take("credit");
  served[0]!.abort("old");
  expect(await next.all("reset")).toEqual([]);
});

it("a handler's reply doesn't answer another call of the same number", async () => {
  const { node, frame } = await connected();
  const replies: (() => void)[] = [];
  void node.answer("add", () => new Promise<void>((resolve) => replies.push(resolve)));
  frame.tell(await frame.begun("answer"), { incomingCall: { call: INCOMING, from: ALICE, data: { json: "1" } } });
  await settled();
  const next = reloaded(frame);
  next.welcome();
  next.tell(await next.begun("answer"), { incomingCall: { call: INCOMING, from: ALICE, data: { json: "2" } } });
  await settled();
  replies[0]!();
  expect(await next.all("reply")).toEqual([]);
  replies[1]!();
  await next.take("reply");
});

it("an iframe that is taken out loses its streams at once; what is asked meanwhile waits for the next", async () => {
  const { node, frame } = await connected();
  const opening = node.open(BOB, "file");
  await frame.begun("open");
  const stream = await opening;
  const reading = failing(stream.readable.getReader().read(), { code: "LeaderLost" });

  frame.iframe.remove();
  await reading;
  const status = node.status();
  page.body.append(frame.iframe);
  const next = reloaded(frame);
  next.welcome();
  next.tell((await next.take("status")).id, { status: { seeds: 2 } });
  expect(await status).toEqual({ seeds: 2 });
});

it("what is asked of an iframe that never comes back settles by its deadline, and wasn't executed", async () => {
  const { node, frame } = await connected();
  vi.useFakeTimers();
  frame.iframe.remove();
  await vi.advanceTimersByTimeAsync(0);
  const calling = failing(node.call(BOB, "add", 1), { code: "Timeout", executed: "no" });
  await vi.advanceTimersByTimeAsync(15_000);
  await calling;
});

it("a next document that refuses fails everything, until one after it doesn't", async () => {
  const { node, frame } = await connected();
  const joining = node.join("lobby");
  await frame.begun("join");
  const reading = (await joining)[Symbol.asyncIterator]().next();
  const next = reloaded(frame);
  next.ready();
  next.tell(0, { failed: { code: "VersionMismatch", message: "too new", retryable: false } });
  await failing(reading, { code: "VersionMismatch" });
  await failing(node.status(), { code: "VersionMismatch" });

  const third = new FakeFrame(frame.iframe, "n3");
  third.welcome();
  const status = node.status();
  third.tell((await third.take("status")).id, { status: { seeds: 3 } });
  expect(await status).toEqual({ seeds: 3 });
});
