// A member of a topic that says and shows as much as it can, and comes and goes: the others hear and see one another.
import type { Page } from "@playwright/test";

import { enter, heard, meet, say } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

declare global {
  interface Window {
    /** Whether the page goes on flooding. */
    goesOn: boolean;
  }
}

test("a member floods a topic with messages, by what it shows, and by coming and going: others hear one another in order, and newcomers, too", async ({ browse, connect }) => {
  const [a, b, mallory] = await Promise.all(["a", "b", "c"].map(async (name) => connect(await browse(), name)));
  if (!a || !b || !mallory) throw new Error("unreachable");
  const [idA, idB] = [await idOf(a), await idOf(b)];
  await meet("square", a, b, mallory);
  const flooding = flood(mallory);

  const said = Array.from({ length: 20 }, (_, n) => n);
  for (const n of said) {
    await say(a, "square", n);
    await show(b, n);
  }
  await expect.poll(() => heardOf(b, idA)).toEqual(said);
  await expect.poll(() => shownBy(a, idB)).toBe(said.at(-1));

  const newcomer = await connect(await browse(), "d");
  await enter(newcomer, "square");
  await expect.poll(() => shownBy(newcomer, idB)).toBe(said.at(-1));
  await say(a, "square", "welcome");
  await expect.poll(async () => (await heardOf(newcomer, idA)).at(-1)).toBe("welcome");

  await mallory.evaluate(() => void (window.goesOn = false));
  expect(await flooding, "refused by its own node").toBeGreaterThan(0);
});

/** Resolves with how much of it was refused. */
function flood(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const { topic } = window.rooms["square"]!;
    let refused = 0;
    const again = async (act: () => Promise<unknown>): Promise<void> => {
      while (window.goesOn) await act().catch(() => (refused += 1));
    };
    window.goesOn = true;
    const comeAndGo = async (): Promise<void> => (await window.mine.join("square")).leave();
    const shout = (): Promise<void> => topic.publish(new Uint8Array(64 * 1024));
    await Promise.all([again(shout), again(shout), again(() => topic.presence.set("x".repeat(4000))), again(comeAndGo)]);
    return refused;
  });
}

const show = (page: Page, value: number): Promise<void> => page.evaluate((value) => window.rooms["square"]!.topic.presence.set(value), value);

const shownBy = (page: Page, id: string): Promise<unknown> => page.evaluate((id) => window.rooms["square"]!.topic.presence.get(id), id);

const heardOf = async (page: Page, id: string): Promise<unknown[]> =>
  (await heard(page, "square")).filter(({ from }) => from === id).map(({ data }) => data);
