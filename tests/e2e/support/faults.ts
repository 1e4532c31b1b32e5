// What goes wrong in a page unseen: errors that nobody caught, and rejections that nobody handled, in its frames, too.
import type { Page } from "@playwright/test";

/** A list that grows with each of them. */
export function faultsOf(page: Page): string[] {
  const faults: string[] = [];
  page.on("pageerror", ({ message }) => faults.push(message));
  return faults;
}
