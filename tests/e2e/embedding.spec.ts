// What pages do to the node's iframe, and to what they send: it is shown late, kept deep, taken away, loaded slowly, and given what can't be sent.
import type { Page } from "@playwright/test";
import puppeteer, { type Browser } from "puppeteer-core";

import { meet, reach } from "./support/room.ts";
import { SlowLine } from "./support/slow.ts";
import { StrictSite } from "./support/strict.ts";
import { expect, idOf, test as base } from "./support/test.ts";
import { Workers } from "./support/workers.ts";

const test = base.extend<{ prerendering: Browser }>({
  // Chromium prerenders nothing in a page that Playwright drives (`PrerenderingDisabledByDevTools`).
  prerendering: async ({}, use) => {
    const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
    const browser = await puppeteer.launch({ executablePath, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
    await use(browser);
    await browser.close();
  },
});

declare global {
  interface Window {
    /** The shadow trees' hosts and the badge's element. */
    tree: { outer: HTMLElement; inner: HTMLElement; holder: HTMLElement };
    /** The code with which reading from a stream ended. */
    reading: Promise<string>;
    /** Events of the node's, as they came. */
    fates: string[];
  }
}

test("a prerendered page connects when it is shown, however late", async ({ prerendering, server }) => {
  // It tells its site what it does: a page that isn't shown is no page for what drives the browser.
  await using site = await StrictSite.start(
    {},
    `<!doctype html><title>prerendered</title><body><script type="module">
      import { connect } from "/bitters.js";
      const tell = (what) => fetch("/told?" + what);
      if (location.pathname === "/next") {
        const timeout = 3000;
        const outcome = connect({ node: ${JSON.stringify(server.node)}, timeout }).then(() => "connected", ({ code }) => code);
        if (document.prerendering) setTimeout(() => tell("waits"), timeout + 1000);
        const shown = outcome.then((outcome) => tell(outcome + (performance.getEntriesByType("navigation")[0].activationStart > 0 ? "-late" : "")));
      }
    </script>`,
  );
  const page = await prerendering.newPage();
  await page.goto(site.url("prerendering"));
  await page.evaluate(() => {
    const rules = document.createElement("script");
    rules.type = "speculationrules";
    rules.textContent = JSON.stringify({ prerender: [{ source: "list", urls: ["/next"], eagerness: "immediate" }] });
    document.head.append(rules);
  });
  await expect.poll(() => site.told, { timeout: 40_000 }).toEqual(["waits"]);

  await page.evaluate(() => void (location.href = "/next"));

  await expect.poll(() => site.told, { timeout: 40_000 }).toEqual(["waits", "connected-late"]);
});

for (const late of [false, true])
  for (const which of ["outer", "inner", "holder"] as const)
    test(`a badge in a shadow tree within another${late ? ", which came after connect()" : ""}: what ends and what goes on when its ${which} element is taken away and put back`, async ({
      browse,
      connect,
      server,
      visit,
    }) => {
      const browser = await browse();
      const [a, b] = [await visit(browser, "a"), await connect(browser, "b")];
      await a.evaluate(
        async ({ node, late }) => {
          const [outer, inner, holder] = ["div", "div", "div"].map((name) => document.createElement(name)) as [HTMLElement, HTMLElement, HTMLElement];
          window.tree = { outer, inner, holder };
          document.body.append(outer);
          outer.attachShadow({ mode: "closed" }).append(inner);
          const root = inner.attachShadow({ mode: "closed" });
          if (!late) root.append(holder);
          const connecting = window.sdk.connect({ node, badge: holder });
          if (late) root.append(holder);
          window.mine = await connecting;
        },
        { node: server.node, late },
      );
      await watchFate(a);
      await meet("deep", a, b);
      await readFrom(a, await servedBy(b, a));

      await a.evaluate((which) => {
        const element = window.tree[which];
        const parent = element.parentNode as ParentNode;
        element.remove();
        window.reading.then(() => parent.append(element));
      }, which);

      expect(await a.evaluate(() => window.reading)).toBe("LeaderLost");
      await expect.poll(() => a.evaluate(() => window.fates)).toEqual(["gone", "back"]);
      await hearsAgain(a, b, "deep", "still here");
    });

test("a page that swaps its body has the iframe back by itself, three times a minute; then the site is told, and revives it", async ({ browse, connect }) => {
  const browser = await browse();
  const [a, b] = [await connect(browser, "a"), await connect(browser, "b")];
  await watchFate(a);
  await meet("swapped", a, b);

  for (let time = 1; time <= 3; time++) {
    await swapBody(a);
    await hearsAgain(a, b, "swapped", `time ${time}`);
    await expect(a.locator("body > iframe")).toHaveCount(1);
  }
  expect(await a.evaluate(() => window.fates)).toEqual([]);

  await swapBody(a);
  await expect.poll(() => a.evaluate(() => window.fates)).toEqual(["gone"]);
  await expect(a.locator("iframe")).toHaveCount(0);

  await a.evaluate(() => window.mine.revive());
  await expect.poll(() => a.evaluate(() => window.fates)).toEqual(["gone", "back"]);
  await hearsAgain(a, b, "swapped", "revived");

  const holder = await a.evaluateHandle(() => {
    const holder = document.createElement("div");
    document.body.append(holder);
    window.mine.revive(holder);
    return holder;
  });
  await hearsAgain(a, b, "swapped", "moved");
  await holder.evaluate((holder) => holder.remove());
  await expect.poll(() => a.evaluate(() => window.fates)).toEqual(["gone", "back", "gone"]);
});

test("what can't be sent is refused by name, and what another realm made arrives", async ({ browse, connect }) => {
  const browser = await browse();
  const [a, b] = [await connect(browser, "a"), await connect(browser, "b")];
  await meet("data", a, b);
  const said = await a.evaluate(async () => {
    const bytes = new Uint8Array(8);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    type Resizable = ArrayBuffer & { resize(length: number): void };
    const buffer = new (ArrayBuffer as unknown as new (length: number, options: object) => Resizable)(8, { maxByteLength: 8 });
    const view = new Uint8Array(buffer, 4, 4);
    buffer.resize(2);
    const values: unknown[] = [
      new Blob(["x"]),
      { files: [new File(["x"], "x")] },
      new Map(),
      [new Set()],
      new DOMException("no"),
      fetch("/"),
      document.body,
      { bytes: new Uint8Array(1) },
      "\ud83d",
      bytes,
      view,
      [Number.NaN],
    ];
    return Promise.all(
      values.map((value) => window.rooms["data"]?.topic.publish(value as never).then(
        () => "sent",
        ({ code, message }) => `${code}: ${message}`,
      )),
    );
  });
  expect(said).toEqual([
    "BadArgument: can't send a Blob",
    "BadArgument: can't send a File at files.0",
    "BadArgument: can't send a Map",
    "BadArgument: can't send a Set at 0",
    "BadArgument: can't send a DOMException",
    "BadArgument: can't send a Promise",
    "BadArgument: can't send a HTMLBodyElement",
    "BadArgument: can't send a Uint8Array at bytes",
    "BadArgument: can't send a lone surrogate",
    "BadArgument: can't send a detached buffer, or a view outside its buffer",
    "BadArgument: can't send a detached buffer, or a view outside its buffer",
    "BadArgument: can't send NaN at 0",
  ]);

  await a.evaluate(async () => {
    const iframe = document.createElement("iframe");
    document.body.append(iframe);
    const realm = iframe.contentWindow as unknown as { eval(script: string): never };
    await window.rooms["data"]?.topic.publish(realm.eval("({ list: [{ at: new Date(0) }], none: undefined })"));
  });
  const heardOf = (): Promise<unknown[]> => b.evaluate(() => window.rooms["data"]?.heard.map(({ data }) => data) ?? []);
  await expect.poll(heardOf).toEqual([{ list: [{ at: "1970-01-01T00:00:00.000Z" }] }]);
});

test("a first visit over a network of 15 KiB a second connects, unless the site gave it less time", async ({ browse, server, visit }) => {
  test.setTimeout(120_000);
  await using line = await SlowLine.to(server.port, 15 * 1024);
  const slow = `http://node.localhost:${line.port}`;
  const page = await visit(await browse(), "a");
  const took = await page.evaluate(async (node) => {
    const before = performance.now();
    window.mine = await window.sdk.connect({ node });
    return performance.now() - before;
  }, slow);
  // Else it would show nothing.
  expect(took).toBeGreaterThan(10_000);
  expect(line.passed).toBeGreaterThan(150 * 1024);
  expect(await (await Workers.of(page.context())).running(), "one worker, though it took long to load").toHaveLength(1);

  const impatient = await visit(await browse(), "a");
  const code = await impatient.evaluate((node) => window.sdk.connect({ node, timeout: 5_000 }).then(() => "connected", ({ code }) => code), slow);
  expect(code).toBe("NoNode");
});

/** Keeps the node's events. */
const watchFate = (page: Page): Promise<void> =>
  page.evaluate(() => {
    window.fates = [];
    for (const type of ["gone", "back"] as const) window.mine.addEventListener(type, () => window.fates.push(type));
  });

/** As Turbo does at each visit. */
const swapBody = (page: Page): Promise<void> => page.evaluate(() => document.body.replaceWith(document.createElement("body")));

/** Serves a stream at one page that says one byte and then nothing; resolves with its id, once the other page reaches it. */
async function servedBy(page: Page, by: Page): Promise<string> {
  await page.evaluate(() => void window.mine.serve("silence", ({ writable }) => writable.getWriter().write(new Uint8Array(1))));
  return reach(by, await idOf(page));
}

/** Opens that stream and reads until it fails. */
async function readFrom(page: Page, peer: string): Promise<void> {
  await page.evaluate(async (peer) => {
    const reader = (await window.mine.open(peer, "silence")).readable.getReader();
    await reader.read();
    window.reading = reader.read().then(
      () => "read",
      ({ code }) => code,
    );
  }, peer);
}

/** Says a text in a topic until the other page hears it: an iframe that was put back joins again when it is ready. */
async function hearsAgain(page: Page, speaker: Page, name: string, text: string): Promise<void> {
  const hears = async (): Promise<boolean> => {
    await speaker.evaluate(([name = "", text = ""]) => window.rooms[name]?.topic.publish(text), [name, text]);
    return page.evaluate(([name = "", text]) => window.rooms[name]?.heard.some(({ data }) => data === text) ?? false, [name, text] as const);
  };
  await expect.poll(hears, { timeout: 40_000 }).toBe(true);
}
