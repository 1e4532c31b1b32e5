// `node.signal` as a site calls it: its module loads, its limits hold, and what it says goes over the node.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeConnection } from "./connection.js";
import { ALICE, BOB, type FakeFrame, INCOMING, connected, failing, settled } from "./frame.js";
import { page } from "./page.js";

const pc = (): RTCPeerConnection => new FakeConnection() as unknown as RTCPeerConnection;

beforeEach(() => {
  vi.stubGlobal("RTCPeerConnection", FakeConnection);
});

afterEach(() => {
  vi.useRealTimers();
  vi.stubGlobal("RTCPeerConnection", undefined);
  page.clear();
});

/** What was written to a stream: each message behind its length. */
async function said(frame: FakeFrame): Promise<unknown[]> {
  return (await frame.all("write")).map(({ ask }) => JSON.parse(new TextDecoder().decode((ask as { write: { bytes: Uint8Array } }).write.bytes.slice(4))));
}

function message(message: unknown): { bytes: Uint8Array } {
  const text = new TextEncoder().encode(JSON.stringify(message));
  const bytes = new Uint8Array(4 + text.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, 4);
  return { bytes };
}

describe("the end with the higher id", () => {
  it("serves, pokes, and is in the call once the peer says which", async () => {
    const { node, frame } = await connected();
    const signalling = node.signal(pc(), BOB, { label: "camera" });
    const { id, ask } = await frame.take("serve");
    expect(ask).toEqual({ protocol: `bitters/signal/1/${BOB}/camera` });
    frame.tell(id, "done");
    expect((await frame.take("call")).ask).toMatchObject({ peer: BOB, method: `bitters/signal/1/${ALICE}/camera`, idempotent: true });

    frame.tell(id, { incomingStream: { stream: INCOMING, peer: BOB } });
    frame.tell(INCOMING, { credit: 100_000 });
    frame.tell(INCOMING, message({ hello: "a call" }));
    const { closed } = await signalling;
    expect(await said(frame)).toEqual([{ hello: "a call", again: false }]);

    frame.tell(INCOMING, "finished");
    await closed;
    expect((await frame.all("cancel")).map(({ id }) => id)).toContain(id);
  });
});

describe("the end with the lower id", () => {
  it("answers pokes, opens, and is in the call once the peer repeats which", async () => {
    const { node, frame } = await connected({}, { id: BOB });
    const signalling = node.signal(pc(), ALICE);
    const answered = await frame.begun("answer");
    const first = await frame.take("open");
    expect(first.ask).toEqual({ peer: ALICE, protocol: `bitters/signal/1/${BOB}` });
    frame.tell(first.id, { failed: { code: "NotFound", message: "nobody serves it", retryable: false } });
    await settled();
    expect(await frame.all("open")).toEqual([]);

    frame.tell(answered, { incomingCall: { call: INCOMING, from: ALICE, data: { json: "null" } } });
    expect((await frame.take("reply")).ask).toEqual({ outcome: { ok: { json: "null" } } });
    const opened = await frame.begun("open");
    frame.tell(opened, { credit: 100_000 });
    const [hello] = await vi.waitFor(async () => {
      const all = await said(frame);
      expect(all).toHaveLength(1);
      return all;
    });
    frame.tell(opened, message(hello));
    await signalling;
  });
});

describe("it is not waited for", () => {
  it("longer than it may take", async () => {
    const { node, frame } = await connected();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const late = failing(node.signal(pc(), BOB), { code: "Timeout", retryable: true });
    await frame.begun("serve");
    await vi.advanceTimersByTimeAsync(15_000);
    await late;
    expect((await frame.all("cancel")).length).toBe(2);
  });

  it("once it is given up", async () => {
    const { node, frame } = await connected();
    await failing(node.signal(pc(), BOB, { signal: AbortSignal.abort("why") }), { code: "Aborted", cause: "why" });
    const controller = new AbortController();
    const connection = pc();
    const given = failing(node.signal(connection, BOB, { signal: controller.signal }), { code: "Aborted", cause: "enough" });
    await frame.begun("serve");
    controller.abort("enough");
    await given;
    void node.signal(connection, BOB).catch(() => {});
    await frame.take("serve");
  });

  it("once the node is closed", async () => {
    const { node, frame } = await connected();
    const closed = failing(node.signal(pc(), BOB), { code: "Closed" });
    await frame.begun("serve");
    await node.close();
    await closed;
    await failing(node.signal(pc(), BOB), { code: "Closed" });
  });
});

it("outlives its deadline once both ends are there", async () => {
  const { node, frame } = await connected();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const signalling = node.signal(pc(), BOB);
  const id = await frame.begun("serve");
  await settled();
  frame.tell(id, { incomingStream: { stream: INCOMING, peer: BOB } });
  frame.tell(INCOMING, message({ hello: "a call" }));
  const { closed } = await signalling;
  let over = false;
  const ended = (): void => void (over = true);
  void closed.then(ended, ended);
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(over).toBe(false);
});

it("is for connections, peers and labels that are some", async () => {
  const { node } = await connected();
  await failing(node.signal({} as RTCPeerConnection, BOB), { code: "BadArgument" });
  await failing(node.signal(null as unknown as RTCPeerConnection, BOB), { code: "BadArgument" });
  await failing(node.signal(pc(), node.id), { code: "BadArgument" });
  await failing(node.signal(pc(), "somebody"), { code: "BadArgument" });
  await failing(node.signal(pc(), undefined as unknown as string), { code: "BadArgument" });
  await failing(node.signal(pc(), BOB, { label: "x".repeat(41) }), { code: "BadArgument" });
  await failing(node.signal(pc(), BOB, { label: "\n" }), { code: "BadArgument" });
  await failing(node.signal(pc(), BOB, { label: 5 as unknown as string }), { code: "BadArgument" });
  vi.stubGlobal("RTCPeerConnection", undefined);
  await failing(node.signal(pc(), BOB), { code: "Unsupported" });
});
