// The spine: two sites share one node.
import { expect, idOf, statusOf, test } from "./support/test.ts";

test("storage is partitioned: the same iframe under two sites is in two partitions", async ({ browse, server }) => {
  const browser = await browse();
  const seen = [];
  for (const site of ["a", "b"]) {
    const page = await browser.newPage();
    await page.goto(server.url(site));
    seen.push(
      await page.evaluate(async (src) => {
        const iframe = document.createElement("iframe");
        iframe.src = src;
        document.body.append(iframe);
        await new Promise((resolve) => iframe.addEventListener("load", resolve));
      }, server.url("node", "/icon.svg")),
    );
    const frame = page.frames().find((frame) => frame.url().includes("icon.svg"));
    seen.push(
      await frame?.evaluate(() => {
        const before = localStorage.getItem("seen");
        localStorage.setItem("seen", location.ancestorOrigins[0] ?? "");
        return before;
      }),
    );
  }
  expect(seen.filter((value) => value !== undefined)).toEqual([null, null]);
});

test("two sites share one node and meet under ids that share nothing", async ({ browse, connect }) => {
  const browser = await browse();
  const a = await connect(browser, "a");
  const b = await connect(browser, "b");

  expect(await idOf(a)).not.toBe(await idOf(b));
  expect(await a.evaluate(() => window.mine.scope)).toBe("browser");
  const status = await statusOf(a);
  expect(status.frames.map((frame) => new URL(frame.origin).hostname)).toEqual(["a.localhost", "b.localhost"]);
  expect(status.leader?.kind).toBe("shared");

  await b.evaluate(async () => {
    const topic = await window.mine.join("lobby");
    (window as unknown as { heard: unknown }).heard = topic[Symbol.asyncIterator]().next();
  });
  await a.evaluate(async () => {
    const topic = await window.mine.join("lobby");
    await topic.publish({ hello: ["b", 1] });
  });
  const heard = await b.evaluate(
    () => (window as unknown as { heard: Promise<IteratorResult<{ from: string; data: unknown }>> }).heard,
  );
  expect(heard.value).toMatchObject({ from: await idOf(a), data: { hello: ["b", 1] } });
});
