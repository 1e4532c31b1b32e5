// Two browsers behind address translators of their own: reached through the proxy only, until both have punched their holes.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { addressOf, again, dial, pathsOf, serveEcho, talk } from "./support/dials.ts";
import { forbidden, Nets, SERVER, type Side } from "./support/nets.ts";
import type { Counted } from "./support/metrics.ts";
import { Quiet } from "./support/quiet.ts";
import { Server } from "./support/server.ts";
import { chromium, connect, type Driven, type Tab } from "./support/tab.ts";
import { expect, idOf, test as base } from "./support/test.ts";

/** Any port of a namespace is free. */
const ADMIN = "127.0.0.1:9090";

interface Fixtures {
  readonly nets: Nets;
  /** More settings of the server, as TOML. */
  readonly settings: string;
  /** The listener's site in home a, the dialler's in home b with a node that knows no server. */
  readonly homes: Record<Side, Tab>;
  readonly counted: () => Counted;
}

const test = base.extend<Fixtures>({
  settings: ["", { option: true }],
  nets: async ({}, use) => {
    const nets = Nets.make();
    await use(nets);
    nets.remove();
  },
  server: async ({ nets, settings }, use) => {
    const dir = await mkdtemp(join(tmpdir(), "bitters-settings-"));
    await writeFile(join(dir, "revproxy.toml"), settings);
    const quiet = await Quiet.make();
    const reached = ["--listen", `${SERVER}:PORT`, "--udp", `${SERVER}:0`, "--admin", ADMIN, "--config", join(dir, "revproxy.toml")];
    const server = await Server.start([...quiet.extra, ...reached], undefined, nets.between);
    await use(server);
    await server.stop();
    await quiet.remove();
    await rm(dir, { recursive: true });
  },
  homes: async ({ nets, server }, use) => {
    const open: Driven[] = await Promise.all((["a", "b"] as const).map((side) => chromium({ ...nets.chromium(side), own: true })));
    const [one, two] = open as [Driven, Driven];
    const a = await connect(one, server, "a");
    const b = await connect(two, server, "b", server.url("quiet"));
    await use({ a, b });
    await Promise.all(open.map((browser) => browser.close()));
  },
  counted: async ({ nets }, use) => use(() => nets.counted(ADMIN)),
});

const reason = forbidden();
test.skip(reason !== undefined, reason);

test("behind translators they meet at the proxy, punch their holes and go on without the server", async ({ nets, server, homes: { a, b }, counted }) => {
  await serveEcho(a);
  const address = await addressOf(a);
  expect(nets.passed(), "nothing has gone from one to the other").toBe(0);

  expect(await dial(b, address)).toBe(await idOf(a));
  await talk(b, await idOf(a), "hello");
  for (const tab of [a, b]) await expect.poll(() => pathsOf(tab)).toEqual(["direct"]);

  expect(counted().sum("proxy_forwarded_bytes", { to: "listener" })).toBeGreaterThan(0);
  // On a busy machine it relays for a moment before the direct path is found, and forgets that after half a minute.
  await expect.poll(() => counted().sum("proxy_relaying"), { timeout: 60_000 }).toBe(0);
  await server.stop();
  const before = nets.passed();
  await again(b, "and without the server");
  expect(nets.passed()).toBeGreaterThan(before);
});

test("where nothing passes between them the proxy goes on relaying", async ({ nets, homes: { a, b }, counted }) => {
  nets.part();
  await serveEcho(a);

  expect(await dial(b, await addressOf(a))).toBe(await idOf(a));
  await talk(b, await idOf(a), "hello");
  for (const tab of [a, b]) await expect.poll(() => pathsOf(tab)).toEqual(["relayed"]);
  expect(counted().sum("proxy_relaying")).toBe(1);

  const before = counted().sum("proxy_forwarded_bytes", { to: "listener" });
  const text = "x".repeat(50_000);
  await again(b, text);
  expect(counted().sum("proxy_forwarded_bytes", { to: "listener" }) - before).toBeGreaterThan(text.length);
  for (const tab of [a, b]) expect(await pathsOf(tab)).toEqual(["relayed"]);
});

test.describe("where the server relays nothing", () => {
  test.use({ settings: "[proxy]\nrelay-bytes = 0\n" });

  test("it forwards for the opening only, and both nodes go on", async ({ nets, homes: { a, b }, counted }) => {
    nets.part();
    await serveEcho(a);

    expect(await dial(b, await addressOf(a))).toBe(await idOf(a));
    await talk(b, await idOf(a), "hello");
    await expect.poll(() => counted().sum("proxy_sessions"), { timeout: 40_000 }).toBe(0);
    expect(counted().sum("proxy_relaying")).toBe(0);
    // The default for an opening, for each dial.
    expect(counted().sum("proxy_forwarded_bytes")).toBeLessThanOrEqual(counted().sum("proxy_dials") * 256 * 1024);
    for (const tab of [a, b]) expect(await dial(tab, "hello")).toMatch(/^BadArgument/);
  });
});
