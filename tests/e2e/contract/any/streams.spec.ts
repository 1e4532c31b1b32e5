// Streams from one site to another, both ways, and how they end.
import { reach } from "../../support/room.ts";
import { idOf } from "../../support/test.ts";
import { expect, test } from "../test.ts";

test("what is written arrives, in both directions at once, and each end knows the other", async ({ a, b }) => {
  await b.evaluate(() => {
    void window.mine.serve("upper", async (stream) => {
      window.log = [stream.peer];
      const upper = new TransformStream<string, string>({ transform: (text, out) => out.enqueue(text.toUpperCase()) });
      const bytes = stream.readable as unknown as ReadableStream<Uint8Array<ArrayBuffer>>;
      await bytes.pipeThrough(new TextDecoderStream()).pipeThrough(upper).pipeThrough(new TextEncoderStream()).pipeTo(stream.writable);
    });
  });
  const peer = await reach(a, await idOf(b));

  const seen = await a.evaluate(async (peer) => {
    const stream = await window.mine.open(peer, "upper");
    const writer = stream.writable.getWriter();
    for (const text of ["hello ", "from ", "a"]) await writer.write(new TextEncoder().encode(text));
    await writer.close();
    return { peer: stream.peer, protocol: stream.protocol, text: await new Response(stream.readable as BodyInit).text() };
  }, peer);

  expect(seen).toEqual({ peer, protocol: "upper", text: "HELLO FROM A" });
  expect(await b.evaluate(() => window.log)).toEqual([await idOf(a)]);
});

test("close() finishes writing what was begun, and reading goes on", async ({ a, b }) => {
  await b.evaluate(() => {
    void window.mine.serve("last word", async (stream) => {
      const text = await new Response(stream.readable as BodyInit).text();
      void stream.writable.getWriter().write(new TextEncoder().encode(`heard: ${text}`));
      await stream.close();
    });
  });
  const peer = await reach(a, await idOf(b));

  const seen = await a.evaluate(async (peer) => {
    const stream = await window.mine.open(peer, "last word");
    const writer = stream.writable.getWriter();
    for (const text of ["all ", "of it"]) void writer.write(new TextEncoder().encode(text));
    await stream.close();
    return { late: await window.codeOf(() => writer.write(new Uint8Array(1))), text: await new Response(stream.readable as BodyInit).text() };
  }, peer);

  expect(seen).toEqual({ late: "Closed", text: "heard: all of it" });
});

test("either end may abort, and the other learns why", async ({ a, b }) => {
  await b.evaluate(() => {
    window.log = [];
    void window.mine.serve("doomed", async (stream) => {
      await stream.readable.getReader().read().catch(({ code, message }) => window.log.push(code, message));
    });
    void window.mine.serve("failing", () => {
      throw new Error("not today");
    });
  });
  const peer = await reach(a, await idOf(b));

  const failing = await a.evaluate(async (peer) => {
    (await window.mine.open(peer, "doomed")).abort("enough");
    const stream = await window.mine.open(peer, "failing");
    return stream.readable.getReader().read().catch(({ code, message }) => [code, message]);
  }, peer);

  expect(failing).toEqual(["Remote", expect.stringContaining("not today")]);
  await expect.poll(() => b.evaluate(() => window.log)).toEqual(["Remote", expect.stringContaining("enough")]);
});

test("one who stops serving or answering isn't found any longer", async ({ a, b }) => {
  await b.evaluate(() => {
    const given = new AbortController();
    void window.mine.serve("passing", (stream) => stream.close(), { signal: given.signal });
    void window.mine.answer("passing", (data) => data, { signal: given.signal });
    Object.assign(window, { stop: () => given.abort() });
  });
  const peer = await reach(a, await idOf(b));
  const ask = (): Promise<unknown[]> =>
    a.evaluate(
      async (peer) => [
        await window.codeOf(() => window.mine.call(peer, "passing", 1)),
        await window.codeOf(async () => (await window.mine.open(peer, "passing")).protocol),
      ],
      peer,
    );

  expect(await ask()).toEqual([1, "passing"]);
  await b.evaluate(async () => {
    (window as unknown as { stop(): void }).stop();
    await window.mine.status();
  });
  expect(await ask()).toEqual(["NotFound no", "NotFound"]);
});
