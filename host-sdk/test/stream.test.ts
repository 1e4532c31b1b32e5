import { afterEach, describe, expect, it } from "vitest";
import type { Stream } from "../src/index.js";
import { ALICE, BOB, type FakeFrame, INCOMING, connected, failing, settled } from "./frame.js";
import { page } from "./page.js";

const WINDOW = 2 * 1024 * 1024;

afterEach(() => {
  page.clear();
});

async function opened(): Promise<{ frame: FakeFrame; stream: Stream; id: number }> {
  const { node, frame } = await connected();
  const opening = node.open(BOB, "file");
  const id = await frame.begun("open");
  return { frame, stream: await opening, id };
}

async function written(frame: FakeFrame): Promise<Uint8Array[]> {
  return (await frame.all("write")).map(({ ask }) => (ask as { write: { bytes: Uint8Array } }).write.bytes);
}

const total = (chunks: Uint8Array[]): number => chunks.reduce((sum, { length }) => sum + length, 0);

describe("writing", () => {
  it("hands over no more than the peer grants, in slices, and is done when all is handed over", async () => {
    const { frame, stream, id } = await opened();
    const bytes = new Uint8Array(2.5 * WINDOW).map((_, at) => at % 251);
    let done = false;
    const writing = stream.writable.getWriter().write(bytes).then(() => (done = true));
    expect(total(await written(frame))).toBe(0);

    frame.tell(id, { credit: WINDOW });
    expect(total(await written(frame))).toBe(WINDOW);
    frame.tell(id, { credit: 2 * WINDOW + 1 });
    expect(total(await written(frame))).toBe(2 * WINDOW + 1);
    expect(done).toBe(false);

    frame.tell(id, { credit: 3 * WINDOW });
    await writing;
    const chunks = await written(frame);
    expect(Math.max(...chunks.map(({ length }) => length))).toBe(256 * 1024);
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  it("leaves the site its buffer", async () => {
    const { frame, stream, id } = await opened();
    frame.tell(id, { credit: WINDOW });
    const bytes = Uint8Array.of(1, 2, 3, 4);
    await stream.writable.getWriter().write(bytes.subarray(1, 3));
    expect(await written(frame)).toEqual([Uint8Array.of(2, 3)]);
    expect(bytes).toEqual(Uint8Array.of(1, 2, 3, 4));
  });

  it("ends when the peer reads no longer, and the other way goes on", async () => {
    const { frame, stream, id } = await opened();
    const writer = stream.writable.getWriter();
    const writing = failing(writer.write(Uint8Array.of(1)), { code: "Closed" });
    await settled();

    frame.tell(id, "end");

    await writing;
    await failing(writer.write(Uint8Array.of(1)), { code: "Closed" });
    const reading = stream.readable.getReader().read();
    frame.tell(id, { bytes: Uint8Array.of(7) });
    expect((await reading).value).toEqual(Uint8Array.of(7));
  });

  it("finishes after all that was written", async () => {
    const { frame, stream, id } = await opened();
    const writer = stream.writable.getWriter();
    void writer.write(Uint8Array.of(1));
    void writer.write(Uint8Array.of(2));
    const closing = writer.close();
    expect(await frame.all("finish")).toEqual([]);
    frame.tell(id, { credit: 2 });
    await closing;
    await frame.take("finish");
    expect(frame.heard.slice(-2)).toEqual([1, 2].map((n) => ({ id, ask: { write: { bytes: Uint8Array.of(n) } } })));
  });

  it.each(["free", "locked"])("is closed by the stream, while %s", async (how) => {
    const { frame, stream, id } = await opened();
    const writer = stream.writable.getWriter();
    const writing = Promise.all([writer.write(Uint8Array.of(1)), writer.write(Uint8Array.of(2))]);
    if (how == "free") writer.releaseLock();
    const closing = stream.close();
    frame.tell(id, { credit: 1 });
    expect(await frame.all("finish")).toEqual([]);
    frame.tell(id, { credit: 2 });
    await Promise.all([writing, closing, stream.close()]);
    await frame.take("finish");
    await stream.close();
    expect(await frame.all("finish")).toEqual([]);
    if (how == "locked") await failing(writer.write(Uint8Array.of(3)), { code: "Closed" });
  });

  it("gives up what isn't bytes", async () => {
    const { frame, stream } = await opened();
    const writer = stream.writable.getWriter();
    await failing(writer.write("text" as never), { code: "BadArgument" });
    await frame.take("reset");
    await failing(stream.readable.getReader().read(), { code: "BadArgument" });
  });

  it("is reset by an abort, even while it waits for the peer", async () => {
    const { frame, stream, id } = await opened();
    const writer = stream.writable.getWriter();
    const writing = failing(writer.write(Uint8Array.of(1)), { code: "Aborted" });
    await settled();
    await writer.abort(new Error("changed my mind"));
    await writing;
    expect(await frame.take("reset")).toEqual({ id, ask: { reason: "changed my mind" } });
    await failing(stream.readable.getReader().read(), { code: "Aborted" });
  });
});

describe("reading", () => {
  it("grants a window, and more only as it is read", async () => {
    const { frame, stream, id } = await opened();
    expect((await frame.take("credit")).ask).toEqual({ limit: WINDOW });
    const chunk = WINDOW / 8;
    for (let n = 0; n < 8; n++) frame.tell(id, { bytes: new Uint8Array(chunk).fill(n) });
    expect(await frame.all("credit")).toEqual([]);

    const reader = stream.readable.getReader();
    expect((await reader.read()).value?.[0]).toBe(0);
    expect(await frame.all("credit")).toEqual([]);
    expect((await reader.read()).value?.[0]).toBe(1);
    expect((await frame.take("credit")).ask).toEqual({ limit: 1.25 * WINDOW });
  });

  it("carries far more than a window, each byte once", async () => {
    const { frame, stream, id } = await opened();
    const all = 5 * WINDOW;
    let granted = 0;
    let sent = 0;
    let most = 0;
    let taken = 0;
    const sending = (async () => {
      while (sent < all) {
        granted = (await frame.take("credit")).ask.limit;
        for (; sent < Math.min(granted, all); sent += 65536) frame.tell(id, { bytes: new Uint8Array(65536) });
        most = Math.max(most, sent - taken);
      }
      frame.tell(id, "finished");
    })();
    for await (const chunk of stream.readable) taken += chunk.length;
    await sending;
    expect(taken).toBe(all);
    expect(most).toBeLessThanOrEqual(WINDOW);
  });

  it("stops the peer when it is cancelled, and the other way goes on", async () => {
    const { frame, stream, id } = await opened();
    await stream.readable.cancel();
    expect((await frame.take("stop")).id).toBe(id);
    frame.tell(id, { bytes: Uint8Array.of(1) });
    frame.tell(id, "finished");
    frame.tell(id, { credit: 5 });
    await stream.writable.getWriter().write(Uint8Array.of(1));
    expect(total(await written(frame))).toBe(1);
  });

  it("fails on bytes beyond the credit, and resets", async () => {
    const { frame, stream, id } = await opened();
    const reading = stream.readable.getReader();
    frame.tell(id, { bytes: new Uint8Array(WINDOW + 1) });
    await failing(reading.read(), { code: "Remote" });
    expect((await frame.take("reset")).id).toBe(id);
  });

  it.each<unknown>([{ bytes: "text" }, { bytes: [1, 2] }, { credit: "all" }, { credit: -1 }, { nonsense: 1 }, { constructor: 1 }, 5, null])(
    "fails on %o from the node",
    async (tell) => {
      const { frame, stream, id } = await opened();
      const writing = stream.writable.getWriter().write(Uint8Array.of(1));
      frame.tell(id, tell);
      await expect(writing).rejects.toMatchObject({ name: "BittersError" });
    },
  );
});

describe("a stream's end", () => {
  it("is its failure, at both sides", async () => {
    const { frame, stream, id } = await opened();
    const writing = stream.writable.getWriter().write(Uint8Array.of(1));
    frame.tell(id, { failed: { code: "PeerUnreachable", message: "its page is gone", retryable: true } });
    await failing(writing, { code: "PeerUnreachable" });
    await failing(stream.readable.getReader().read(), { code: "PeerUnreachable" });
    await failing(stream.close(), { code: "PeerUnreachable" });
    expect(await frame.all("cancel")).toEqual([]);
  });

  it("is its abort, which tells the peer why, once", async () => {
    const { frame, stream, id } = await opened();
    stream.abort("changed my mind");
    stream.abort("again");
    expect(await frame.take("reset")).toEqual({ id, ask: { reason: "changed my mind" } });
    expect(await frame.all("reset")).toEqual([]);
    await failing(stream.readable.getReader().read(), { code: "Aborted", cause: "changed my mind" });
  });

  it("is both sides finished: nothing more is said", async () => {
    const { frame, stream, id } = await opened();
    frame.tell(id, { bytes: Uint8Array.of(9) });
    frame.tell(id, "finished");
    await stream.close();
    expect(new Uint8Array(await new Response(stream.readable).arrayBuffer())).toEqual(Uint8Array.of(9));
    stream.abort("too late");
    expect(await frame.all("reset")).toEqual([]);
  });

  it("is not reached by peers that aren't, protocols without a name, and signals that came first", async () => {
    const { node, frame } = await connected();
    await failing(node.open("somebody", "file"), { code: "BadArgument" });
    await failing(node.open(BOB, ""), { code: "BadArgument" });
    await failing(node.open(BOB, "file", { signal: AbortSignal.abort() }), { code: "Aborted" });
    expect(await frame.all("open")).toEqual([]);
  });

  it("is reset while it opens", async () => {
    const { node, frame } = await connected();
    const controller = new AbortController();
    const opening = node.open(BOB, "file", { signal: controller.signal });
    const { id } = await frame.take("open");
    controller.abort("enough");
    await failing(opening, { code: "Aborted", cause: "enough" });
    expect(await frame.take("reset")).toEqual({ id, ask: { reason: "given up" } });
  });
});

describe("serving", () => {
  it("hands streams to the handler", async () => {
    const { node, frame } = await connected();
    const streams: Stream[] = [];
    const serving = node.serve("file", (stream) => void streams.push(stream));
    const id = await frame.begun("serve");
    await serving;
    frame.tell(id, { incomingStream: { stream: INCOMING, peer: ALICE } });
    expect(await frame.take("credit")).toEqual({ id: INCOMING, ask: { limit: WINDOW } });
    expect(streams).toMatchObject([{ peer: ALICE, protocol: "file" }]);
    frame.tell(INCOMING, { bytes: Uint8Array.of(5) });
    expect((await streams[0]?.readable.getReader().read())?.value).toEqual(Uint8Array.of(5));
  });

  it("resets the stream of a handler that throws", async () => {
    const { node, frame } = await connected();
    void node.serve("file", async () => {
      throw new Error("no such file");
    });
    const id = await frame.begun("serve");
    frame.tell(id, { incomingStream: { stream: INCOMING, peer: ALICE } });
    expect(await frame.take("reset")).toEqual({ id: INCOMING, ask: { reason: "no such file" } });
  });

  it("ends with its signal, and what came in meanwhile is sent away", async () => {
    const { node, frame } = await connected();
    const controller = new AbortController();
    void node.serve("file", () => {}, { signal: controller.signal });
    const id = await frame.begun("serve");
    await settled();
    controller.abort();
    expect((await frame.take("cancel")).id).toBe(id);
    frame.tell(id, { incomingStream: { stream: INCOMING, peer: ALICE } });
    expect((await frame.take("reset")).id).toBe(INCOMING);
  });

  it("needn't be awaited to be ended before it began", async () => {
    const { node, frame } = await connected();
    const controller = new AbortController();
    void node.serve("file", () => {}, { signal: controller.signal });
    controller.abort();
    await frame.take("cancel");
    void node.serve("file", () => {}, { signal: controller.signal });
    await settled();
    expect((await frame.all("serve")).length).toBe(1);
  });
});
