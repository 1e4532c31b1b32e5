// The leader's database, broken in every way that a browser allows: the node goes on in memory and says so.
import type { BrowserContext, Page } from "@playwright/test";

import { quietPage, works } from "./support/alive.ts";
import { expect, idOf, statusOf, test as base } from "./support/test.ts";

/** How a test finds the database of a first visit: `a`, which observes, connected and went. */
const test = base.extend<{ visited: { browser: BrowserContext; quiet: Page; id: string } }>({
  visited: async ({ browse, connect, server }, use) => {
    const browser = await browse();
    const quiet = await quietPage(browser, server);
    const a = await connect(browser, "a");
    const id = await idOf(a);
    await a.close();
    // The leader is gone, and its connection to the database with it, when its lock is free.
    await quiet.evaluate(() => navigator.locks.request("bitters/2/leader", () => {}));
    await use({ browser, quiet, id });
  },
});

const warningsOf = async (page: Page): Promise<string[]> => (await statusOf(page)).warnings;

/** Writes into the database what the leader doesn't expect there; arrays as bytes. */
const damage = (page: Page, store: string, entries: Record<string, unknown>): Promise<void> =>
  page.evaluate(
    async ([store, entries]) => {
      const opening = indexedDB.open("bitters");
      await new Promise((resolve) => (opening.onsuccess = resolve));
      const transaction = opening.result.transaction(store, "readwrite");
      for (const [key, value] of Object.entries(entries))
        transaction.objectStore(store).put(Array.isArray(value) ? Uint8Array.from(value) : value, key);
      await new Promise((resolve) => (transaction.oncomplete = resolve));
      opening.result.close();
    },
    [store, entries] as const,
  );

test("nothing is wrong: no warning, and the node is the same at the next visit", async ({ visited: { browser, id }, connect }) => {
  const a = await connect(browser, "a");

  expect(await warningsOf(a)).toEqual([]);
  expect(await idOf(a)).toBe(id);
});

test("a database of a later version: the node goes on in memory, and says so", async ({ browse, connect, server }) => {
  const browser = await browse();
  const quiet = await quietPage(browser, server);
  await quiet.evaluate(async () => {
    const opening = indexedDB.open("bitters", 99);
    await new Promise((resolve) => (opening.onsuccess = resolve));
    opening.result.close();
  });
  const a = await connect(browser, "a");

  expect(await warningsOf(a)).toEqual([expect.stringMatching(/^nothing is kept after this session: .*version/)]);
  await works(a, await connect(browser, "b"));
});

test("a database that another tab blocks: the node goes on in memory, and says so", async ({ browse, connect, server }) => {
  const browser = await browse();
  const quiet = await quietPage(browser, server);
  await quiet.evaluate(async () => {
    const opening = indexedDB.open("bitters", 1);
    // An upgrade that never ends: each request begins the next.
    await new Promise<void>((resolve) => {
      opening.onupgradeneeded = () => {
        const store = opening.result.createObjectStore("any");
        const again = (): void => {
          store.get(1).onsuccess = again;
        };
        again();
        resolve();
      };
    });
  });
  const a = await connect(browser, "a");

  expect(await warningsOf(a)).toEqual([expect.stringMatching(/^nothing is kept after this session: .*another tab blocks it/)]);
  await works(a, await connect(browser, "b"));
});

test("a database without our stores: the node goes on in memory, and says so", async ({ browse, connect, server }) => {
  const browser = await browse();
  const quiet = await quietPage(browser, server);
  await quiet.evaluate(async () => {
    const opening = indexedDB.open("bitters", 1);
    await new Promise((resolve) => (opening.onsuccess = resolve));
    opening.result.close();
  });
  const a = await connect(browser, "a");

  const warnings = await warningsOf(a);
  expect(warnings.length).toBeGreaterThan(0);
  expect(warnings).toContainEqual(expect.stringMatching(/^nothing is kept after this session: /));
  await works(a, await connect(browser, "b"));
});

for (const [what, secret] of Object.entries({ "of another type": "secret", "too short": Array<number>(31).fill(7) })) {
  test(`a stored secret that is ${what}: a new node, which says so and stays`, async ({ visited: { browser, quiet, id }, connect }) => {
    await damage(quiet, "node", { secret });
    const a = await connect(browser, "a");
    const now = await idOf(a);

    expect(await warningsOf(a)).toEqual(["the stored secret was damaged: this is a new node"]);
    expect(now).not.toBe(id);
    await works(a, await connect(browser, "b"));

    await Promise.all(browser.pages().filter((page) => page !== quiet).map((page) => page.close()));
    const later = await connect(browser, "a");
    expect(await idOf(later)).toBe(now);
    expect(await warningsOf(later)).toEqual([]);
  });
}

test("stored epochs and seeds that are nonsense are passed over", async ({ visited: { browser, quiet, id }, connect }) => {
  await damage(quiet, "seeds", { one: "seed", two: { id: { server: 7 } }, three: null });
  for (const epoch of ["later", -5, Infinity, 1e300]) {
    await damage(quiet, "node", { epoch });
    const a = await connect(browser, "a");

    expect(await idOf(a)).toBe(id);
    const { leader, seeds } = await statusOf(a);
    expect(leader?.epoch).toBeLessThan(2 ** 53);
    expect(seeds).toBe(1);
    await a.close();
    await quiet.evaluate(() => navigator.locks.request("bitters/2/leader", () => {}));
  }
});

test("a leader whose IndexedDB throws, or is missing, goes on in memory and says so", async ({ browse, connect }) => {
  for (const breakage of [
    "indexedDB.open = () => { throw new DOMException('the disk is on fire', 'UnknownError'); };",
    "Object.defineProperty(globalThis, 'indexedDB', { value: undefined });",
  ]) {
    // Requests of a SharedWorker don't pass here; those of the fallback's worker do.
    // Without service workers nobody else asks for that script, when the test is over and its server gone.
    const browser = await browse({ init: "delete window.SharedWorker; delete Navigator.prototype.serviceWorker;" });
    await browser.route(/\/assets\/dedicated\.\w+\.js$/, async (route) => {
      // Node's resolver doesn't know the browser's loopback names.
      const { host, hostname } = new URL(route.request().url());
      const url = route.request().url().replace(hostname, "127.0.0.1");
      const response = await route.fetch({ url, headers: { ...route.request().headers(), host } });
      await route.fulfill({ response, body: `if (!("document" in globalThis)) { ${breakage} }\n${await response.text()}` });
    });
    const a = await connect(browser, "a");

    expect((await statusOf(a)).leader?.kind).toBe("dedicated");
    // Such a worker has a warning about the rendezvous, too: the browser takes a script that came by way of a test for a public one.
    expect(await warningsOf(a)).toContainEqual(expect.stringMatching(/^nothing is kept after this session: /));
    await works(a, await connect(browser, "a"));
  }
});
