// What browsers keep of a node for offline use.
import type { Frame, Page } from "@playwright/test";

import { type Hosted, frameOf } from "./alive.ts";

/** Resolves when this partition has a service worker that answers. */
export async function keptFor(page: Page, hosted: Hosted): Promise<void> {
  await kept(frameOf(page, hosted));
}

/** The same for a frame, or for the node's own page. */
export const kept = (frame: Frame | Page): Promise<void> => frame.evaluate(serves);

/** The same, where it runs. */
export async function serves(): Promise<void> {
  const { active } = await navigator.serviceWorker.ready;
  // `ready` is when it begins to be active.
  if (active?.state !== "activated") await new Promise((resolve) => active?.addEventListener("statechange", resolve));
}

/** Resolves when a build has been replaced by one that waited, anywhere in the page's browser; the page needn't be the node's. */
export async function replaced(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const redundant = new Set<string>();
  const done = new Promise<void>((resolve) => {
    session.on("ServiceWorker.workerVersionUpdated", ({ versions }) => {
      for (const { registrationId, status } of versions) {
        if (status === "redundant") redundant.add(registrationId);
        if (status === "activated" && redundant.has(registrationId)) resolve();
      }
    });
  });
  await session.send("ServiceWorker.enable");
  await done;
  await session.detach();
}

/** What became of another build in a partition. */
export type Outcome = "not installed" | "not run" | "nothing new" | "waits";

/** Asks for another build; one that was being looked for already answers for this. */
export const ask = (page: Page, hosted: Hosted): Promise<Outcome> =>
  frameOf(page, hosted).evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    // Rejects where the script can't run.
    if (!(await registration.update().then(() => true, () => false))) return "not run";
    const { installing } = registration;
    if (registration.waiting) return "waits";
    if (!installing) return "nothing new";
    return new Promise((resolve) => {
      installing.addEventListener("statechange", () => resolve(installing.state === "installed" ? "waits" : "not installed"));
    });
  });
