// A server that is reached by IPv6 only.
import { test } from "./support/apart.ts";
import { addressOf, again, dial, pathsOf, serveEcho, talk } from "./support/dials.ts";
import { meet } from "./support/room.ts";
import { expect, idOf } from "./support/test.ts";

test.use({ only: "[::1]" });

test("two browsers meet at a server that listens at ::1 only", async ({ browse, connect, server, metrics }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  await expect(fetch(`http://127.0.0.1:${server.port}`), "nobody listens there").rejects.toThrow();

  await meet("lobby", a, b);
  await serveEcho(b);
  await talk(a, await idOf(b), "hello");

  expect((await metrics.read()).sum("rendezvous_nodes")).toBe(2);
});

test("an address is dialled at a server that listens at ::1 only", async ({ browse, connect, server, metrics }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b", server.url("quiet"))]);
  await serveEcho(a);

  expect(await dial(b, await addressOf(a))).toBe(await idOf(a));
  await talk(b, await idOf(a), "through the server");
  for (const tab of [a, b]) await expect.poll(() => pathsOf(tab)).toEqual(["direct"]);

  const counted = await metrics.read();
  expect(counted.sum("rendezvous_nodes")).toBe(1);
  expect(counted.sum("proxy_forwarded_bytes", { to: "listener" })).toBeGreaterThan(0);
  await server.stop();
  await again(b, "and without it");
});
