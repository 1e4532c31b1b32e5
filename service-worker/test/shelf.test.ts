import { createHash } from "node:crypto";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Build } from "../build.ts";
import { Shelf } from "../shelf.ts";
import { FakePlatform } from "./platform.ts";

const FIRST = { "/": "page 1", "/style.css": "style", "/assets/frame.1.js": "frame 1" };
const SECOND = { "/": "page 2", "/style.css": "style", "/assets/frame.2.js": "frame 2" };
const THIRD = { "/": "page 3", "/assets/frame.3.js": "frame 3" };

/** No newer build is on its way. */
const nothing = (): boolean => false;

let platform: FakePlatform;

beforeEach(() => {
  platform = new FakePlatform();
});

afterEach(() => void vi.useRealTimers());

test("a build is kept whole", async () => {
  await install("one", FIRST);

  expect(platform.has("bitters/build/one")).toEqual({ ...FIRST, "/bitters:turn": "0" });
});

test("what is kept are the bytes, with the headers that say what they are", async () => {
  const page = new Response("page 1", {
    headers: { "content-security-policy": "default-src 'none'", "content-type": "text/html", "content-encoding": "br", "content-length": "3" },
  });
  const shelf = await install("one", FIRST, { "/": page });

  const kept = await shelf.find("/");
  expect([...(kept?.headers ?? [])]).toEqual([["content-security-policy", "default-src 'none'"], ["content-type", "text/html"]]);
  expect(await kept?.text()).toBe("page 1");
});

test("an answer that came by a redirect is kept as one that didn't: browsers refuse the other as a document", async () => {
  const redirected = new Response("page 1");
  Object.defineProperties(redirected, { redirected: { value: true }, clone: { value: () => redirected } });
  const shelf = await install("one", FIRST, { "/": redirected });

  expect((await shelf.find("/"))?.redirected).toBe(false);
});

for (const [what, served, says] of [
  ["missing", undefined, "/assets/frame.1.js is missing (status 404)"],
  ["of another build", "frame 2", "/assets/frame.1.js isn't what was built"],
  ["an error that looks like it", new Response("frame 1", { status: 500 }), "/assets/frame.1.js is missing (status 500)"],
] as const) {
  test(`one file is ${what}: nothing is kept`, async () => {
    platform.served = { ...FIRST };
    if (served === undefined) delete platform.served["/assets/frame.1.js"];
    else platform.served["/assets/frame.1.js"] = served;

    await expect(shelfOf("one", FIRST).fill()).rejects.toThrow(says);
    expect([...platform.kept.keys()]).toEqual([]);
  });
}

test("one file never comes: after a minute nothing is kept", async () => {
  vi.useFakeTimers();
  platform.served = { ...FIRST, "/style.css": "never" };
  const filling = shelfOf("one", FIRST).fill();
  const failed = expect(filling).rejects.toThrow("/style.css can't be loaded: the server takes too long");

  await vi.advanceTimersByTimeAsync(60_000);
  await failed;
  expect([...platform.kept.keys()]).toEqual([]);
});

test("what the browser has in its own cache is taken if it is right, and asked for again if it isn't", async () => {
  platform.stale = { "/": "page 0", "/style.css": "style" };
  await install("one", FIRST);

  expect(platform.asked.toSorted()).toEqual(["/", "/assets/frame.1.js"]);
  expect(platform.has("bitters/build/one")).toMatchObject(FIRST);
});

test("what an earlier attempt left half done is begun anew, and what is whole isn't", async () => {
  const cache = await platform.caches.open("bitters/build/one");
  await cache.put("/style.css", new Response("half a st"));
  await install("one", FIRST);
  expect(platform.has("bitters/build/one")).toMatchObject(FIRST);

  platform.asked.length = 0;
  await install("one", FIRST);
  expect(platform.asked).toEqual([]);
});

test("a new build that waits changes nothing for the old one; taken in use, it finds both", async () => {
  const first = await install("one", FIRST);
  await first.take(nothing);
  const second = await install("two", SECOND);
  expect(await textOf(first, "/")).toBe("page 1");
  expect(await textOf(first, "/assets/frame.2.js")).toBe(undefined);

  await second.take(nothing);
  expect(await textOf(second, "/")).toBe("page 2");
  expect(await textOf(second, "/assets/frame.1.js")).toBe("frame 1");
  expect(await textOf(second, "/assets/frame.3.js")).toBe(undefined);
});

test("the build before stays and older ones go, and so does one that was never in use; other caches aren't ours", async () => {
  await platform.caches.open("another's");
  for (const [id, files] of [["one", FIRST], ["two", SECOND]] as const) await (await install(id, files)).take(nothing);
  await install("skipped", FIRST);
  await (await install("three", THIRD)).take(nothing);

  expect([...platform.kept.keys()]).toEqual(["another's", "bitters/build/two", "bitters/build/three"]);
});

test("back to the build before: nothing is loaded, and the newer one is now before", async () => {
  await (await install("one", FIRST)).take(nothing);
  await (await install("two", SECOND)).take(nothing);
  platform.asked.length = 0;
  const again = await install("one", FIRST);
  await again.take(nothing);
  expect(platform.asked).toEqual([]);
  await (await install("three", THIRD)).take(nothing);

  expect([...platform.kept.keys()]).toEqual(["bitters/build/one", "bitters/build/three"]);
});

