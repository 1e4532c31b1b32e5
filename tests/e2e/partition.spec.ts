// What the suite stands on: browsers that partition storage by the embedding site, and refuse edited local descriptions. All
// other tests depend on these (playwright.config.ts), so the suite doesn't run where they fail.
import type { Frame, Page } from "@playwright/test";

import { expect, test } from "./support/test.ts";

/** What each kind of storage says of who was there before. */
type Seen = Record<"database" | "local" | "locks" | "worker", string[]>;

declare global {
  interface Window {
    /** A BroadcastChannel, and the names that were called in it. */
    calls: { channel: BroadcastChannel; heard: string[] };
  }
}

test("storage is partitioned: a frame meets frames of its own site only, and not the first-party page", async ({ browse, server }) => {
  const browser = await browse();
  const embedded = async (site: string): Promise<Frame> => frameIn(await open(browser.newPage(), server.url(site)), server.url("c"));
  const contexts: Record<string, Frame> = {
    a1: await embedded("a"),
    a2: await embedded("a"),
    b: await embedded("b"),
    own: (await open(browser.newPage(), server.url("c"))).mainFrame(),
  };

  const seen: Record<string, Seen> = {};
  for (const [name, frame] of Object.entries(contexts)) seen[name] = await frame.evaluate(signIn, name);

  const alone: Seen = { database: [], local: [], locks: [], worker: [] };
  const second: Seen = { database: ["a1"], local: ["a1"], locks: ["a1"], worker: ["a1"] };
  expect(seen).toEqual({ a1: alone, a2: second, b: alone, own: alone });

  for (const frame of Object.values(contexts)) await frame.evaluate(listen);
  // Those who must not be heard call first: where the last call arrived, theirs would have.
  for (const name of ["own", "b", "a1", "a2"]) await contexts[name]?.evaluate((name) => window.calls.channel.postMessage(name), name);
  await Promise.all(["a1", "a2"].map((name) => contexts[name]?.waitForFunction(() => window.calls.heard.length > 0)));

  const heard: Record<string, string[]> = {};
  for (const [name, frame] of Object.entries(contexts)) heard[name] = await frame.evaluate(() => window.calls.heard);
  expect(heard).toEqual({ a1: ["a2"], a2: ["a1"], b: [], own: [] });
});

test("the field trial is in force: a local description that was edited is refused", async ({ browse, server }) => {
  const page = await open((await browse()).newPage(), server.url("c"));

  const outcomes = await page.evaluate(async () => {
    const describe = async (edit: (sdp: string) => string): Promise<string> => {
      const connection = new RTCPeerConnection();
      connection.createDataChannel("any");
      const { type, sdp = "" } = await connection.createOffer();
      const outcome = await connection.setLocalDescription({ type, sdp: edit(sdp) }).then(() => "taken", ({ name }) => String(name));
      connection.close();
      return outcome;
    };
    return [await describe((sdp) => sdp), await describe((sdp) => sdp.replace(/a=ice-ufrag:.*/g, "a=ice-ufrag:edited"))];
  });

  expect(outcomes).toEqual(["taken", "InvalidModificationError"]);
});

async function open(opening: Promise<Page>, url: string): Promise<Page> {
  const page = await opening;
  await page.goto(url);
  return page;
}

async function frameIn(page: Page, url: string): Promise<Frame> {
  await page.evaluate(async (src) => {
    const iframe = document.createElement("iframe");
    iframe.src = src;
    document.body.append(iframe);
    await new Promise((resolve) => iframe.addEventListener("load", resolve));
  }, url);
  const frame = page.frames().find((frame) => frame.url() === url);
  if (!frame) throw new Error(`no frame of ${url}`);
  return frame;
}

/** In a page: leaves its name with every kind of storage, and returns the names that were there. */
async function signIn(name: string): Promise<Seen> {
  const before = (stored: string | null): string[] => stored?.split(" ") ?? [];
  const local = before(localStorage.getItem("names"));
  localStorage.setItem("names", [...local, name].join(" "));

  const opened = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const opening = indexedDB.open("names", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("names");
  const names = (await opened(opening)).transaction("names", "readwrite").objectStore("names");
  const database = (await opened(names.getAllKeys())) as string[];
  await opened(names.put(true, name));

  const worker = new SharedWorker("/roll.js");
  worker.port.postMessage(name);
  const inWorker = await new Promise<string[]>((resolve) => (worker.port.onmessage = ({ data }) => resolve(data)));

  const { held = [] } = await navigator.locks.query();
  const locks = held.flatMap((lock) => lock.name ?? []);
  await new Promise((granted) => void navigator.locks.request(name, () => (granted(null), new Promise(() => {}))));

  return { database, local, locks, worker: inWorker };
}

/** In a page: writes down what is called in a BroadcastChannel. */
function listen(): void {
  const channel = new BroadcastChannel("names");
  const heard: string[] = [];
  channel.onmessage = ({ data }) => heard.push(data);
  window.calls = { channel, heard };
}
