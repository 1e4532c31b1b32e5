// `tests/vectors/rpc.json` holds one of each message; `wire/tests/vectors.rs` reads the same.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import vectors from "../../tests/vectors/rpc.json" with { type: "json" };
import type { BittersNode, Status, Stream } from "../src/index.js";
import type { Event, Request, Tell } from "../src/rpc.js";
import { BOB, FakeFrame, INCOMING, connected, settled } from "./frame.js";
import { page } from "./page.js";

const PEER = "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1y";

/** JSON has neither bytes nor `undefined`. */
function alive<T>(json: unknown): T {
  return JSON.parse(JSON.stringify(json), function (key, value) {
    if (value === null) return undefined;
    return key == "bytes" && Array.isArray(value) ? Uint8Array.from(value) : value;
  });
}

const requests = vectors.requests.map(({ name, message }) => ({ name, message: alive<Request>(message) }));
const events = (name: string): Event[] => vectors.events.filter((event) => event.name == name).map(({ message }) => alive<Event>(message));
const event = (name: string): Event => events(name)[0] as Event;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
  page.clear();
});

type Drive = (node: BittersNode, frame: FakeFrame) => Promise<unknown>;

async function opened(node: BittersNode, frame: FakeFrame): Promise<Stream> {
  const opening = node.open(PEER, "file");
  frame.tell(1, "done");
  const stream = await opening;
  frame.tell(1, { credit: 100 });
  await settled();
  return stream;
}

async function asked(node: BittersNode, frame: FakeFrame): Promise<void> {
  const answers = [() => Uint8Array.of(1, 2, 255), () => Promise.reject(new Error("no such sum"))];
  void node.answer("add", () => answers.shift()?.());
  frame.tell(1, "done");
  for (const _ of [...answers]) {
    frame.tell(1, event("incomingCall").tell);
    await settled();
  }
}

/** How a site comes to ask each. What waits for an answer is left waiting. */
const drives: Record<string, Drive> = {
  address: async (node) => node.address().catch(() => {}),
  answer: async (node) => {
    for (const direct of [undefined, false]) node.answer("add", () => 3, { direct }).catch(() => {});
  },
  call: async (node) => node.call(PEER, "add", [1, 2]).catch(() => {}),
  cancel: async (node) => node.dial(PEER, { timeout: 1 }).catch(() => {}),
  credit: opened,
  dial: async (node) => node.dial(PEER).catch(() => {}),
  finish: async (node, frame) => (await opened(node, frame)).close(),
  hangUp: async (node) => node.hangUp(PEER).catch(() => {}),
  join: async (node) => node.join("lobby").catch(() => {}),
  joinSecret: async (node) => node.join("lobby", { secret: "pepper" }).catch(() => {}),
  open: async (node) => node.open(PEER, "file").catch(() => {}),
  presence: async (node, frame) => {
    const joining = node.join("lobby");
    frame.tell(1, "done");
    const { presence } = await joining;
    for (const value of [{ typing: true }, undefined]) presence.set(value).catch(() => {});
  },
  publish: async (node, frame) => {
    const joining = node.join("lobby");
    frame.tell(1, "done");
    await (await joining).publish("hello").catch(() => {});
  },
  reply: asked,
  reset: async (node, frame) => (await opened(node, frame)).abort("changed my mind"),
  serve: async (node) => {
    for (const direct of [undefined, false]) node.serve("file", () => {}, { direct }).catch(() => {});
  },
  service: async (node) => node.service("guestbook")["sign"]!("hello").catch(() => {}),
  status: async (node) => node.status().catch(() => {}),
  stop: async (node, frame) => (await opened(node, frame)).readable.cancel(),
  unify: async (node) => node.unify().catch(() => {}),
  watch: async (node) => void node.watch()[Symbol.asyncIterator](),
  write: async (node, frame) => (await opened(node, frame)).writable.getWriter().write(Uint8Array.of(0, 127, 128)),
};

describe("requests", () => {
  it.each(Object.keys(drives))("%s is written as the vector has it", async (name) => {
    const { node, frame } = await connected();
    void drives[name]?.(node, frame);
    await settled();
    if (name == "cancel") await vi.advanceTimersByTimeAsync(1);

    const heard = await frame.all(name);
    const expected = requests.filter((request) => request.name == name).map(({ message }) => message);
    expect(expected.length).toBeGreaterThan(0);
    expect(heard).toEqual(expected);
  });

  it("are all driven", () => {
    expect([...new Set(requests.map(({ name }) => name))].sort()).toEqual(Object.keys(drives).sort());
  });
});

describe("the hello", () => {
  it("is the vector's", async () => {
    const { frame } = await connected();
    expect(frame.nonce).toBe(vectors.ready.nonce);
    expect(frame.hello).toEqual(vectors.hello);
  });
});

