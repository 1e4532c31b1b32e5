// A node author's own API, as a site calls it.
import type { Page } from "@playwright/test";
import type { Returned } from "@bitters/host-sdk";

import { expect, test as base } from "./support/test.ts";

interface Entry {
  readonly from: string;
  readonly text: string;
  readonly at: number;
}

interface Guestbook {
  sign(text: string): Returned<number>;
  entries(): Returned<Entry>;
}

const test = base.extend<{ book: (site: string) => Promise<Page> }>({
  /** Opens a site that is connected to the node with the guestbook. */
  book: async ({ browse, connect, server }, use) => {
    const browser = await browse();
    await use((site) => connect(browser, site, server.url("guestbook").slice(0, -1)));
  },
});

const sign = (page: Page, text: string): Promise<number> =>
  page.evaluate((text) => window.mine.service<Guestbook>("guestbook").sign(text), text);

const entries = (page: Page): Promise<Entry[]> =>
  page.evaluate(async () => {
    const entries = [];
    for await (const entry of window.mine.service<Guestbook>("guestbook").entries()) entries.push(entry);
    return entries;
  });

const originOf = (page: Page): string => new URL(page.url()).origin;

test("signing returns the count; a site reads its own page, and one that may see the whole node all of them", async ({ book }) => {
  // The node's operator lets a observe, and nobody else.
  const a = await book("a");
  const b = await book("b");
  expect(await entries(a)).toEqual([]);
  const before = Date.now();

  expect(await sign(a, "hello")).toBe(1);
  expect(await sign(b, "schön hier ☕")).toBe(1);
  expect(await sign(a, "again")).toBe(2);

  const at = expect.any(Number);
  const [from, other] = [originOf(a), originOf(b)];
  const all = await entries(a);
  expect(all).toEqual([
    { from, text: "hello", at },
    { from, text: "again", at },
    { from: other, text: "schön hier ☕", at },
  ]);
  expect(all.every(({ at }) => before <= at && at <= Date.now())).toBe(true);
  expect(await entries(b)).toEqual([{ from: other, text: "schön hier ☕", at }]);
});

test("a page has a hundred entries: the next takes the place of the oldest, on no page but the site's", async ({ book }) => {
  const [b, c] = [await book("b"), await book("c")];
  await sign(c, "quiet");

  const counts = await b.evaluate(async () => {
    const book = window.mine.service<Guestbook>("guestbook");
    const counts = [];
    for (let number = 1; number <= 102; number++) counts.push(await book.sign(`entry ${number}`));
    return counts.slice(-4);
  });

  expect(counts).toEqual([99, 100, 100, 100]);
  expect((await entries(b)).map(({ text }) => text)).toEqual(Array.from({ length: 100 }, (_, at) => `entry ${at + 3}`));
  expect((await entries(c)).map(({ text }) => text)).toEqual(["quiet"]);
});

test("what was signed is kept when all pages are gone and a site comes back", async ({ book }) => {
  const first = await book("a");
  await sign(first, "hello");
  const from = originOf(first);
  await first.context().newPage();
  await first.close();

  const again = await book("a");

  expect(await entries(again)).toEqual([{ from, text: "hello", at: expect.any(Number) }]);
  expect(await sign(again, "back")).toBe(2);
});

test("what isn't there, wrong arguments, and a value read as a sequence are typed errors", async ({ book }) => {
  const a = await book("a");

  const codes = await a.evaluate(async () => {
    const code = async (work: () => PromiseLike<unknown>): Promise<unknown> => {
      try {
        return await work();
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const book = window.mine.service("guestbook") as Record<string, (...args: unknown[]) => any>;
    const read = async (sequence: AsyncIterable<unknown>): Promise<void> => {
      for await (const _ of sequence);
    };
    return {
      service: await code(() => (window.mine.service("telephone")["ring"] as () => Promise<unknown>)()),
      method: await code(() => book["burn"]?.()),
      none: await code(() => book["sign"]?.()),
      number: await code(() => book["sign"]?.(7)),
      empty: await code(() => book["sign"]?.("")),
      long: await code(() => book["sign"]?.("x".repeat(501))),
      large: await code(() => book["sign"]?.("x".repeat(300_000))),
      unserialisable: await code(() => book["sign"]?.(1n)),
      nothing: await code(() => read(window.mine.service("guestbook")["sign"]?.("fine") as AsyncIterable<unknown>)),
      after: await code(() => book["sign"]?.("x".repeat(500))),
    };
  });

  expect(codes).toEqual({
    service: "NotFound",
    method: "NotFound",
    none: "BadArgument",
    number: "BadArgument",
    empty: "BadArgument",
    long: "BadArgument",
    large: "TooLarge",
    unserialisable: "BadArgument",
    nothing: "Unsupported",
    after: 2,
  });
});

test("a reader that leaves early leaves the service at work", async ({ book }) => {
  const a = await book("a");
  for (const text of ["one", "two", "three"]) await sign(a, text);

  const first = await a.evaluate(async () => {
    for await (const { text } of window.mine.service<Guestbook>("guestbook").entries()) return text;
    return undefined;
  });

  expect(first).toBe("one");
  expect((await entries(a)).map(({ text }) => text)).toEqual(["one", "two", "three"]);
});

test("many calls at once are all answered, or refused for the quota", async ({ book }) => {
  const a = await book("a");

  const outcomes = await a.evaluate(async () => {
    const book = window.mine.service<Guestbook>("guestbook");
    const calls = Array.from({ length: 100 }, (_, number) => book.sign(`entry ${number}`));
    const settled = await Promise.allSettled(calls);
    return settled.map((outcome) => (outcome.status === "fulfilled" ? "signed" : outcome.reason.code));
  });

  const signed = outcomes.filter((outcome) => outcome === "signed").length;
  expect(signed).toBeGreaterThanOrEqual(64);
  expect(outcomes.filter((outcome) => outcome !== "signed")).toEqual(Array(100 - signed).fill("Quota"));
  expect((await entries(a)).length).toBe(signed);
});
