// A site's node is kept for offline use, in every browser.
import { serves } from "../../support/kept.ts";
import { enter, hearsOnly } from "../../support/room.ts";
import { Server } from "../../support/server.ts";
import { expect, test } from "../test.ts";

test("a visited site's node boots without its servers, with the same id", async ({ here, more }) => {
  test.skip(here.scope === "browser", "what all sites share is kept by a visit of the node's own page: kept.spec.ts");
  const away = await Server.start();
  try {
    const first = await more("a", { node: away.node });
    await first.evaluateIn(away.node, serves);
    const id = await first.evaluate(() => window.mine.id);

    await away.stop();
    await first.close();
    const [second, third] = [await more("a", { node: away.node }), await more("a", { node: away.node })];
    expect(await second.evaluate(() => window.mine.id)).toBe(id);
    for (const tab of [second, third]) await enter(tab, "kept");
    await hearsOnly(third, second, "kept", "still here");
  } finally {
    await away.stop();
  }
});
