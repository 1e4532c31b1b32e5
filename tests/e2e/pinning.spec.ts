// An address pins the listener's certificate, and what a dialler says of its own pins that; strangers' noise hinders nobody.
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";

import { test } from "./support/apart.ts";
import { another, dialByHand, forgedCheck, read, type Said } from "./support/byhand.ts";
import { expect, idOf, statusOf } from "./support/test.ts";

test.use({ udp: "127.0.0.1:0" });

test("a connection opens with the address's fingerprint and with no other, and the listener stays well", async ({ browse, connect, server, visit }) => {
  const a = await connect(await browse(), "a");
  const address = await a.evaluate(() => window.mine.address());
  const said = read(address);
  const browser = await browse();
  const dialler = await visit(browser, "c");

  // The channel may be open before the connection says so.
  const open = { opened: true, dtls: "connected", reached: true };
  // It may have failed before its DTLS transport says so.
  const failed = { opened: false, connection: "failed", reached: true };
  expect(await dialByHand(dialler, said, { believed: said.fingerprint })).toMatchObject(open);
  expect(await dialByHand(dialler, said, { believed: another(said.fingerprint) })).toMatchObject(failed);
  expect(await dialByHand(dialler, said, { believed: said.fingerprint, lies: true })).toMatchObject(failed);

  expect((await statusOf(a)).peers).toEqual([]);
  const b = await connect(browser, "b", server.url("quiet"));
  expect(await b.evaluate((address) => window.mine.dial(address), address)).toBe(await idOf(a));
});

test("while strangers flood the proxy a dial opens", async ({ browse, connect, server, metrics }) => {
  const a = await connect(await browse(), "a");
  const b = await connect(await browse(), "b", server.url("quiet"));
  const address = await a.evaluate(() => window.mine.address());
  const dropped = async (): Promise<number> => (await metrics.read()).sum("proxy_dropped_packets");

  const stop = flood(read(address));
  await expect.poll(dropped).toBeGreaterThan(1_000);
  const before = await dropped();
  expect(await b.evaluate((address) => window.mine.dial(address), address)).toBe(await idOf(a));
  expect(await dropped()).toBeGreaterThan(before + 100);
  await expect.poll(async () => (await statusOf(b)).peers.map(({ path }) => path)).toEqual(["direct"]);
  await stop();
  const after = await metrics.read();
  expect([after.sum("proxy_dials"), after.sum("proxy_answers")], "no state for what doesn't verify").toEqual([1, 1]);
});

/** Sends some thousand datagrams a second, from many ports: noise, and checks for the listener that don't verify. */
function flood(said: Said): () => Promise<void> {
  const sockets = Array.from({ length: 8 }, () => createSocket("udp4"));
  const timer = setInterval(() => {
    for (const socket of sockets) {
      socket.send(forgedCheck(said), said.proxy.port, said.proxy.ip);
      socket.send(randomBytes(200), said.proxy.port, said.proxy.ip);
    }
  }, 2);
  return async () => {
    clearInterval(timer);
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(resolve))));
  };
}
