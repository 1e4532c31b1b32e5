// Clocks that are wrong, and one that jumps under a stream.
import { test } from "./support/apart.ts";
import { SETTABLE, setClock } from "./support/clocks.ts";
import { credentials, KEEP } from "./support/connections.ts";
import { addressOf, dial, pathsOf } from "./support/dials.ts";
import { finish, flawless, goesOn, talk } from "./support/numbers.ts";
import { enter, hearsOnly, meet } from "./support/room.ts";
import { expect, idOf, statusOf } from "./support/test.ts";

const DAY = 24 * 60 * 60 * 1000;

test("one clock is set a day forwards, the other a day back, and both right again: a stream goes on over its link, and later dials come through", async ({ browse, connect, server }) => {
  const init = SETTABLE + KEEP;
  const [one, two, three] = await Promise.all([browse({ init }), browse({ init }), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  await talk(a, b, 10);
  // Until then ICE is restarted, with other credentials.
  for (const page of [a, b]) await expect.poll(() => pathsOf(page)).toEqual(["direct"]);
  const [link] = await credentials(a, server);

  for (const days of [1, 0]) {
    await Promise.all([setClock(one, a, days * DAY), setClock(two, b, -days * DAY)]);
    await goesOn(a, b);

    const [c, d] = await Promise.all([connect(three, "c"), connect(three, "d", server.url("quiet"))]);
    await meet(`day ${days}`, a, b, c);
    for (const page of [a, b]) expect(await dial(d, await addressOf(page))).toBe(await idOf(page));
    await Promise.all([c, d].map((page) => page.close()));
  }

  expect(await credentials(a, server), "the link that the stream began on").toContain(link);
  const [ours, theirs] = await finish(a, b);
  expect(ours).toEqual(flawless(ours, theirs.sent));
  expect(theirs).toEqual(flawless(theirs, ours.sent));
});

test("a browser whose clock is a day fast, and that no server tells the time, hears a topic and is heard there, and its site is told", async ({ browse, connect, server }) => {
  const two = await browse({ init: SETTABLE });
  const [a, b] = await Promise.all([connect(await browse(), "a"), connect(two, "b", server.url("quiet"))]);
  await setClock(two, b, DAY);
  await a.evaluate(() => void window.mine.answer("befriend", () => true));
  const peer = await dial(b, await addressOf(a));
  await b.evaluate((peer) => window.mine.call(peer, "befriend", null), peer);
  await Promise.all([a, b].map((page) => enter(page, "lobby")));
  const warnings = async (): Promise<readonly string[]> => (await statusOf(b)).warnings;
  await expect.poll(warnings).toContainEqual(expect.stringContaining("24 h fast"));

  await hearsOnly(a, b, "lobby", "hello");
  await hearsOnly(b, a, "lobby", "you, too");
});
