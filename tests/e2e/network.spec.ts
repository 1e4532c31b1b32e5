// A network that changes under a link.
import type { Page } from "@playwright/test";

import { frameOf } from "./support/alive.ts";
import { credentials, KEEP } from "./support/connections.ts";
import { reach } from "./support/room.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

test("the network comes back: the link restarts ICE at both ends, and the stream over it goes on", async ({ browse, connect, server }) => {
  const [a, b] = await Promise.all(
    ["a", "b"].map(async (site) => connect(await browse({ init: KEEP }), site)),
  ) as [Page, Page];
  await b.evaluate(() => {
    window.mine.serve("echo", (stream) => void stream.readable.pipeTo(stream.writable));
  });
  const peer = await reach(a, await idOf(b));
  await a.evaluate(async (peer) => {
    const stream = await window.mine.open(peer, "echo");
    const [reader, writer] = [stream.readable.getReader(), stream.writable.getWriter()];
    const echo = async (byte: number): Promise<number | undefined> => {
      await writer.write(new Uint8Array([byte]));
      return (await reader.read()).value?.[0];
    };
    Object.assign(window, { echo });
  }, peer);
  const echo = (byte: number): Promise<unknown> =>
    a.evaluate((byte) => (window as unknown as { echo(byte: number): Promise<unknown> }).echo(byte), byte);
  expect(await echo(1)).toBe(1);
  // Since each accepted the other they may look for a direct path, once.
  for (const page of [a, b]) await expect.poll(async () => (await statusOf(page)).peers.map(({ path }) => path)).toEqual(["direct"]);
  const before = await Promise.all([a, b].map((page) => credentials(page, server)));
  expect(before.flat().length).toBe(2);

  const comesBack = (): Promise<unknown> => frameOf(a, server).evaluate(() => dispatchEvent(new Event("online")));
  for (const [at, page] of [a, b].entries()) {
    // Just after a restart another isn't begun, as both ends notice one change of the network.
    await expect.poll(async () => (await comesBack(), credentials(page, server))).toEqual([expect.not.stringContaining(before[at]?.[0] ?? "")]);
  }
  expect(await echo(2)).toBe(2);
  const status = await a.evaluate(() => window.mine.status());
  expect(status.peers.map(({ links }) => links)).toEqual([1]);
});
