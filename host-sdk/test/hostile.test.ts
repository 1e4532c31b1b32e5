// A peer that says whatever it likes to a call, once it is in one or before.

import { describe, expect, it } from "vitest";
import { stepOf } from "../src/channel.js";
import type { Stream } from "../src/stream.js";
import { End, inFakeTime, nothingLeft, pass, world } from "./call.js";
import { ALICE, BOB } from "./frame.js";
import type { FakeNode, FakeStream } from "./network.js";

const NAME = `bitters/signal/1/${BOB}`;
const OFFER = { description: { type: "offer", sdp: "v=0\ns=offer\na=ice-ufrag:u\nm=a\n" } };
const CANDIDATE = { candidate: { candidate: "a", sdpMid: "0", sdpMLineIndex: 0, usernameFragment: "u" } };

inFakeTime();

describe("in a call", () => {
  it.each<[string, unknown]>([
    ["null", null],
    ["a number", 5],
    ["nothing", {}],
    ["a hello", { hello: "again" }],
    ["a rollback", { description: { type: "rollback", sdp: "" } }],
    ["a provisional answer", { description: { type: "pranswer", sdp: "v=0" } }],
    ["a description that isn't text", { description: { type: "offer", sdp: {} } }],
    ["a description that is too long", { description: { type: "offer", sdp: "v".repeat(64 * 1024 + 1) } }],
    ["a description that the browser doesn't take", { description: { type: "offer", sdp: "nonsense" } }],
    ["a candidate that isn't text", { candidate: { candidate: 5 } }],
    ["a candidate that is too long", { candidate: { candidate: "c".repeat(1025) } }],
    ["a media section that isn't one", { candidate: { candidate: "", sdpMLineIndex: -1 } }],
    ["a name that is none", { candidate: { candidate: "", sdpMid: [] } }],
    ["a long fragment", { candidate: { candidate: "", usernameFragment: "u".repeat(257) } }],
    ["deep nesting", raw("[".repeat(100_000))],
    ["no JSON", raw("{")],
    ["no text", framed(Uint8Array.of(0xff, 0xfe))],
    ["an endless message", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x20)],
    ["an empty message", Uint8Array.of(0, 0, 0, 0)],
  ])("%s ends it", async (_, message) => {
    const { alice, ofAlice, say } = await called();
    await say(message);
    await pass(100);
    expect(ofAlice.outcome).toBe("Remote");
    expect(ofAlice.pc).toMatchObject({ localDescription: null, remoteDescription: null, signalingState: "stable" });
    nothingLeft(alice);
  });

  it.each<[string, unknown[]]>([
    ["a candidate for nothing", [CANDIDATE]],
    ["an answer to nothing", [{ description: { type: "answer", sdp: "nonsense" } }]],
    ["an answer twice", [OFFER, { description: { type: "answer", sdp: "nonsense" } }]],
    ["candidates of somebody else", [OFFER, { candidate: { candidate: "c".repeat(1024), usernameFragment: "other" } }]],
    ["more than is asked for", [{ ...CANDIDATE, more: "x".repeat(1000) }]],
  ])("%s is forgotten", async (_, messages) => {
    const { ofAlice, say } = await called();
    for (const message of messages) await say(message);
    await say(OFFER);
    await pass(100);
    expect(ofAlice.outcome).toBe(undefined);
    expect(ofAlice.pc.sections).toEqual(["a"]);
  });

  it("a flood ends it", async () => {
    const { ofAlice, say } = await called();
    // The hello was one, too.
    for (let at = 1; at < 1000; at++) await say(CANDIDATE);
    await pass(10_000);
    expect(ofAlice.outcome).toBe(undefined);
    await say(CANDIDATE);
    await pass(100);
    expect(ofAlice.outcome).toBe("Remote");
  });

  it("as many messages over a longer time don't", async () => {
    const { ofAlice, say } = await called();
    for (let at = 0; at < 3000; at++) {
      await say(CANDIDATE);
      await pass(61);
    }
    expect(ofAlice.outcome).toBe(undefined);
  }, 20_000);

  it("a peer that reads nothing is given up, and what waits for it forgotten", async () => {
    const { alice, ofAlice, say } = await called();
    for (const stream of alice.streams) stream.stalled = true;
    const long = { description: { type: "offer", sdp: `${OFFER.description.sdp}m=${"b".repeat(60_000)}\n` } };
    let offers = 0;
    for (; offers < 60 && !ofAlice.outcome; offers++) {
      await say(long);
      await pass(50);
    }
    expect(ofAlice.outcome).toBe("Remote");
    expect(offers).toBeGreaterThan(10);
  });

  it("only what was checked is passed on", () => {
    const more = { candidate: { ...CANDIDATE.candidate, address: "evil" }, description: undefined, __proto__: { x: 1 } };
    expect(stepOf(more)).toEqual(CANDIDATE);
    expect(stepOf({ description: { type: "offer", sdp: "v=0", toJSON: 1 }, candidate: 5 })).toEqual({ description: { type: "offer", sdp: "v=0" } });
    expect(stepOf({ candidate: { candidate: "" } })).toEqual({ candidate: { candidate: "", sdpMid: null, sdpMLineIndex: null, usernameFragment: null } });
  });
});

