import { works } from "./support/alive.ts";
import { enter, heard, say } from "./support/room.ts";
import { Metrics } from "./support/metrics.ts";
import { Server } from "./support/server.ts";
import { enlist } from "./support/tab.ts";
import { idOf, statusOf, test } from "./support/test.ts";

const it = test.extend<{ metrics: Metrics }>({
  metrics: async ({}, use) => use(await Metrics.free()),
  server: async ({ metrics }, use) => { const server = await Server.start(metrics.extra); await use(server); await server.stop(); },
});
it("tmp", async ({ browse, connect, server, visit, metrics }) => {
  const browser = await browse();
  const [b, page] = [await connect(browser, "b"), await visit(browser, "a")];
  for (let n = 0; n < 8; n += 1) {
    await enlist(page, server.node);
    const name = `r${n}`;
    await Promise.all([enter(page, name), enter(b, name)]);
    await say(page, name, 0);
    await say(b, name, 1);
    for (let t = 0; t < 14; t += 1) {
      await new Promise((r) => setTimeout(r, t < 6 ? 60 : 1500));
      const m = await metrics.read(); console.log(n, t, m.sum("rendezvous_received", { kind: "signal" }), m.sum("rendezvous_sent", { kind: "signal" }), m.sum("rendezvous_sent", { kind: "refused" }), m.sum("rendezvous_received", { kind: "lookup" }), JSON.stringify([await heard(page, name), await heard(b, name)].map((x) => x.map((m) => m.data))), JSON.stringify((await statusOf(page)).peers.map((p) => [p.links, p.path])), JSON.stringify((await statusOf(b)).peers.map((p) => [p.id.slice(0, 4), p.links, p.path])), (await idOf(page)).slice(0, 4), (await idOf(b)).slice(0, 4));
      if ((await heard(b, name)).length && (await heard(page, name)).length) break;
    }
    await page.evaluate(() => window.mine.close());
  }
});
