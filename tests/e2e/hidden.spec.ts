// Pages that the browser hides and throttles.
import type { BrowserContext, Page } from "@playwright/test";

import type { Profile } from "./support/browsers.ts";
import { again, serveEcho, talk } from "./support/dials.ts";
import { hide, makeRare, RARE } from "./support/hidden.ts";
import { heard, meet, reach, say } from "./support/room.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

/** How a browser throttles pages. */
const WAYS: Record<string, { profile: Profile; throttle: (browser: BrowserContext, ...pages: Page[]) => Promise<void> }> = {
  "are hidden, and their timers fire once a second": { profile: { throttling: true }, throttle: hide },
  "seem to be hidden for long, and their timers fire once a minute": { profile: { init: RARE }, throttle: makeRare },
};

for (const [what, { profile, throttle }] of Object.entries(WAYS)) {
  test(`all pages of a site ${what}: streams, topics and calls of one go on over links in the others, of which one closes`, async ({ browse, connect }) => {
    const [near, far] = await Promise.all([browse(profile), browse()]);
    const carriers = [await connect(near, "a"), await connect(near, "a")] as const;
    const b = await connect(far, "d");
    const idB = await reach(carriers[0], await idOf(b));
    const a = await connect(near, "a");
    const idA = await idOf(a);
    await meet("lobby", a, b);
    await serveEcho(a);
    for (const page of [a, b]) await page.evaluate(() => void window.mine.answer("echo", (data) => data));
    await talk(b, idA, "hello");
    const links = async (): Promise<number[]> => (await statusOf(a)).frames.map(({ links }) => links);
    await expect.poll(links).toEqual([1, 1, 0]);

    await throttle(near, ...carriers, a);

    await again(b, "x".repeat(200_000));
    await say(b, "lobby", "to a throttled page");
    await expect.poll(() => heard(a, "lobby")).toEqual([{ from: idB, data: "to a throttled page" }]);
    await say(a, "lobby", "from a throttled page");
    await expect.poll(() => heard(b, "lobby")).toEqual([{ from: idA, data: "from a throttled page" }]);
    for (const [page, peer] of [[a, idB], [b, idA]] as const)
      expect(await page.evaluate((peer) => window.mine.call(peer, "echo", "hello"), peer)).toBe("hello");
    expect(await links()).toEqual([1, 1, 0]);

    await carriers[0].close();
    await again(b, "over the other link");
  });
}
