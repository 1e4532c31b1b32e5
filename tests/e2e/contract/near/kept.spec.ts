// A site's node is kept for offline use, in every browser.
import { serves } from "../../support/kept.ts";
import { enter, hearsOnly } from "../../support/room.ts";
import { Server } from "../../support/server.ts";
import { expect, test } from "../test.ts";

test("a visited site's node boots without its servers, with the same id and for as many sites", async ({ here, more, world }) => {
  const away = await Server.start();
  try {
    const first = await more("a", { node: away.node });
    await first.evaluateIn(away.node, serves);
    if (here.scope === "browser") {
      // What all sites share is kept by a visit of the node's own page.
      const own = await world.visit("a", away.node);
      await own.evaluate(serves);
      await own.close();
    }
    const id = await first.evaluate(() => window.mine.id);

    await away.stop();
    await world.close(first);
    const [second, third] = [await more("a", { node: away.node }), await more("a", { node: away.node })];
    for (const tab of [second, third]) expect(await tab.evaluate(() => [window.mine.id, window.mine.scope])).toEqual([id, here.scope]);
    for (const tab of [second, third]) await enter(tab, "kept");
    await hearsOnly(third, second, "kept", "still here");
  } finally {
    await away.stop();
  }
});
