// A site that wants the click: what it may do with the badge, and with windows over the node's own page, answers nothing for the person.
import type { Locator, Page } from "@playwright/test";

import { frameOf } from "./support/alive.ts";
import { expect, test } from "./support/test.ts";
import { answer, badgeOf, click, openPage } from "./support/unify.ts";

const BLOCKED = { thirdPartyCookies: "blocked" } as const;

/** What asks must have been as it is for six times as long before a click on it counts: however slow the machine, a click that is made at once comes too early. */
const SLOWLY = { ...BLOCKED, init: "{ const set = setTimeout; window.setTimeout = (act, ms, ...more) => set(act, ms === 500 ? 3000 : ms, ...more); }" } as const;

test("a badge that is covered takes no click for an answer", async ({ browse, connect }) => {
  const a = await asked(await connect(await browse(BLOCKED), "a"));
  await button(a).hover();
  await opens(a);
  await a.evaluate(() => {
    const cover = document.createElement("div");
    cover.style.cssText = "position:fixed;inset:0;background:#fff;z-index:2147483647;pointer-events:none";
    document.documentElement.append(cover);
  });
  await expect(root(a)).not.toHaveAttribute("data-guard");
  await pressesTooEarly(a);

  await a.evaluate(() => document.documentElement.lastElementChild?.remove());
  await opens(a);
});

test("a badge that was just shown takes no click for an answer", async ({ browse, connect }) => {
  const a = await connect(await browse(SLOWLY), "a");
  await badgeOf(a).locator(".badge:visible").hover();
  await asked(a);
  await a.mouse.move(...(await middle(button(a))));
  await pressesTooEarly(a);
});

test("a badge that was just resized takes no click for an answer", async ({ browse, connect }) => {
  const a = await asked(await connect(await browse(SLOWLY), "a"));
  await button(a).hover();
  await opens(a);
  await place(a, "width:300px");
  await expect(root(a)).not.toHaveAttribute("data-guard");
  await a.mouse.move(...(await middle(button(a))));
  await pressesTooEarly(a);
});

for (const [how, from] of [["was moved under the pointer", [400, 300]], ["slid beneath the pointer", undefined]] as const)
  test(`a badge that ${how} takes no click for an answer, until it has been there for a while`, async ({ browse, connect }) => {
    const a = await asked(await connect(await browse(SLOWLY), "a"));
    // Somewhere else, or where the badge says what it asks.
    const [x, y] = from ?? (await middle(badgeOf(a).locator(".if-unify:visible").first()));
    await a.mouse.move(x, y);
    await opens(a);
    const [buttonX, buttonY] = await middle(button(a));
    const { x: left = 0, y: top = 0 } = (await iframe(a).boundingBox()) ?? {};
    await place(a, `inset:auto;left:${left - buttonX + x}px;top:${top - buttonY + y}px`);
    expect(await middle(button(a))).toEqual([x, y]);
    await pressesTooEarly(a);

    await opens(a);
    await press(a);
    await expect(root(a)).toHaveAttribute("data-state", "ready");
  });

test("a badge with little room takes no click for an answer, and on a small phone there is enough", async ({ browse, connect, server }) => {
  const a = await asked(await connect(await browse(BLOCKED), "a"));
  await opens(a);
  await place(a, "width:140px;height:40px");
  await expect(root(a)).not.toHaveAttribute("data-guard");
  // Longer than what has room waits, by the same clock.
  await frameOf(a, server).evaluate(() => new Promise((resolve) => setTimeout(resolve, 600)));
  await expect(root(a)).not.toHaveAttribute("data-guard");

  await a.setViewportSize({ width: 320, height: 480 });
  await place(a, "width:320px;height:172px");
  await opens(a);
  expect(await iframe(a).boundingBox()).toMatchObject({ width: 296, height: 172 });
});

test("the second half of a double click doesn't answer the question that the first led to", async ({ browse, connect, server }) => {
  const a = await connect(await browse(BLOCKED), "a");
  await asked(a);
  await opens(a);
  await frameOf(a, server).evaluate(() => {
    const root = document.documentElement;
    const note = (): void => void (root.dataset["noted"] = `${root.dataset["question"]}: ${root.dataset["guard"] ?? "closed"}`);
    new MutationObserver(note).observe(root, { attributeFilter: ["data-question"] });
  });
  await click(a, "yes", server);
  await expect(badgeOf(a).locator("html")).toHaveAttribute("data-noted", "visit: closed");
  await opens(a);
});

test("the node's own page takes no click for an answer just after its window was turned to, or it was shown", async ({ browse, connect, server }) => {
  const browser = await browse(BLOCKED);
  const a = await asked(await connect(browser, "a"));
  await click(a, "yes", server);
  const own = await openPage(browser, a, "open", server);
  for (const [event, target] of [["focus", "window"], ["visibilitychange", "document"]] as const) {
    await own.locator("html[data-guard=open]").waitFor();
    // As when another window, which lay over it, is closed: tests see all windows as turned to at any time.
    const guard = await own.evaluate(
      ([event, target]) => {
        (target === "window" ? window : document).dispatchEvent(new Event(event));
        return document.documentElement.dataset["guard"];
      },
      [event, target] as const,
    );
    expect(guard).toBeUndefined();
  }
  await answer(own, "allow");
  await expect(own.locator("html")).toHaveAttribute("data-petition", "joined");
});

/** A site asks for one node, and its badge asks the person. */
async function asked(page: Page): Promise<Page> {
  await page.evaluate(() => void window.mine.unify().catch(() => {}));
  await button(page).waitFor();
  // As large as it asks.
  await expect.poll(async () => (await iframe(page).boundingBox())?.width).toBe(320);
  return page;
}

const iframe = (page: Page): Locator => page.locator('iframe[title="bitters node"]');

/** The badge's document. */
const root = (page: Page): Locator => badgeOf(page).locator("html");

/** What ends the question. */
const button = (page: Page): Locator => badgeOf(page).locator("[data-act=no]:visible");

/** Clicks count on the badge. */
const opens = (page: Page): Promise<void> => badgeOf(page).locator("html[data-guard=open]").waitFor();

/** Where the middle of an element is in its page. */
async function middle(element: Locator): Promise<[x: number, y: number]> {
  const box = await element.boundingBox();
  if (!box) throw new Error("it isn't there");
  return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)];
}

/** Clicks where the pointer is. */
async function press({ mouse }: Page): Promise<void> {
  await mouse.down();
  await mouse.up();
}

/** The site styles the iframe of its node. */
const place = (page: Page, style: string): Promise<void> =>
  page.evaluate((style) => {
    const iframe = document.querySelector<HTMLIFrameElement>('iframe[title="bitters node"]');
    if (iframe) iframe.style.cssText += style;
  }, style);

/** A click comes, and isn't taken for an answer. What is beneath the pointer the browser knows some frames later than the page: a click before that is on what was there. */
async function pressesTooEarly(page: Page): Promise<void> {
  const early = async (): Promise<string | null> => {
    await press(page);
    return root(page).getAttribute("data-early");
  };
  await expect.poll(early).not.toBeNull();
  await expect(root(page)).toHaveAttribute("data-state", "asking");
  await expect(badgeOf(page).locator(".early:visible")).toHaveText("Too quick: once more, please.");
}
