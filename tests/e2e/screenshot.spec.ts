// Takes the README's picture of the demo: `SCREENSHOT=1 npx playwright test -c tests/e2e screenshot`. No test, so it is skipped
// unless asked for.
import { join } from "node:path";

import type { BrowserContext, Page } from "@playwright/test";

import { ROOT, type Server } from "./support/server.ts";
import { bytes } from "./support/streams.ts";
import { expect, test } from "./support/test.ts";

const SIZE = { width: 1280, height: 800 };

test("the demo's picture", async ({ browse, server }) => {
  test.skip(process.env["SCREENSHOT"] === undefined, "taken on demand");
  const [one, two, three] = await Promise.all([browse(), browse(), browse()]);
  const alice = await open(one, server, "alice");
  const neighbour = await open(one, server, "bob");
  const bob = await open(two, server, "bob");
  const third = await open(three, server, "alice");
  for (const page of [alice, bob, third]) await expect(page.locator("#peers li")).toHaveCount(3);

  const said: [Page, string][] = [
    [third, "Hello from the train. Anybody up?"],
    [alice, "Good morning! The kettle is on."],
    [bob, "Morning, both. I brought plum cake."],
    [neighbour, "I’ll carry the big table over."],
    [alice, "No server ever saw that cake."],
    [bob, "Only our browsers did. Here is a picture of it!"],
  ];
  for (const [page, text] of said) {
    const before = await alice.locator("#messages li").count();
    await page.locator("#text").fill(text);
    await page.getByRole("button", { name: "Say" }).click();
    await expect(alice.locator("#messages li")).toHaveCount(before + 1);
  }
  await bob.locator("#file").setInputFiles({ name: "plum-cake.jpg", mimeType: "image/jpeg", buffer: Buffer.from(bytes(2_400_000)) });
  await expect(alice.locator("#files li")).toHaveAttribute("data-state", "done");
  await alice.locator("#text").fill("It looks wonderful");
  await alice.bringToFront();
  await settled(alice);
  await alice.screenshot({ path: join(ROOT, "docs/demo.png"), animations: "disabled", caret: "hide" });
});

async function open(browser: BrowserContext, server: Server, site: string): Promise<Page> {
  const page = await browser.newPage();
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await page.setViewportSize(SIZE);
  await page.goto(server.url(site));
  await expect(page.locator("#status")).toHaveText("connected");
  return page;
}

/** The picture shows both sites' frames, each linked to the other three, drawn in their places. */
async function settled(page: Page): Promise<void> {
  await expect(page.locator("#picture circle[data-frame]")).toHaveCount(2);
  await expect(page.locator("#picture [data-link]:not(.standby)")).toHaveCount(6);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}
