// A person who wants one node for all sites: asked by a badge, they say yes, and on the node's own page once more.
import type { BittersNode, Scope } from "@bitters/host-sdk";

import { counted, listen } from "./clicks.ts";
import type { Tab } from "./tab.ts";
import { expect } from "./test.ts";

declare global {
  interface Window {
    /** The scope that was asked for. */
    unified: ReturnType<BittersNode["unify"]>;
  }
}

/** Clicks on a button of a node's as soon as a click counts: the pointer has been there for a while. One that came too early is made again. */
export async function press(tab: Tab, node: string, act: string): Promise<void> {
  do {
    await tab.hover(node, `[data-act=${act}]`);
    await tab.evaluateIn(node, listen);
    await tab.click(node, `[data-guard=open] [data-act=${act}]`);
  } while (!(await tab.evaluateIn(node, counted)));
}

/**
 * The site of a tab asks for one node for all sites, and gets it by way of the node's own page, which is returned: the way lasts as long as
 * that is open. `acts` are the buttons of the badge that lead there.
 */
export async function unify(tab: Tab, node: string, acts: readonly string[]): Promise<Tab> {
  const page = await petition(tab, node, acts);
  await answer(page, node, "allow");
  expect(await tab.evaluate(() => window.unified)).toBe("browser");
  return page;
}

/** The same where the person has said yes before: the node's own page needs no second one. */
export async function rejoin(tab: Tab, node: string, acts: readonly string[]): Promise<Tab> {
  const page = await petition(tab, node, acts);
  expect(await tab.evaluate(() => window.unified)).toBe("browser");
  return page;
}

/** The site of a tab asks for one node for all sites, and the badge's buttons `acts` lead to the node's own page, which is returned. */
export async function petition(tab: Tab, node: string, acts: readonly string[]): Promise<Tab> {
  await tab.evaluate(() => {
    window.unified = window.mine.unify();
    // Whoever waits for it hears of it.
    window.unified.catch(() => {});
  });
  const opened = tab.popup();
  // One that nobody waits for any longer is no failure of its own.
  opened.catch(() => {});
  for (const act of acts) await press(tab, node, act);
  return opened;
}

/** Answers on the node's own page. */
export const answer = (page: Tab, node: string, act: "allow" | "refuse"): Promise<void> => press(page, node, act);

/** Waits until the node in a tab has this scope. */
export function scopeBecomes(tab: Tab, scope: Scope): Promise<void> {
  return tab.evaluate(async (scope) => {
    for await (const status of window.mine.watch({ signal: AbortSignal.timeout(20_000) })) if (status.scope === scope && window.mine.scope === scope) return;
  }, scope);
}