test("a build that comes while another is taken in use stays", async () => {
  await (await install("one", FIRST)).take(nothing);
  const second = await install("two", SECOND);
  const third = await install("three", THIRD);
  await second.take(() => true);
  expect([...platform.kept.keys()]).toEqual(["bitters/build/one", "bitters/build/two", "bitters/build/three"]);

  await third.take(nothing);
  expect(await textOf(third, "/")).toBe("page 3");
  expect([...platform.kept.keys()]).toEqual(["bitters/build/two", "bitters/build/three"]);
});

test("a build whose cache is taken away while it is filled isn't kept", async () => {
  platform.served = { ...FIRST };
  const filling = shelfOf("one", FIRST).fill();
  while (platform.asked.length === 0) await Promise.resolve();
  await platform.caches.delete("bitters/build/one");

  await expect(filling).rejects.toThrow("the cache was taken away meanwhile");
  expect([...platform.kept.keys()]).toEqual([]);
});

test("half a build is never found, even as the one before", async () => {
  const cache = await platform.caches.open("bitters/build/half");
  await cache.put("/assets/frame.2.js", new Response("frame 2"));
  const first = await install("one", FIRST);
  await first.take(nothing);

  expect(await textOf(first, "/assets/frame.2.js")).toBe(undefined);
});

test("data: the network's word, and without the network the last one", async () => {
  const shelf = shelfOf("one", FIRST);
  await expect(latest(shelf, "/seeds.json")).resolves.toMatch(/^There is no such file/);
  platform.served = { "/seeds.json": '{"seeds":[1]}' };
  expect(await latest(shelf, "/seeds.json")).toBe('{"seeds":[1]}');
  platform.served = { "/seeds.json": '{"seeds":[2]}' };
  expect(await latest(shelf, "/seeds.json")).toBe('{"seeds":[2]}');

  for (const broken of ["<h1>Welcome to the hotel</h1>", new Response("{}", { status: 503 }), Response.error()]) {
    platform.served = { "/seeds.json": broken };
    expect(await latest(shelf, "/seeds.json")).toBe('{"seeds":[2]}');
  }
});

test("data: what was read before there was anybody to keep it is read again, as far as it can be", async () => {
  platform.served = { "/seeds.json": '{"seeds":[1]}' };
  const shelf = shelfOf("one", FIRST);
  await shelf.prime();
  platform.served = { "/seeds.json": Response.error() };

  expect(await latest(shelf, "/seeds.json")).toBe('{"seeds":[1]}');
  expect(platform.has("bitters/data")).toEqual({ "/seeds.json": '{"seeds":[1]}' });
});

test("data: a build is whole without what never comes", async () => {
  vi.useFakeTimers();
  platform.served = { "/config.json": "{}", "/seeds.json": "never" };
  let isPrimed = false;
  void shelfOf("one", FIRST).prime().then(() => (isPrimed = true));

  await vi.advanceTimersByTimeAsync(9_999);
  expect(isPrimed).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(isPrimed).toBe(true);
  expect(platform.has("bitters/data")).toEqual({ "/config.json": "{}" });
});

test("data: what can't be kept counts all the same, and what was kept is no longer in force", async () => {
  platform.served = { "/config.json": '{"observe":["https://a.example"]}' };
  const shelf = shelfOf("one", FIRST);
  await latest(shelf, "/config.json");
  platform.isFull = true;
  platform.served = { "/config.json": "{}" };
  expect(await latest(shelf, "/config.json")).toBe("{}");
  expect(platform.has("bitters/data")).toEqual({});
});

test("data: a server that takes its time is waited for only as long as there is nothing else", async () => {
  vi.useFakeTimers();
  platform.served = { "/seeds.json": '{"seeds":[1]}' };
  const shelf = shelfOf("one", FIRST);
  await latest(shelf, "/seeds.json");
  platform.served = { "/seeds.json": "never" };
  let said: string | undefined;
  void latest(shelf, "/seeds.json").then((text) => (said = text));

  await vi.advanceTimersByTimeAsync(1_999);
  expect(said).toBe(undefined);
  await vi.advanceTimersByTimeAsync(1);
  expect(said).toBe('{"seeds":[1]}');
});

test("data: a configuration that was taken away is forgotten", async () => {
  platform.served = { "/config.json": '{"observe":["https://a.example"]}' };
  const shelf = shelfOf("one", FIRST);
  await latest(shelf, "/config.json");
  platform.served = {};
  expect(await latest(shelf, "/config.json")).toMatch(/^There is no such file/);

  expect(platform.has("bitters/data")).toEqual({});
});

async function install(id: string, files: Record<string, string>, served: FakePlatform["served"] = {}): Promise<Shelf> {
  platform.served = { ...files, ...served };
  const shelf = shelfOf(id, files);
  await shelf.fill();
  return shelf;
}

function shelfOf(id: string, files: Record<string, string>): Shelf {
  const hashes = Object.entries(files).map(([path, text]) => [path, createHash("sha256").update(text).digest("hex")]);
  return new Shelf(platform, { id, files: Object.fromEntries(hashes) } satisfies Build);
}

async function latest(shelf: Shelf, path: string): Promise<string> {
  return (await shelf.latest(new Request(`https://node.example.org${path}`), path, () => {})).text();
}

async function textOf(shelf: Shelf, key: string): Promise<string | undefined> {
  return (await shelf.find(key))?.text();
}
