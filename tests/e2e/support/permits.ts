// What sites may do, as a person answers on the node's own page.
import type { Locator, Page } from "@playwright/test";

import type { Server } from "./server.ts";

/** Where the node's own page shows what a site may do. */
export const choice = (own: Page, server: Server, site: string, permission: string): Locator =>
  own.locator(`[data-list=sites] li[data-origin="${server.url(site).slice(0, -1)}"] [data-permission=${permission}]`);

/** The person answers there. */
export async function permit(own: Page, server: Server, site: string, permission: string, answer: string): Promise<void> {
  await own.bringToFront();
  await own.locator("html[data-still=open]").waitFor();
  await choice(own, server, site, permission).selectOption(answer);
}
