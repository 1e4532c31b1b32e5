// What a site sees of its node.
import { expect, framesBecome, missed, test } from "../test.ts";

test("watch tells the status now and after each change, until it is left", async ({ a, frames, here, more }) => {
  await framesBecome(a, frames);
  await a.evaluate((before) => {
    window.log = [];
    void (async () => {
      for await (const { frames } of window.mine.watch()) {
        window.log.push(frames.length - before);
        if (frames.length === before && window.log.includes(1)) break;
      }
      window.log.push("over");
    })();
  }, frames);
  const log = (): Promise<unknown[]> => a.evaluate(() => window.log);
  await expect.poll(async () => (await log()).at(-1)).toBe(0);

  const tab = await more("a");
  await expect.poll(async () => (await log()).at(-1)).toBe(1);
  await tab.close();
  await expect.poll(async () => (await log()).at(-1), missed(here)).toBe("over");

  // Other things of the node may have changed, too.
  const all = (await log()).filter((count, at, all) => count !== all[at - 1]);
  expect(all).toEqual([0, 1, 0, "over"]);
});

test("a watch ends with its signal, and the node goes on", async ({ a }) => {
  const seen = await a.evaluate(async () => {
    const given = new AbortController();
    const statuses = window.mine.watch({ signal: given.signal })[Symbol.asyncIterator]();
    const first = await statuses.next();
    const second = window.codeOf(() => statuses.next());
    given.abort();
    return [first.value?.scope, await second, (await statuses.next()).done, (await window.mine.status()).scope];
  });

  const scope = await a.evaluate(() => window.mine.scope);
  expect(seen).toEqual([scope, "Aborted", true, scope]);
});

test("the status says how much the node covers, who leads, and where its frames are", async ({ a, b, frames, here, server }) => {
  await framesBecome(a, frames);
  const status = await a.evaluate(() => window.mine.status());
  const leader = { epoch: expect.any(Number), boot: expect.any(String), kind: here.leader, build: expect.any(String) };

  expect(status).toMatchObject({ scope: here.scope, leader, seeds: expect.any(Number) });
  // Whoever asked for an address where no connections can be made was told, and so is everyone.
  expect(status.warnings.filter((warning) => !warning.includes("RTCPeerConnection"))).toEqual([]);
  const origins = status.frames.map(({ origin }) => origin).filter((origin) => origin !== server.node);
  expect(origins).toEqual(here.sites.map((site) => server.url(site).slice(0, -1)));
  // Another that may see the whole node sees the same one.
  if (here.sites[1] === "a") expect(await b.evaluate(() => window.mine.status())).toMatchObject({ leader: status.leader });
});
