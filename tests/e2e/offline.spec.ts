// Once connected, peers don't need the server: it stops, and topics, calls and streams go on; it is back, and newcomers find them.
import { hashOf, teachBytes } from "./support/streams.ts";
import { enter, heard, meet, present, reach, say } from "./support/room.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

const SIZE = 3_000_000;

test("with the server stopped, topics, calls and streams go on; with the server back, a newcomer finds them", async ({ browse, connect, server }) => {
  const [one, two, three] = await Promise.all([browse(), browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  const [idA, idB] = [await idOf(a), await idOf(b)];
  await meet("lobby", a, b);
  await b.evaluate(() => {
    void window.mine.answer("echo", (data) => data);
    void window.mine.serve("hash", async (stream) => {
      const all = await new Response(stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
      const writer = stream.writable.getWriter();
      await writer.write(new Uint8Array(await crypto.subtle.digest("SHA-256", all)));
      await writer.close();
    });
  });

  await server.stop();

  await say(a, "lobby", "without a server");
  await expect.poll(() => heard(b, "lobby")).toEqual([{ from: idA, data: "without a server" }]);
  expect(await a.evaluate((peer) => window.mine.call(peer, "echo", "still"), idB)).toBe("still");
  await teachBytes(a);
  const hash = await a.evaluate(
    async ({ peer, size }) => {
      const stream = await window.mine.open(peer, "hash");
      await new Blob([window.bytes(size)]).stream().pipeTo(stream.writable);
      const answer = await new Response(stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
      return [...new Uint8Array(answer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    },
    { peer: idB, size: SIZE },
  );
  expect(hash).toBe(hashOf(SIZE));
  // A topic that nobody can be introduced in still has the peers that are linked.
  await enter(a, "kitchen");
  await enter(b, "kitchen");
  await expect.poll(() => present(a, "kitchen")).toEqual([idB]);

  await server.start();

  const c = await connect(three, "c");
  await enter(c, "lobby");
  await expect.poll(() => present(c, "lobby"), { timeout: 20_000 }).toEqual([idA, idB].toSorted());
  await say(c, "lobby", "found you");
  const found = { from: await idOf(c), data: "found you" };
  await expect.poll(() => heard(a, "lobby")).toEqual([found]);
  await expect.poll(async () => (await heard(b, "lobby")).at(-1)).toEqual(found);
  expect(await c.evaluate((peer) => window.mine.call(peer, "echo", "hello"), idB)).toBe("hello");
  await expect.poll(async () => (await statusOf(a)).peers.length).toBe(2);
});

test("a dial while the server is down fails with PeerUnreachable, and succeeds once it is back", async ({ browse, connect, server }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  const idB = await idOf(b);

  await server.stop();
  expect(await a.evaluate((peer) => window.mine.dial(peer).catch(({ code }) => code as string), idB)).toBe("PeerUnreachable");

  await server.start();
  expect(await reach(a, idB)).toBe(idB);
});
