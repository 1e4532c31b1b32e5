// What browsers keep of a node for offline use.
import type { Frame, Page } from "@playwright/test";

import { frameOf } from "./alive.ts";
import type { Server } from "./server.ts";

/** Resolves when this partition has a service worker that answers. */
export async function keptFor(page: Page, server: Server): Promise<void> {
  await kept(frameOf(page, server));
}

/** The same for a frame, or for the node's own page. */
export const kept = (frame: Frame | Page): Promise<void> =>
  frame.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    // `ready` is when it begins to be active.
    if (active?.state !== "activated") await new Promise((resolve) => active?.addEventListener("statechange", resolve));
  });