describe("before a call", () => {
  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["garbage", { hello: 5 }],
    ["an empty name", { hello: "" }],
    ["a long name", { hello: "h".repeat(257) }],
    ["a step", OFFER],
    ["a call that there never was", { hello: "another", again: true }],
  ])("an opener that says %s takes nobody's place", async (_, message) => {
    const the = world();
    const ofAlice = new End(the.alice, BOB);
    await pass(50);
    const stream = await opened(the.bob);
    if (message) await write(stream, message);
    await pass(50);
    expect(ofAlice.outcome).toBe(undefined);
    const ofBob = new End(the.bob, ALICE);
    await pass(100);
    await Promise.all([ofAlice.begun, ofBob.begun]);
  });

  it("one that opens again and again has one stream", async () => {
    const the = world();
    new End(the.alice, BOB);
    await pass(50);
    for (let at = 0; at < 20; at++) await opened(the.bob);
    await pass(50);
    expect([...the.alice.streams].filter(({ aborted }) => !aborted).length).toBe(1);
  });

  it.each([{ hello: "another" }, OFFER, 5])("a server that says %o is in no call", async (message) => {
    const the = world();
    const streams: Stream[] = [];
    void the.alice.serve(`bitters/signal/1/${BOB}`, (stream) => void streams.push(stream));
    await pass(10);
    const ofBob = new End(the.bob, ALICE);
    await pass(50);
    await write(streams[0] as Stream, message);
    await pass(100);
    expect(ofBob.outcome).toBe(undefined);
    ofBob.abort();
    await pass(100);
    expect(ofBob.outcome).toBe("Aborted");
  });

  it("one that pokes again and again is asked once for each", async () => {
    const the = world();
    const ofBob = new End(the.bob, ALICE);
    await pass(50);
    const before = the.bob.asked.length;
    for (let at = 0; at < 10; at++) {
      await Promise.all([the.alice.call(BOB, `bitters/signal/1/${ALICE}`, null), pass(50)]);
    }
    expect(the.bob.asked.length - before).toBeLessThanOrEqual(10);
    expect(ofBob.outcome).toBe(undefined);
  });
});

/** Alice in a call with a Bob of the test's. */
async function called(): Promise<{ alice: FakeNode; ofAlice: End; say: (message: unknown) => Promise<void> }> {
  const the = world();
  const ofAlice = new End(the.alice, BOB);
  await pass(50);
  const stream = await opened(the.bob);
  await write(stream, { hello: "a call" });
  await pass(50);
  await ofAlice.begun;
  return { alice: the.alice, ofAlice, say: (message) => write(stream, message) };
}

function opened(bob: FakeNode): Promise<FakeStream> {
  return Promise.all([bob.open(ALICE, NAME), pass(50)]).then(([stream]) => stream as FakeStream);
}

/** Bytes as they are, anything else as a message. */
async function write(stream: Stream, message: unknown): Promise<void> {
  const writer = stream.writable.getWriter();
  void writer.write(message instanceof Uint8Array ? message : raw(JSON.stringify(message))).catch(() => {});
  writer.releaseLock();
}

function raw(text: string): Uint8Array {
  return framed(new TextEncoder().encode(text));
}

function framed(content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + content.length);
  new DataView(bytes.buffer).setUint32(0, content.length);
  bytes.set(content, 4);
  return bytes;
}
