// What may be said: it arrives as it was sent, or is refused by name before anybody hears of it.

import { createContext, runInContext } from "node:vm";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Stream, Topic } from "../src/index.js";
import { ALICE, BOB, type FakeFrame, INCOMING, connected, failing, settled } from "./frame.js";
import { page } from "./page.js";

afterEach(() => page.clear());

const LONE = "\ud83d";

/** A view whose buffer is gone. */
function detachedView<T extends ArrayBufferView | ArrayBuffer>(viewing: (buffer: ArrayBuffer) => T): T {
  const buffer = new ArrayBuffer(8);
  const view = viewing(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  return view;
}

type Resizable = ArrayBuffer & { resize(length: number): void };
const resizable = (length: number): Resizable => new (ArrayBuffer as unknown as new (length: number, options: object) => Resizable)(length, { maxByteLength: 64 });

/** A view that doesn't fit into its buffer any longer. */
function cutView<T>(viewing: (buffer: ArrayBuffer) => T): T {
  const buffer = resizable(8);
  const view = viewing(buffer);
  buffer.resize(2);
  return view;
}

class Point {
  x = 1;
}

class Kelvin {
  toJSON(): string {
    return "0 K";
  }
}

const cycle: Record<string, unknown> = { list: [] };
(cycle["list"] as unknown[]).push({ self: cycle });

const deep = (levels: number): unknown => {
  let value: unknown = null;
  for (let level = 0; level < levels; level++) value = level % 2 ? [value] : { value };
  return value;
};

/** What can't be sent, and what is said of it. */
const REFUSED: [string, unknown, RegExp][] = [
  ["nothing", undefined, /undefined$/],
  ["a function", () => 1, /function$/],
  ["a symbol", Symbol("s"), /symbol$/],
  ["a BigInt", 1n, /bigint$/],
  ["NaN", Number.NaN, /NaN$/],
  ["an infinity", -Infinity, /-Infinity$/],
  ["a Blob", new Blob(["x"]), /a Blob$/],
  ["a File", { files: [new File(["x"], "x")] }, /a File at files\.0$/],
  ["a Map", { of: { users: new Map([[1, 2]]) } }, /a Map at of\.users$/],
  ["a Set", [1, new Set()], /a Set at 1$/],
  ["a WeakMap", new WeakMap(), /a WeakMap$/],
  ["an Error", { why: new TypeError("no") }, /a Error at why$/],
  ["a Promise", Promise.resolve(1), /a Promise$/],
  ["a regular expression", { is: /x/ }, /a RegExp at is$/],
  ["arguments", (function (..._: number[]) { return arguments; })(1, 2), /a Arguments$/],
  ["an object of a class", { at: new Point() }, /a Point at at$/],
  ["a number in an object", [new Number(5)], /a Number at 0$/],
  ["text in an object", new String("x"), /a String$/],
  ["an object that inherits its members", Object.create({ a: 1 }), /a Object$/],
  ["an iterator", [1].values(), /a Array Iterator$/],
  ["bytes within JSON", { bytes: new Uint8Array(2) }, /a Uint8Array at bytes$/],
  ["a buffer within JSON", [new ArrayBuffer(2)], /a ArrayBuffer at 0$/],
  ["a view within JSON", [new DataView(new ArrayBuffer(2))], /a DataView at 0$/],
  ["a function within JSON", { on: { click: () => 1 } }, /function at on\.click$/],
  ["a symbol within JSON", [Symbol("s")], /symbol at 0$/],
  ["a BigInt within JSON", { n: 1n }, /bigint at n$/],
  ["NaN within JSON", { a: [{ n: Number.NaN }] }, /NaN at a\.0\.n$/],
  ["an infinity within JSON", [Infinity], /Infinity at 0$/],
  ["undefined in an array, which JSON makes null", [1, undefined], /undefined at 1$/],
  ["a hole in an array, which JSON makes null", [1, , 3], /undefined at 1$/],
  ["a date that is none", { at: new Date(Number.NaN) }, /an invalid Date at at$/],
  ["a toJSON that gives nothing", { x: { toJSON: () => undefined } }, /undefined at x$/],
  ["a toJSON that gives a Map", [{ toJSON: () => new Map() }], /a Map at 0$/],
  ["a cycle", cycle, /a cycle at list\.0\.self$/],
  ["what is nested a thousand and one deep", deep(1001), /nested so deep/],
  ["what is nested a million deep", deep(1_000_000), /nested so deep/],
  ["lone surrogates", `a${LONE}b`, /a lone surrogate$/],
  ["one of the other half", "\udc00", /a lone surrogate$/],
  ["lone surrogates within JSON", { name: [LONE] }, /a lone surrogate at name\.0$/],
  ["lone surrogates in a key", { a: { [LONE]: 1 } }, /a lone surrogate at a$/],
  ["a detached buffer", detachedView((buffer) => buffer), /a detached buffer/],
  ["a view of one", detachedView((buffer) => new Uint8Array(buffer, 2, 2)), /a detached buffer/],
  ["a DataView of one", detachedView((buffer) => new DataView(buffer)), /a detached buffer/],
  ["a view outside its buffer", cutView((buffer) => new Uint8Array(buffer, 4, 4)), /a view outside its buffer/],
  ["a view that begins outside its buffer", cutView((buffer) => new Uint16Array(buffer, 4)), /a view outside its buffer/],
  ["a DataView outside its buffer", cutView((buffer) => new DataView(buffer, 0, 8)), /a view outside its buffer/],
];

/** What is sent as JSON, and as which. */
const SENT: [string, unknown, unknown][] = [
  ["null", null, null],
  ["plain objects and arrays", { a: [1, "x", true, null, { b: 2.5 }] }, { a: [1, "x", true, null, { b: 2.5 }] }],
  ["a Date as text", { at: new Date(0) }, { at: "1970-01-01T00:00:00.000Z" }],
  ["what has a toJSON as that says", [new Kelvin(), new URL("https://a.example")], ["0 K", "https://a.example/"]],
  ["what has a toJSON that gives null", [{ toJSON: () => null }], [null]],
  ["what a toJSON copied itself into", { x: 1, toJSON: () => ({ x: 2 }) }, { x: 2 }],
  ["-0 as 0", [-0], [0]],
  ["members that are undefined as none", { a: undefined, b: 1 }, { b: 1 }],
  ["members that aren't enumerable or have no text for their key as none", Object.defineProperty({ [Symbol("s")]: 1, b: 1 }, "c", { value: 2 }), { b: 1 }],
  ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  ["an object of another realm", runInContext("({ a: [{ b: 1 }], at: new Date(0) })", createContext({})), { a: [{ b: 1 }], at: "1970-01-01T00:00:00.000Z" }],
  ["a proxy of an object", new Proxy({ a: [1] }, {}), { a: [1] }],
  ["a frozen object", Object.freeze({ a: 1 }), { a: 1 }],
  ["an array of a class", class extends Array {}.of(1, 2), [1, 2]],
  ["one object twice", (([it]) => [it, { it }])([{ a: 1 }]), [{ a: 1 }, { it: { a: 1 } }]],
  ["what is nested a thousand deep", deep(1000), deep(1000)],
  ["characters that take two", { "😀": "😀" }, { "😀": "😀" }],
  ["a member called __proto__", JSON.parse('{"__proto__":{"a":1}}'), JSON.parse('{"__proto__":{"a":1}}')],
];

async function joined(): Promise<{ frame: FakeFrame; topic: Topic }> {
  const { node, frame } = await connected();
  const joining = node.join("lobby");
  await frame.begun("join");
  return { frame, topic: await joining };
}

describe("a message", () => {
  it.each(REFUSED)("is refused by name where it is %s", async (_, data, message) => {
    const { frame, topic } = await joined();
    await failing(topic.publish(data as never), { code: "BadArgument", message: expect.stringMatching(message) });
    expect(await frame.all("publish")).toEqual([]);
  });

  it.each(SENT)("has %s", async (_, data, arrives) => {
    const { frame, topic } = await joined();
    const publishing = topic.publish(data as never);
    const { id, ask } = await frame.take("publish");
    expect(ask.data.json).toBe(JSON.stringify(arrives));
    frame.tell(id, "done");
    await publishing;
  });

  it("has the bytes of views that grow with their buffer", async () => {
    const { frame, topic } = await joined();
    const buffer = resizable(2);
    const view = new Uint8Array(buffer);
    buffer.resize(4);
    void topic.publish(view);
    expect((await frame.take("publish")).ask.data).toEqual({ bytes: new Uint8Array(4) });
    const empty = new Uint8Array(buffer, 4);
    void topic.publish(empty);
    expect((await frame.take("publish")).ask.data).toEqual({ bytes: new Uint8Array() });
  });

  it("that is far too large is refused as soon as it is known to be", async () => {
    const { topic } = await joined();
    let isSeen = false;
    const beyond = { toJSON: () => (isSeen = true) };
    await failing(topic.publish([new Array(256 * 1024).fill(0), beyond] as never), { code: "TooLarge" });
    expect(isSeen).toBe(false);
  });

  it("is refused with what a getter or a toJSON threw as the cause", async () => {
    const { topic } = await joined();
    const cause = new Error("no");
    const throwing = (): never => {
      throw cause;
    };
    await failing(topic.publish({ toJSON: throwing } as never), { code: "BadArgument", cause });
    await failing(topic.publish(Object.defineProperty({}, "x", { enumerable: true, get: throwing })), { code: "BadArgument", cause });
  });
});

describe("a call", () => {
  it("is refused by name, and wasn't executed", async () => {
    const { node, frame } = await connected();
    for (const [, data, message] of REFUSED) {
      await failing(node.call(BOB, "add", data as never), { code: "BadArgument", executed: "no", message: expect.stringMatching(message) });
    }
    expect(await frame.all("call")).toEqual([]);
  });

  it("whose handler gives what can't be sent fails at the caller, with its name", async () => {
    const { node, frame } = await connected();
    // What a handler gives is awaited, and nothing is null.
    const refused = REFUSED.filter(([, data]) => data !== undefined && !(data instanceof Promise));
    void node.answer<number>("get", (at) => refused[at]?.[1] as never);
    const id = await frame.begun("answer");
    for (const at of refused.keys()) frame.tell(id, { incomingCall: { call: INCOMING + at, from: ALICE, data: { json: `${at}` } } });
    const replies = await vi.waitFor(async () => {
      const replies = await frame.all("reply");
      expect(replies.length).toBe(refused.length);
      return replies;
    });
    expect(replies.map(({ id, ask }) => [id - INCOMING, ask])).toEqual(
      refused.map(([, , message], at) => [at, { reply: { outcome: { err: expect.stringMatching(message) } } }]),
    );
  });

  it.each([Object.create(null), { message: Object.create(null) }, Symbol("s"), null])("whose handler throws %o is answered", async (thrown) => {
    const { node, frame } = await connected();
    void node.answer("get", () => {
      throw thrown;
    });
    frame.tell(await frame.begun("answer"), { incomingCall: { call: INCOMING, from: ALICE, data: { json: "1" } } });
    expect((await frame.take("reply")).ask).toEqual({ outcome: { err: expect.any(String) } });
  });
});

describe("a service's arguments", () => {
  it("are refused by name, each by its place", async () => {
    const { node, frame } = await connected();
    const sign = node.service("guestbook")["sign"]!;
    await failing(sign("x", new Map()), { code: "BadArgument", message: expect.stringMatching(/a Map at 1$/) });
    await failing(sign(new Uint8Array(1)), { code: "BadArgument", message: expect.stringMatching(/a Uint8Array at 0$/) });
    await failing(sign({ name: LONE }), { code: "BadArgument", message: expect.stringMatching(/a lone surrogate at 0\.name$/) });
    expect(await frame.all("service")).toEqual([]);
  });

  it("may be left out: what is undefined is null", async () => {
    const { node, frame } = await connected();
    void node.service("guestbook")["sign"]!(undefined, 1, null);
    expect((await frame.take("service")).ask.args).toBe("[null,1,null]");
  });
});

it("names are refused where two of them would become one", async () => {
  const { node, frame } = await connected();
  const refused = { code: "BadArgument", message: "can't send a lone surrogate" };
  for (const name of [LONE, `lobby${LONE}`, "\udc00"]) {
    await failing(node.join(name), refused);
    await failing(node.open(BOB, name), refused);
    await failing(node.serve(name, () => {}), refused);
    await failing(node.answer(name, () => {}), refused);
    await failing(node.call(BOB, name, 1), refused);
    await failing(node.service(name)["sign"]!(), refused);
    await failing(node.service("guestbook")[name]!(), refused);
  }
  await settled();
  expect(frame.heard).toEqual([]);
});

describe("a stream", () => {
  async function opened(): Promise<{ frame: FakeFrame; id: number; stream: Stream }> {
    const { node, frame } = await connected();
    const opening = node.open(BOB, "file");
    const id = await frame.begun("open");
    return { frame, id, stream: await opening };
  }

  it.each([
    ["a detached view", detachedView((buffer) => new Uint8Array(buffer, 2, 2))],
    ["a detached buffer", detachedView((buffer) => buffer as unknown as Uint8Array)],
    ["a view outside its buffer", cutView((buffer) => new Uint8Array(buffer, 4, 4))],
  ])("fails with %s, of which nothing is sent", async (_, chunk) => {
    const { frame, id, stream } = await opened();
    frame.tell(id, { credit: 100 });
    await failing(stream.writable.getWriter().write(chunk), { code: "BadArgument", message: expect.stringMatching(/a detached buffer/) });
    expect(await frame.all("write")).toEqual([]);
  });

  it("fails where a site gives away bytes that wait for the reader: they aren't left out in silence", async () => {
    const { frame, id, stream } = await opened();
    const bytes = new Uint8Array(10).fill(7);
    const writing = failing(stream.writable.getWriter().write(bytes), { code: "BadArgument", message: expect.stringMatching(/a detached buffer/) });
    frame.tell(id, { credit: 4 });
    expect((await frame.take("write")).ask.bytes).toEqual(new Uint8Array(4).fill(7));
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    frame.tell(id, { credit: 10 });
    await writing;
    expect(await frame.all("write")).toEqual([]);
  });
});
