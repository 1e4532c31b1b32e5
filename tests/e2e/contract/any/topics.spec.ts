// Topics: what is said, who hears it, who is there, and what they show of themselves.
import type { Json } from "@bitters/host-sdk";

import { enter, heard, moves, present, say } from "../../support/room.ts";
import type { Scripted } from "../../support/scripted.ts";
import { idOf } from "../../support/test.ts";
import { expect, missed, test } from "../test.ts";

test("each message arrives once, in order, under its sender's id, and never at its sender's", async ({ a, b }) => {
  await together("lobby", a, b);

  const texts = Array.from({ length: 20 }, (_, at) => `message ${at}`);
  await Promise.all([a, b].map(async (page, who) => {
    for (const text of texts) await say(page, "lobby", { who, text });
  }));
  // The last word of each side: whatever came twice has come by now.
  await say(a, "lobby", "last");
  await say(b, "lobby", "last");

  for (const [page, other, who] of [[a, b, 1], [b, a, 0]] as const) {
    const from = await idOf(other);
    const expected = [...texts.map((text) => ({ from, data: { who, text } as unknown })), { from, data: "last" }];
    await expect.poll(() => heard(page, "lobby")).toEqual(expected);
  }
});

test("a topic's messages go only to those who are in it, and have one id for all", async ({ a, b, more }) => {
  const third = await more("b");
  await together("kitchen", a, b, third);
  await enter(a, "cellar");

  await say(a, "cellar", "for nobody");
  await say(a, "kitchen", { for: "you", deep: [1, null, "ß"] });

  const ids = [];
  for (const tab of [b, third]) {
    await expect.poll(() => heard(tab, "kitchen")).toEqual([{ from: await idOf(a), data: { for: "you", deep: [1, null, "ß"] } }]);
    ids.push(await tab.evaluate(() => window.rooms["kitchen"]?.heard[0]?.id));
  }
  expect(ids).toEqual([expect.any(String), ids[0]]);
});

test("who doesn't know a topic's secret is in another, and hears nothing of it", async ({ a, b, more }) => {
  const [guesses, knowsName] = [await more("b"), await more("a")];
  await enter(a, "vault", "ß");
  await enter(b, "vault", [0xc3, 0x9f]);
  await enter(guesses, "vault", "ss");
  await enter(knowsName, "vault");
  await expect.poll(async () => {
    await say(a, "vault", "psst");
    return heard(b, "vault");
  }).toContainEqual({ from: await idOf(a), data: "psst" });
  await say(b, "vault", "here");
  await expect.poll(() => heard(a, "vault")).toContainEqual({ from: await idOf(b), data: "here" });
  for (const stranger of [guesses, knowsName]) {
    expect([await heard(stranger, "vault"), await present(stranger, "vault")]).toEqual([[], []]);
  }
});

test("bytes and text arrive as the kinds that were sent", async ({ a, b }) => {
  await together("kinds", a, b);
  await a.evaluate(async () => {
    const topic = window.rooms["kinds"]?.topic;
    await topic?.publish(new Uint8Array([0, 128, 255]));
    await topic?.publish("text");
  });
  const kinds = (): Promise<unknown[]> =>
    b.evaluate(() => (window.rooms["kinds"]?.heard ?? []).map(({ data }) => (data instanceof Uint8Array ? [...data] : data)));
  await expect.poll(kinds).toEqual([[0, 128, 255], "text"]);
});

test("who enters a topic and who leaves it is told once: by leaving, and by closing the tab", async ({ a, b, here, more }) => {
  const [idA, idB] = [await idOf(a), await idOf(b)];
  // Tabs of one site are one persona, which doesn't meet itself.
  const strangers = idA !== idB;
  const tab = await more("b");
  await together("door", a, tab);
  // A persona is there as long as one of its tabs is.
  await enter(b, "door");
  await expect.poll(() => present(b, "door")).toEqual(strangers ? [idA] : []);
  await tab.close();
  await b.evaluate(() => window.rooms["door"]?.topic.leave());
  await expect.poll(() => present(a, "door"), missed(here)).toEqual([]);

  expect(await moves(a, "door")).toEqual(strangers ? [`+${idB}`, `-${idB}`] : []);
});

test("what a page shows of itself is seen by all, by who comes later, and no longer when it has left", async ({ a, b, more }) => {
  const id = await idOf(a);
  await together("hall", a, b);
  await b.evaluate(() => {
    const { topic, moves } = window.rooms["hall"]!;
    topic.addEventListener("presence", ({ detail }) => moves.push(`=${detail}`));
  });
  await show(a, { typing: true });
  await expect.poll(() => shown(b, id)).toEqual({ typing: true });
  expect((await moves(b, "hall")).at(-1)).toBe(`=${id}`);

  const late = await more("b");
  await enter(late, "hall");
  await expect.poll(() => shown(late, id)).toEqual({ typing: true });
  for (const value of [[1, null, "ß"], "x".repeat(4094)]) {
    await show(a, value);
    for (const tab of [b, late]) await expect.poll(() => shown(tab, id)).toEqual(value);
  }
  expect(await show(a, "x".repeat(4095)).then(() => "shown", String)).toContain("TooLarge");

  await a.evaluate(() => window.rooms["hall"]?.topic.leave());
  for (const tab of [b, late]) await expect.poll(() => shown(tab, id)).toBe(null);
});

const show = (tab: Scripted, value: unknown): Promise<void> =>
  tab.evaluate((value) => window.rooms["hall"]!.topic.presence.set(value as Json).catch(({ code }) => Promise.reject(new Error(code))), value);

/** `null` for nothing. */
const shown = (tab: Scripted, id: string): Promise<unknown> => tab.evaluate((id) => window.rooms["hall"]?.topic.presence.get(id) ?? null, id);

/** All of them enter, and who isn't of their own persona is seen there by each. */
async function together(name: string, ...tabs: Scripted[]): Promise<void> {
  const ids = await Promise.all(tabs.map(idOf));
  await Promise.all(tabs.map((tab) => enter(tab, name)));
  for (const [at, tab] of tabs.entries()) {
    const others = [...new Set(ids.filter((id) => id !== ids[at]))].sort();
    await expect.poll(() => present(tab, name), { message: `who is in ${name}` }).toEqual(others);
  }
}
