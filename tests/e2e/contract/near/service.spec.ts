// A node author's own API: the guestbook's node.
import type { Returned } from "@bitters/host-sdk";

import type { Tab } from "../../support/tab.ts";
import { expect, test } from "../test.ts";

interface Guestbook {
  sign(text: string): Returned<number>;
  entries(): Returned<{ from: string; text: string }>;
}

test("a service answers with values and with sequences, keeps what it was told, and refuses with typed errors", async ({ more, server }) => {
  const node = server.url("guestbook").slice(0, -1);
  const tab = await more("a", { node });
  expect(await sign(tab, "hello")).toBe(1);
  await tab.close();
  const another = await more("a", { node });

  expect(await sign(another, "schön hier ☕")).toBe(2);
  const from = server.url("a").slice(0, -1);
  expect(await entries(another)).toEqual([{ from, text: "hello" }, { from, text: "schön hier ☕" }]);
  const refused = await another.evaluate(async () => {
    const { mine } = window;
    const book = mine.service("guestbook") as Record<string, (...args: unknown[]) => Returned>;
    return {
      service: await window.codeOf(() => mine.service("telephone")["ring"]?.()),
      method: await window.codeOf(() => book["burn"]?.()),
      argument: await window.codeOf(() => book["sign"]?.(7)),
      large: await window.codeOf(() => book["sign"]?.("x".repeat(300_000))),
      sequence: await window.codeOf(() => book["sign"]?.("fine")[Symbol.asyncIterator]().next()),
    };
  });
  expect(refused).toEqual({ service: "NotFound", method: "NotFound", argument: "BadArgument", large: "TooLarge", sequence: "Unsupported" });
});

const sign = (tab: Tab, text: string): Promise<number> =>
  tab.evaluate((text) => window.mine.service<Guestbook>("guestbook").sign(text), text);

const entries = (tab: Tab): Promise<{ from: string; text: string }[]> =>
  tab.evaluate(async () => {
    const entries = [];
    for await (const { from, text } of window.mine.service<Guestbook>("guestbook").entries()) entries.push({ from, text });
    return entries;
  });
