import { Metrics } from "./support/metrics.ts";
import { Quiet } from "./support/quiet.ts";
import { Server } from "./support/server.ts";
import { expect, idOf, test } from "./support/test.ts";
test("dbg", async ({ browse, connect }) => {
  void connect;
  const quiet = await Quiet.make(); const metrics = await Metrics.free();
  const server = await Server.start([...quiet.extra, ...metrics.extra, "--log", "bitters_revproxy=trace,info", ...(process.env["UDP"] ? ["--udp", process.env["UDP"]] : [])]);
  const open = async (site: string, node: string) => {
    const b = await browse({ args: ["--enable-logging=stderr", "--vmodule=*/webrtc/*=2,*/p2p/*=2"] }); const page = await b.newPage();
    b.on("console", (m) => console.log(site, m.text())); page.on("console", (m) => console.log(site, m.text()));
    await page.goto(server.url(site));
    await page.evaluate(async (url) => { window.sdk = (await import(url)) as never; }, `${server.node}/sdk/bitters.js`);
    await page.evaluate(async (node) => { window.mine = await window.sdk.connect({ node }); }, node);
    return page;
  };
  const a = await open("a", server.node), b = await open("b", server.url("quiet"));
  const address = await a.evaluate(() => window.mine.address());
  console.log(await b.evaluate((x) => window.mine.dial(x, {timeout: 25000}).catch(({ code, message }) => `${code}: ${message}`), address));
  for (const p of [a, b]) console.log(JSON.stringify(await p.evaluate(() => window.mine.status())));
  const text = await fetch(`http://127.0.0.1:${metrics.extra[1]!.split(":")[1]}/metrics`).then((r) => r.text());
  console.log(text.split("\n").filter((l) => /rendezvous|proxy|stun/.test(l) && !l.startsWith("#")).join("\n"));
  console.log(server.log.split("\n").slice(0, 400).join("\n"));
  await server.stop();
  expect(await idOf(a)).toBe("x");
});