/** What a site learns of each. */
const effects: Record<string, (node: BittersNode, frame: FakeFrame, tells: Tell[]) => Promise<unknown>> = {
  address: async (node, frame, [tell]) => {
    const asking = node.address();
    frame.tell(1, tell);
    expect(await asking).toBe("AREEwAACAQ2W");
  },
  badge: async (_, frame, [tell]) => {
    frame.tell(0, tell);
    await vi.waitFor(() => expect(frame.iframe.style.cssText).toMatch(/width:300px.*height:150px/));
  },
  bytes: async (node, frame, [tell]) => {
    const stream = await opened(node, frame);
    frame.tell(1, tell);
    expect((await stream.readable.getReader().read()).value).toEqual(Uint8Array.of(0, 127, 128));
  },
  cancelled: async (node, frame, [tell]) => {
    const signals: AbortSignal[] = [];
    void node.answer("add", (_, { signal }) => (signals.push(signal), new Promise<void>(() => {}))).catch(() => {});
    frame.tell(1, "done");
    frame.tell(1, event("incomingCall").tell);
    frame.tell(INCOMING, tell);
    await settled();
    expect(signals[0]?.aborted).toBe(true);
  },
  credit: async (node, frame, [tell]) => {
    const opening = node.open(PEER, "file");
    frame.tell(1, "done");
    const { writable } = await opening;
    frame.tell(1, tell);
    await writable.getWriter().write(new Uint8Array(1048576));
  },
  done: async (node, frame, [tell]) => {
    const joining = node.join("lobby");
    frame.tell(1, tell);
    expect((await joining).name).toBe("lobby");
  },
  end: async (node, frame, [tell]) => {
    const reading = node.service("guestbook")["entries"]!()[Symbol.asyncIterator]().next();
    frame.tell(1, tell);
    expect(await reading).toEqual({ done: true, value: undefined });
  },
  failed: async (node, frame, [tell]) => {
    const calling = node.call(PEER, "add", 1);
    frame.tell(1, tell);
    await expect(calling).rejects.toMatchObject({ code: "PeerUnreachable", message: "nobody there", retryable: true, executed: "no" });
  },
  finished: async (node, frame, [tell]) => {
    const stream = await opened(node, frame);
    frame.tell(1, tell);
    expect((await stream.readable.getReader().read()).done).toBe(true);
  },
  identity: async (node, frame, [tell]) => {
    frame.tell(0, tell);
    await settled();
    expect(node.id).toBe(BOB);
  },
  incomingCall: async (node, frame, [tell]) => {
    const calls: unknown[] = [];
    void node.answer("add", (data, { from }) => void calls.push([data, from]));
    frame.tell(1, "done");
    frame.tell(1, tell);
    await settled();
    expect(calls).toEqual([[[1, 2], PEER]]);
  },
  incomingStream: async (node, frame, [tell]) => {
    const streams: Stream[] = [];
    void node.serve("file", (stream) => void streams.push(stream));
    frame.tell(1, "done");
    frame.tell(1, tell);
    await settled();
    expect(streams).toMatchObject([{ peer: PEER, protocol: "file" }]);
  },
  message: async (node, frame, [tell]) => {
    const joining = node.join("lobby");
    frame.tell(1, "done");
    frame.tell(1, tell);
    expect((await (await joining)[Symbol.asyncIterator]().next()).value).toEqual({ from: PEER, data: "hello", id: BOB });
  },
  next: async (node, frame, [tell]) => {
    const reading = node.service("guestbook")["entries"]!()[Symbol.asyncIterator]().next();
    frame.tell(1, tell);
    expect((await reading).value).toBe("hello");
  },
  peer: async (node, frame, [tell]) => {
    const dialling = node.dial(PEER);
    frame.tell(1, tell);
    expect(await dialling).toBe(PEER);
  },
  peerJoin: async (node, frame, [tell]) => {
    const joining = node.join("lobby");
    frame.tell(1, "done");
    frame.tell(1, tell);
    await settled();
    expect((await joining).peers).toEqual([PEER]);
  },
  more: async (node, frame, [tell]) => {
    const joining = node.join("lobby");
    for (const told of ["done", tell] as const) frame.tell(1, told);
    await settled();
    expect((await joining).more).toBe(true);
  },
  presence: async (node, frame, tells) => {
    const joining = node.join("lobby");
    frame.tell(1, "done");
    const { presence } = await joining;
    for (const [at, tell] of tells.entries()) {
      frame.tell(1, tell);
      await settled();
      expect(presence.get(PEER)).toEqual([{ typing: true }, undefined][at]);
    }
  },
  peerLeave: async (node, frame, [tell]) => {
    const joining = node.join("lobby");
    for (const told of ["done", event("peerJoin").tell, tell]) frame.tell(1, told);
    await settled();
    expect((await joining).peers).toEqual([]);
  },
  reply: async (node, frame, [tell]) => {
    const calling = node.call(PEER, "add", [1, 2]);
    frame.tell(1, tell);
    expect(await calling).toBe(3);
  },
  scope: async (node, frame, [tell]) => {
    frame.tell(0, tell);
    await settled();
    expect(node.scope).toBe("browser");
  },
  status: async (node, frame, tells) => {
    const statuses: Status[] = [];
    for (const [at, tell] of tells.entries()) {
      const asking = node.status();
      frame.tell(at + 1, tell);
      statuses.push(await asking);
    }
    expect(statuses).toEqual(events("status").map(({ tell }) => (tell as { status: Status }).status));
  },
  value: async (node, frame, [tell]) => {
    const signing = node.service("guestbook")["sign"]!("hello");
    frame.tell(1, tell);
    expect(await signing).toEqual({ signed: true });
  },
  welcome: async (node) => {
    expect(node).toMatchObject({ id: PEER, version: "0.1.0", scope: "site" });
  },
};

describe("events", () => {
  it.each(Object.keys(effects))("%s is understood as the vector has it", async (name) => {
    const { node, frame } = await connected();
    const tells = events(name).map(({ tell }) => tell);
    expect(tells.length).toBeGreaterThan(0);
    await effects[name]?.(node, frame, tells);
  });

  it("are all understood", () => {
    expect([...new Set(vectors.events.map(({ name }) => name))].sort()).toEqual(Object.keys(effects).sort());
  });
});
