import { afterEach, describe, expect, it, vi } from "vitest";
import type { BittersNode, Topic } from "../src/index.js";
import { ALICE, BOB, FakeFrame, connected, failing, settled } from "./frame.js";
import { page } from "./page.js";

afterEach(() => {
  vi.useRealTimers();
  page.clear();
});

/** In a topic, with its request's number. */
async function joined(): Promise<{ node: BittersNode; frame: FakeFrame; topic: Topic; id: number }> {
  const { node, frame } = await connected();
  const joining = node.join("lobby");
  const id = await frame.begun("join");
  return { node, frame, topic: await joining, id };
}

const said = (data: object, id = "m") => ({ message: { from: BOB, data, id } });

describe("a topic", () => {
  it("gives what others say, as the kind that was sent", async () => {
    const { frame, topic, id } = await joined();
    frame.tell(id, said({ text: "hello" }, "m1"));
    frame.tell(id, said({ json: '{"n":[1,null]}' }, "m2"));
    frame.tell(id, said({ bytes: Uint8Array.of(1, 2) }, "m3"));

    const heard: unknown[] = [];
    for await (const message of topic) if (heard.push(message) == 3) break;

    expect(heard).toEqual([
      { from: BOB, data: "hello", id: "m1" },
      { from: BOB, data: { n: [1, null] }, id: "m2" },
      { from: BOB, data: Uint8Array.of(1, 2), id: "m3" },
    ]);
  });

  it("publishes bytes, text and JSON, and leaves the site its buffer", async () => {
    const { frame, topic } = await joined();
    const buffer = new ArrayBuffer(4);
    for (const data of [new DataView(buffer, 1, 2), buffer, "hello", { n: 1 }, null]) {
      const publishing = topic.publish(data);
      frame.tell((await frame.take("publish")).id, "done");
      await publishing;
    }
    expect(buffer.byteLength).toBe(4);

    const publishing = topic.publish(new Uint8Array([7, 8, 9]).subarray(1));
    const { id, ask } = await frame.take("publish");
    expect(ask).toEqual({ topic: 1, data: { bytes: Uint8Array.of(8, 9) } });
    frame.tell(id, "done");
    await publishing;
  });

  it("refuses what isn't data and what is too large, before anybody hears of it", async () => {
    const { frame, topic } = await joined();
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    for (const data of [undefined, () => 1, Symbol("s"), 1n, circle]) await failing(topic.publish(data as never), { code: "BadArgument" });
    const tooMuch = 256 * 1024 + 1;
    for (const data of ["x".repeat(tooMuch), "ß".repeat(tooMuch / 2 + 1), new Uint8Array(tooMuch)]) {
      await failing(topic.publish(data), { code: "TooLarge" });
    }
    expect(await frame.all("publish")).toEqual([]);
  });

  it("knows who is there", async () => {
    const { frame, topic, id } = await joined();
    const news: string[] = [];
    topic.addEventListener("peerjoin", ({ detail }) => news.push(`+${detail}`));
    topic.addEventListener("peerleave", ({ detail }) => news.push(`-${detail}`));

    frame.tell(id, { peerJoin: ALICE });
    frame.tell(id, { peerJoin: ALICE });
    frame.tell(id, { peerJoin: BOB });
    frame.tell(id, { peerLeave: ALICE });
    await settled();

    expect(news).toEqual([`+${ALICE}`, `+${BOB}`, `-${ALICE}`]);
    expect(topic.peers).toEqual([BOB]);
    expect(topic.name).toBe("lobby");
  });

  it("gives each reader all since it began, and the first one what came before", async () => {
    const { frame, topic, id } = await joined();
    frame.tell(id, said({ text: "early" }));
    await settled();
    const first = topic[Symbol.asyncIterator]();
    const second = topic[Symbol.asyncIterator]();
    frame.tell(id, said({ text: "late" }));

    expect((await first.next()).value?.data).toBe("early");
    expect((await first.next()).value?.data).toBe("late");
    expect((await second.next()).value?.data).toBe("late");
  });

  it("serves readers that ask ahead in their order", async () => {
    const { frame, topic, id } = await joined();
    const reader = topic[Symbol.asyncIterator]();
    const both = Promise.all([reader.next(), reader.next()]);
    frame.tell(id, said({ text: "one" }));
    frame.tell(id, said({ text: "two" }));
    expect((await both).map(({ value }) => value?.data)).toEqual(["one", "two"]);
  });

  it("tells a reader that fell too far behind, after what it has", async () => {
    const { frame, topic, id } = await joined();
    for (let n = 0; n < 1030; n++) frame.tell(id, said({ json: `${n}` }));
    await settled();

    const heard: unknown[] = [];
    const reading = (async () => {
      for await (const { data } of topic) heard.push(data);
    })();
    await failing(reading, { code: "Quota" });
    expect(heard).toEqual(Array.from({ length: 1024 }, (_, n) => n));
  });

  it("bounds what waits in bytes, too", async () => {
    const { frame, topic, id } = await joined();
    for (let n = 0; n < 40; n++) frame.tell(id, said({ bytes: new Uint8Array(256 * 1024) }));
    await settled();

    let heard = 0;
    const reading = (async () => {
      for await (const { data } of topic) heard += (data as Uint8Array).length;
    })();
    await failing(reading, { code: "Quota" });
    expect(heard).toBe(8 * 1024 * 1024);
  });

  it("takes no message for what a peer calls JSON and isn't", async () => {
    const { frame, topic, id } = await joined();
    frame.tell(id, said({ json: "{" }));
    frame.tell(id, said({ text: "fine" }));
    expect((await topic[Symbol.asyncIterator]().next()).value?.data).toBe("fine");
  });

  it("ends when it is left, and takes no more", async () => {
    const { frame, topic, id } = await joined();
    const reading = topic[Symbol.asyncIterator]().next();
    topic.leave();

    expect(await reading).toEqual({ done: true, value: undefined });
    expect((await frame.take("cancel")).id).toBe(id);
    expect(await topic[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
    await failing(topic.publish("hello"), { code: "Closed" });
  });

  it("tells its readers why the node ended it", async () => {
    const { frame, topic, id } = await joined();
    const reading = topic[Symbol.asyncIterator]().next();
    frame.tell(id, { failed: { code: "Quota", message: "too many topics", retryable: true } });
    await failing(reading, { code: "Quota", message: "too many topics" });
    await failing(topic.publish("hello"), { code: "Quota" });
  });

  it("fails rather than hangs when the node talks nonsense", async () => {
    const { frame, topic, id } = await joined();
    const reading = topic[Symbol.asyncIterator]().next();
    frame.tell(id, { message: 5 });
    await failing(reading, { code: "VersionMismatch" });
  });

  it("has a name of 1 to 128 characters, whatever their size", async () => {
    const { node, frame } = await connected();
    for (const name of ["", "a\nb", "x".repeat(129), 7]) await failing(node.join(name as string), { code: "BadArgument" });
    for (const name of ["ß".repeat(128), "😀".repeat(128)]) {
      const joining = node.join(name);
      await frame.begun("join");
      expect((await joining).name).toBe(name);
    }
  });
});

describe("what members of a topic show", () => {
  it("is told, with an event, until they show something else, or nothing, or leave", async () => {
    const { frame, topic, id } = await joined();
    const news: [string, unknown][] = [];
    topic.addEventListener("presence", ({ detail }) => news.push([detail, topic.presence.get(detail)]));
    expect(topic.presence.get(BOB)).toBeUndefined();
    for (const value of ['{"at":1}', "null", undefined, "{", "[2]"]) frame.tell(id, { presence: { peer: BOB, value } });
    frame.tell(id, { peerJoin: BOB });
    await settled();
    expect(news).toEqual([{ at: 1 }, null, undefined, undefined, [2]].map((value) => [BOB, value]));
    frame.tell(id, { peerLeave: BOB });
    await settled();
    expect([topic.presence.get(BOB), news.length]).toEqual([undefined, 5]);
  });

  it("is each reader's own", async () => {
    const { frame, topic, id } = await joined();
    frame.tell(id, { presence: { peer: BOB, value: '{"at":1}' } });
    await settled();
    (topic.presence.get(BOB) as { at: number }).at = 2;
    expect(topic.presence.get(BOB)).toEqual({ at: 1 });
  });

  it("is shown as JSON; what isn't JSON is refused before anybody hears of it", async () => {
    const { frame, topic, id } = await joined();
    for (const bad of [() => 1, 1n, Symbol("s")]) await failing(topic.presence.set(bad as never), { code: "BadArgument" });
    for (const [value, text] of [[{ a: "ß" }, '{"a":"ß"}'], [null, "null"], [undefined, undefined]] as const) {
      const showing = topic.presence.set(value);
      const asked = await frame.take("presence");
      expect(asked.ask).toEqual({ topic: id, value: text });
      frame.tell(asked.id, "done");
      await showing;
    }
  });

  it("is refused by the node in its own words", async () => {
    const { frame, topic } = await joined();
    const showing = topic.presence.set("x".repeat(5000));
    const { id } = await frame.take("presence");
    frame.tell(id, { failed: { code: "TooLarge", message: "what is shown", retryable: false } });
    await failing(showing, { code: "TooLarge" });
  });

  it("is shown again by the next document, the last, and once the topic is joined", async () => {
    const { frame, topic } = await joined();
    for (const value of [1, 2]) {
      const showing = topic.presence.set(value);
      frame.tell((await frame.take("presence")).id, "done");
      await showing;
    }
    const next = FakeFrame.newest("n2");
    next.welcome();
    const joining = await next.take("join");
    expect(await next.all("presence")).toEqual([]);
    next.tell(joining.id, "done");
    expect((await next.take("presence")).ask).toEqual({ topic: joining.id, value: "2" });
  });

  it("is nothing after it was left", async () => {
    const { topic } = await joined();
    topic.leave();
    await failing(topic.presence.set(1), { code: "Closed" });
  });
});
