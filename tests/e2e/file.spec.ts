// A file of 20 MB arrives whole: through the SDK alone, and through the demo sites as people use them.
import { createHash } from "node:crypto";

import { reach } from "./support/room.ts";
import { bytes, hashOf, teachBytes } from "./support/streams.ts";
import { expect, idOf, test } from "./support/test.ts";

const SIZE = 20_000_000;

test("20 MB through a stream to another browser arrive with the same SHA-256", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  await b.evaluate(() => {
    void window.mine.serve("hash", async (stream) => {
      const all = await new Response(stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
      const writer = stream.writable.getWriter();
      await writer.write(hash);
      await writer.close();
    });
  });

  await teachBytes(a);
  const hash = await a.evaluate(
    async ({ peer, size }) => {
      const stream = await window.mine.open(peer, "hash");
      await new Blob([window.bytes(size)]).stream().pipeTo(stream.writable);
      const answer = await new Response(stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
      return [...new Uint8Array(answer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    },
    { peer: await reach(a, await idOf(b)), size: SIZE },
  );

  expect(hash).toBe(hashOf(SIZE));
});

test("a file picked at alice's arrives at bob's in another browser, with progress and an equal hash", async ({ browse, server }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [alice, bob] = await Promise.all([one.newPage(), two.newPage()]);
  await Promise.all([alice.goto(server.url("alice")), bob.goto(server.url("bob"))]);
  await expect(alice.locator("#peers li")).toHaveCount(1);
  await expect(bob.locator("#peers li")).toHaveCount(1);
  const content = Buffer.from(bytes(SIZE).buffer);
  // What the bar shows as it fills.
  await bob.evaluate(() => {
    const seen = ((window as unknown as { seen: number[] }).seen = []) as number[];
    new MutationObserver(() => {
      const bar = document.querySelector<HTMLProgressElement>("#files progress");
      if (bar) seen.push(bar.value / bar.max);
    }).observe(document.querySelector("#files") as Node, { childList: true, subtree: true, characterData: true });
  });

  await alice.locator("#file").setInputFiles({ name: "garden.bin", mimeType: "application/octet-stream", buffer: content });

  const hash = createHash("sha256").update(content).digest("hex");
  for (const page of [bob, alice]) {
    const row = page.locator('#files li[data-name="garden.bin"]');
    await expect(row).toHaveAttribute("data-state", "done", { timeout: 60_000 });
    await expect(row.locator("[data-hash]")).toHaveAttribute("data-hash", hash);
  }
  const seen = await bob.evaluate(() => (window as unknown as { seen: number[] }).seen);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  expect(seen.filter((part) => part > 0 && part < 1).length).toBeGreaterThan(5);
  expect(seen.at(-1)).toBe(1);
});
