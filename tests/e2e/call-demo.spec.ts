// Calls as people make them: the demo's buttons, in two browsers.
import { join } from "node:path";
import type { BrowserContext, Page } from "@playwright/test";

import { ROOT, type Server } from "./support/server.ts";
import { expect, test } from "./support/test.ts";

const MEDIA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--auto-select-desktop-capture-source=Entire screen"];

interface Pair {
  readonly alice: Page;
  readonly bob: Page;
}

const paired = test.extend<{ pair: Pair }>({
  pair: async ({ browse, server }, use) => {
    const [one, two] = await Promise.all([browse({ args: MEDIA }), browse({ args: MEDIA })]);
    const [alice, bob] = await Promise.all([open(one, server, "alice"), open(two, server, "bob")]);
    for (const page of [alice, bob]) await expect(page.locator("#peers li")).toHaveCount(1);
    await use({ alice, bob });
  },
});

paired("one rings, the other accepts, both see and hear each other, and one hangs up", async ({ pair: { alice, bob } }) => {
  await alice.getByRole("button", { name: "Call somebody" }).click();
  await expect(alice.locator("#call-status")).toHaveText("Calling somebody…");
  await expect(bob.locator("#call-status")).toHaveText("Alice is calling");
  await expect(bob.locator("video"), "no camera before a click").toHaveCount(0);
  await picture(bob, "ringing");

  await bob.getByRole("button", { name: "Accept" }).click();
  for (const [page, other] of [[alice, "somebody"], [bob, "Alice"]] as const) {
    await expect(page.locator("#call-status")).toHaveText(`In a call with ${other}`);
    await expect.poll(() => playing(page)).toEqual(["You", other]);
  }
  await picture(alice, "talking");
  await picture(bob, "talking");

  await bob.getByRole("button", { name: "Mute" }).click();
  await expect(bob.getByRole("button", { name: "Mute" })).toHaveAttribute("aria-pressed", "true");
  await bob.getByRole("button", { name: "Camera off" }).click();
  expect(await bob.locator(".own").evaluate((video: HTMLVideoElement) => (video.srcObject as MediaStream).getTracks().map(({ enabled }) => enabled))).toEqual([false, false]);

  await alice.getByRole("button", { name: "Share screen" }).click();
  await expect.poll(() => playing(bob)).toEqual(["You", "Alice", "Alice"]);
  await picture(bob, "screen");
  await alice.getByRole("button", { name: "Share screen" }).click();
  await expect.poll(() => playing(bob)).toEqual(["You", "Alice"]);

  await alice.getByRole("button", { name: "Hang up" }).click();
  for (const page of [alice, bob]) {
    await expect(page.locator("#call")).toBeHidden();
    await expect(page.locator("video")).toHaveCount(0);
    await expect(page.getByRole("button", { name: /^Call/ })).toBeEnabled();
  }
});

paired("one rings, and the other declines, or the one gives up", async ({ pair: { alice, bob } }) => {
  await alice.getByRole("button", { name: "Call somebody" }).click();
  await bob.getByRole("button", { name: "Decline" }).click();
  await expect(alice.locator("#call-status")).toHaveText("somebody declined.");
  await expect(bob.locator("#call")).toBeHidden();
  await alice.getByRole("button", { name: "Close" }).click();
  await expect(alice.locator("#call")).toBeHidden();

  await bob.getByRole("button", { name: "Call somebody" }).click();
  await expect(alice.locator("#call-status")).toHaveText("Bob is calling");
  await bob.getByRole("button", { name: "Hang up" }).click();
  await expect(alice.locator("#call")).toBeHidden();
  await expect(bob.locator("#call")).toBeHidden();
});

paired("where there is no camera it is said so, to both", async ({ pair: { alice, bob } }) => {
  await bob.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("none", "NotFoundError"));
  });
  await alice.getByRole("button", { name: "Call somebody" }).click();
  await bob.getByRole("button", { name: "Accept" }).click();
  await expect(bob.locator("#call-status")).toHaveText("There is no camera or no microphone here.");
  await expect(alice.locator("#call-status")).toHaveText("They couldn’t take the call.");
  await picture(alice, "over");
});

/** Whose videos show pictures. */
const playing = (page: Page): Promise<(string | null)[]> =>
  page.locator("video").evaluateAll((videos) =>
    videos.filter((video) => (video as HTMLVideoElement).videoWidth > 0 && (video as HTMLVideoElement).currentTime > 0).map((video) => video.ariaLabel),
  );

async function open(browser: BrowserContext, server: Server, site: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(server.url(site));
  await expect(page.locator("#status")).toHaveText("connected");
  return page;
}

/** Pictures to look at, where they are asked for: `SCREENSHOT=1`. */
async function picture(page: Page, name: string): Promise<void> {
  if (process.env["SCREENSHOT"] === undefined) return;
  const site = new URL(page.url()).hostname.split(".")[0];
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [390, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await page.screenshot({ path: join(ROOT, `test-results/call-${site}-${name}-${colorScheme}-${width}.png`) });
    }
  }
}
