// Documents that have no URL of a site's: those that inherit a site's origin are that site, and those of no origin are told why they have no node.
import * as firefox from "./support/firefox.ts";
import { enter, hearsOnly } from "./support/room.ts";
import type { Scripted } from "./support/scripted.ts";
import { bringSdk, chromium, connect, type Driven, enlist, type Tab } from "./support/tab.ts";
import { expect, idOf, test as base } from "./support/test.ts";

/** Opens a browser; closed after the test. */
const test = base.extend<{ drive: (open: () => Promise<Driven>) => Promise<Driven> }>({
  drive: async ({}, use) => {
    const opened: Driven[] = [];
    await use(async (open) => {
      const browser = await open();
      opened.push(browser);
      return browser;
    });
    await Promise.all(opened.map((browser) => browser.close()));
  },
});

declare global {
  interface Window {
    /** The documents that a page has opened, in their order. */
    opened: { eval(script: string): unknown }[];
  }
}

/** A document, and where it is opened. */
interface Opening {
  readonly place: "iframe" | "popup";
  readonly what: "about:blank" | "blob" | "data" | "srcdoc";
  readonly sandbox?: string;
}

const INHERITING: readonly Opening[] = [
  { place: "iframe", what: "about:blank" },
  { place: "iframe", what: "srcdoc" },
  { place: "iframe", what: "blob" },
  { place: "popup", what: "about:blank" },
  { place: "popup", what: "blob" },
];

const OPAQUE: readonly Opening[] = [
  { place: "iframe", what: "data" },
  { place: "iframe", what: "srcdoc", sandbox: "allow-scripts" },
  { place: "iframe", what: "blob", sandbox: "allow-scripts" },
];

const BROWSERS = [
  { name: "Chromium", open: () => chromium(), missing: undefined },
  { name: "Firefox", open: () => firefox.open(), missing: firefox.missing },
];

for (const { name, open, missing } of BROWSERS) {
  test(`${name}: a document that inherits a site's origin is that site, in an iframe and in a popup`, async ({ drive, server }) => {
    test.skip(missing !== undefined, missing);
    const page = await connect(await drive(open), server, "a");

    for (const opening of INHERITING)
      await test.step(`${opening.place} of ${opening.what}`, async () => {
        const topic = `${opening.place} of ${opening.what}`;
        const inner = await Inner.open(page, opening);
        await bringSdk(inner, server);
        await enlist(inner, server.node);
        expect(await inner.evaluate(() => document.querySelectorAll("iframe").length)).toBe(1);
        expect(await idOf(inner)).toBe(await idOf(page));
        for (const each of [page, inner]) await enter(each, topic);
        await hearsOnly(inner, page, topic, "from the page");
        await hearsOnly(page, inner, topic, "from within");
      });
  });

  test(`${name}: a document of no origin is told that it has none`, async ({ drive, server }) => {
    test.skip(missing !== undefined, missing);
    const page = await connect(await drive(open), server, "a");
    const { node } = server;
    const script = `import("${node}/sdk/bitters.js")
      .then(({ connect }) => connect({ node: "${node}" }))
      .then(() => "connected", ({ code, message }) => code + ": " + message)
      .then((said) => parent.postMessage({ said, iframes: document.querySelectorAll("iframe").length }, "*"))`;

    for (const opening of OPAQUE)
      await test.step(`${opening.place} of ${opening.what}`, async () => {
        expect(await openIn(page, opening, script)).toEqual({ said: expect.stringMatching(/^Unsupported: .*allow-same-origin/), iframes: 0 });
      });
  });
}

/** A document that a page has opened and that is of its origin, as a page of its own. */
class Inner implements Scripted {
  readonly #page: Tab;
  readonly #place: number;

  private constructor(page: Tab, place: number) {
    this.#page = page;
    this.#place = place;
  }

  static async open(page: Tab, opening: Opening): Promise<Inner> {
    await openIn(page, opening, '(opener ?? parent).postMessage({ said: "opened" }, "*")');
    return new Inner(page, (await page.evaluate(() => window.opened.length)) - 1);
  }

  evaluate<R, A = undefined>(act: (arg: A) => R | Promise<R>, arg?: A): Promise<R> {
    const script = `(${act})(${JSON.stringify(arg)})`;
    return this.#page.evaluate(({ place, script }) => window.opened[place]?.eval(script) as R, { place: this.#place, script });
  }
}

/** Opens a document in which the script runs, but in one that is blank; what the script tells, by a message that has `said`. */
const openIn = (page: Tab, opening: Opening, script: string): Promise<unknown> =>
  page.evaluate(
    async ({ opening: { place, what, sandbox }, script }) => {
      const html = `<!doctype html><body><script>${script}</script>`;
      const urls = {
        "about:blank": () => "about:blank",
        blob: () => URL.createObjectURL(new Blob([html], { type: "text/html" })),
        data: () => `data:text/html,${encodeURIComponent(html)}`,
        srcdoc: () => "about:srcdoc",
      };
      const told = new Promise((resolve) => addEventListener("message", ({ data }) => data.said && resolve(data)));
      const url = urls[what]();
      let inner: Window | null;
      if (place === "popup") inner = window.open(url);
      else {
        const iframe = document.createElement("iframe");
        if (sandbox !== undefined) iframe.sandbox.value = sandbox;
        if (what === "srcdoc") iframe.srcdoc = html;
        else iframe.src = url;
        inner = document.body.appendChild(iframe).contentWindow;
      }
      (window.opened ??= []).push(inner as Window & typeof globalThis);
      return what === "about:blank" ? undefined : told;
    },
    { opening, script },
  );
