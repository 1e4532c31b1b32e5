// A site hangs up on a peer.
import { again, serveEcho, talk } from "../../support/dials.ts";
import { reach } from "../../support/room.ts";
import { idOf, statusOf } from "../../support/test.ts";
import { expect, test } from "../test.ts";

test("hanging up ends streams and links with the peer, in all of the site's pages, and either end may call again", async ({ a, b, more }) => {
  const [idA, idB] = [await reach(b, await idOf(a)), await reach(a, await idOf(b))];
  const other = await more("a");
  await serveEcho(b);
  const pages = [a, other];
  for (const page of pages) await talk(page, idB, "hello");
  const ends = pages.map((page) => page.evaluate(() => window.echo.readable.getReader().read().catch(({ code }) => code as string)));

  await a.evaluate((peer) => window.mine.hangUp(peer), idB);

  expect(await Promise.all(ends)).toEqual(["Closed", "Closed"]);
  for (const page of [...pages, b]) await expect.poll(async () => (await statusOf(page)).peers.length).toBe(0);
  // Nobody dials anew for the sake of what was under way.
  await expect(b.evaluate((id) => window.codeOf(() => window.mine.call(id, "nobody answers this", null)), idA)).resolves.toBe("NotFound no");
  await talk(other, idB, "hello again");
  await again(other, "and again");
});
