// Meeting as a test sees it: what each site heard in a topic, who came and went, and who can be reached.
import type { Data, Message, Topic } from "@bitters/host-sdk";

import type { Scripted } from "./scripted.ts";
import { expect, idOf } from "./test.ts";

interface Room {
  readonly topic: Topic;
  /** All that was heard. */
  readonly heard: Message[];
  /** `+id` for who came, `-id` for who went. */
  readonly moves: string[];
}

declare global {
  interface Window {
    /** The topics that the site has entered, by their names. */
    rooms: Record<string, Room>;
  }
}

/** Joins a topic, whose secret may be a text or bytes, and keeps what happens there. */
export async function enter(page: Scripted, name: string, secret?: string | number[]): Promise<void> {
  await page.evaluate(async ([name, secret]) => {
    const topic = await window.mine.join(name, { secret: Array.isArray(secret) ? new Uint8Array(secret) : (secret ?? undefined) });
    const room: Room = { topic, heard: [], moves: topic.peers.map((peer) => `+${peer}`) };
    (window.rooms ??= {})[name] = room;
    topic.addEventListener("peerjoin", ({ detail }) => room.moves.push(`+${detail}`));
    topic.addEventListener("peerleave", ({ detail }) => room.moves.push(`-${detail}`));
    void (async () => {
      for await (const message of topic) room.heard.push(message);
    })();
  }, [name, secret] as const);
}

/** All of them enter, and see one another there. */
export async function meet(name: string, ...pages: Scripted[]): Promise<void> {
  const ids = await Promise.all(pages.map(idOf));
  await Promise.all(pages.map((page) => enter(page, name)));
  for (const [at, page] of pages.entries()) {
    const others = ids.filter((_, other) => other !== at).sort();
    await expect.poll(() => present(page, name), { message: `who is in ${name}` }).toEqual(others);
  }
}

/** Dials a persona until its node has registered it: `connect()` doesn't wait for the rendezvous. Returns its id. */
export async function reach(page: Scripted, id: string): Promise<string> {
  const dial = (): Promise<string> => page.evaluate((id) => window.mine.dial(id).catch(({ code }) => code), id);
  await expect.poll(dial, { message: `dialling ${id}`, timeout: 40_000 }).toBe(id);
  return id;
}

/** Has two sites accept each other, by a call: they are connected directly then, and need no server for that. Returns the other's id. */
export async function befriend(page: Scripted, other: Scripted): Promise<string> {
  const [own, peer] = [await page.evaluate(() => window.mine.id), await other.evaluate(() => window.mine.id)];
  await other.evaluate(() => void window.mine.answer("befriend", () => true));
  await reach(page, peer);
  await page.evaluate((peer) => window.mine.call(peer, "befriend", null), peer);
  for (const [at, to] of [[page, peer], [other, own]] as const) {
    const path = (): Promise<string | undefined> =>
      at.evaluate(async (to) => (await window.mine.status()).peers.find(({ id }) => id === to)?.path, to);
    await expect.poll(path, { message: `the path to ${to}` }).toBe("direct");
  }
  return peer;
}

/** Who else is in the topic. */
export const present = (page: Scripted, name: string): Promise<string[]> =>
  page.evaluate((name) => (window.rooms[name]?.topic.peers ?? []).toSorted(), name);

/** Says a JSON value in the topic. */
export const say = (page: Scripted, name: string, data: unknown): Promise<void> =>
  page.evaluate(([name, data]) => window.rooms[name as string]?.topic.publish(data as Data), [name, data]);

/** What was heard so far, without the messages' ids. */
export const heard = (page: Scripted, name: string): Promise<{ from: string; data: unknown }[]> =>
  page.evaluate((name) => (window.rooms[name]?.heard ?? []).map(({ from, data }) => ({ from, data })), name);

/** One says a text in the topic, and the other has heard it then and nothing else. */
export async function hearsOnly(page: Scripted, speaker: Scripted, name: string, text: string): Promise<void> {
  await say(speaker, name, text);
  await expect.poll(async () => (await heard(page, name)).map(({ data }) => data)).toEqual([text]);
}

/** Who came and went so far. */
export const moves = (page: Scripted, name: string): Promise<string[]> =>
  page.evaluate((name) => window.rooms[name]?.moves ?? [], name);
