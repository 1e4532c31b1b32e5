// Host pages that are strict: each works, or `connect()` says which header or attribute is in the way, whatever a browser's reports are like.
import type { OutgoingHttpHeaders } from "node:http";

import { press } from "./support/consent.ts";
import * as firefox from "./support/firefox.ts";
import { serves } from "./support/kept.ts";
import { enter, hearsOnly } from "./support/room.ts";
import type { Server } from "./support/server.ts";
import { StrictSite } from "./support/strict.ts";
import { chromium, type Driven, type Tab } from "./support/tab.ts";
import { expect, test as base } from "./support/test.ts";

interface Fixtures {
  /** Firefox. */
  readonly fox: Driven;
  /** Chromium. */
  readonly own: Driven;
  readonly strict: Strict;
}

/** Starts a site; ended after the test. */
type Strict = (headers: OutgoingHttpHeaders) => Promise<StrictSite>;

const test = base.extend<Fixtures>({
  fox: async ({}, use) => {
    base.skip(firefox.missing !== undefined, firefox.missing);
    const browser = await firefox.open();
    await use(browser);
    await browser.close();
  },
  own: async ({}, use) => {
    const browser = await chromium();
    await use(browser);
    await browser.close();
  },
  strict: async ({}, use) => {
    const sites: StrictSite[] = [];
    await use(async (headers) => {
      const site = await StrictSite.start(headers);
      sites.push(site);
      return site;
    });
    await Promise.all(sites.map((site) => site.stop()));
  },
});

const CSP = "content-security-policy";
const COEP = "cross-origin-embedder-policy";
const COOP = "cross-origin-opener-policy";

/** What hosts say that needn't concern a node; `NODE` stands for its origin. */
const WORKS: Record<string, OutgoingHttpHeaders> = {
  "an embedder policy that requires CORP": { [COEP]: "require-corp" },
  "an embedder policy without credentials": { [COEP]: "credentialless" },
  "an opener policy": { [COOP]: "same-origin" },
  "both, so that it is isolated": { [COEP]: "require-corp", [COOP]: "same-origin" },
  "a strict CSP that names the node": { [CSP]: "default-src 'none'; script-src NODE; frame-src NODE; base-uri 'none'; require-trusted-types-for 'script'" },
  "a sandbox by CSP that leaves it its origin": { [CSP]: "sandbox allow-scripts allow-same-origin" },
};

for (const [what, headers] of Object.entries(WORKS)) {
  const title = `a host with ${what}: works, from the network and from what is kept`;
  test(title, ({ own, server, strict }) => worksWith(headers, own, server, strict));
  test(`Firefox: ${title}`, ({ fox, server, strict }) => worksWith(headers, fox, server, strict));
}

test("a host whose CSP allows no scripts but its own: works with an SDK of its own", async ({ own, server, strict }) => {
  const site = await strict({ [CSP]: `default-src 'none'; script-src 'self'; frame-src ${server.node}` });
  const tab = await own.visit(site.url("a"));

  expect(await tryTo(tab, server.node, `${server.node}/sdk/bitters.js`)).toMatch(/^no SDK: TypeError/);
  expect(await tryTo(tab, server.node, site.url("a", "/bitters.js"))).toBe("connected");
});

interface Refusal {
  headers?: OutgoingHttpHeaders;
  sandbox?: string;
  says: RegExp;
}

/** What hosts say that keeps a node out, and what `connect()` says then. */
const REFUSED: Record<string, Refusal> = {
  "a CSP that doesn't name the node": { headers: { [CSP]: "script-src 'self'; frame-src 'none'" }, says: /^Unsupported: .*frame-src/ },
  "a CSP that only has a default": { headers: { [CSP]: "default-src 'self'" }, says: /^Unsupported: .*frame-src/ },
  "a sandbox by CSP that takes its origin": { headers: { [CSP]: "sandbox allow-scripts" }, says: /^Unsupported: .*sandbox.*allow-same-origin/ },
  "a sandboxed iframe without an origin": { sandbox: "allow-scripts", says: /^Unsupported: .*sandbox.*allow-same-origin/ },
  "a sandboxed iframe without scripts": { sandbox: "allow-same-origin", says: /^Unsupported: .*sandbox.*allow-scripts/ },
};

for (const [what, refusal] of Object.entries(REFUSED)) {
  const title = `a host with ${what}: connect() says so`;
  test(title, ({ own, server, strict }) => refusedBy(refusal, own, server, strict));
  test(`Firefox: ${title}`, ({ fox, server, strict }) => refusedBy(refusal, fox, server, strict));
}

/** What keeps the badge from the page that it opens: a node works there, and can't be one for all sites. */
const CUT: Record<string, { headers?: OutgoingHttpHeaders; sandbox?: string }> = {
  "an opener policy": { headers: { [COOP]: "same-origin" } },
  "a sandboxed iframe without popups": { sandbox: "allow-scripts allow-same-origin" },
};

for (const [what, host] of Object.entries(CUT)) {
  const title = `a host with ${what}: unify() says what is in the way where the node's own page is the only way`;
  test(title, async ({ server, strict }) => {
    const browser = await chromium({ thirdPartyCookies: "blocked" });
    await cutOff(host, ["yes", "open"], browser, server, strict).finally(() => browser.close());
  });
  test(`Firefox: ${title}`, ({ fox, server, strict }) => cutOff(host, ["yes"], fox, server, strict));
}

async function cutOff({ headers = {}, sandbox }: { headers?: OutgoingHttpHeaders; sandbox?: string }, acts: string[], browser: Driven, server: Server, strict: Strict): Promise<void> {
  const [site, host] = [await strict(headers), anew()];
  const tab = await browser.visit(site.url(host), sandbox === undefined ? undefined : sandboxing(sandbox));
  expect(await tryTo(tab, server.node, site.url(host, "/bitters.js"))).toBe("connected");

  await tab.evaluate(() => {
    window.unified = window.mine.unify();
    window.unified.catch(() => {});
  });
  for (const act of acts) await press(tab, server.node, act);
  const outcome = await tab.evaluate(() => window.unified.then(String, ({ code, message }) => `${code}: ${message}`));
  expect(outcome).toMatch(/^Unsupported: .*Cross-Origin-Opener-Policy.*allow-popups/);
  expect(await tab.evaluate(() => window.mine.scope)).toBe("site");
  await tab.close();
}

async function worksWith(headers: OutgoingHttpHeaders, browser: Driven, server: Server, strict: Strict): Promise<void> {
  const url = (await strict(withNode(headers, server.node))).url(anew());
  const sdk = `${server.node}/sdk/bitters.js`;
  const a = await browser.visit(url);
  expect(await tryTo(a, server.node, sdk)).toBe("connected");
  await a.evaluateIn(server.node, serves);

  const b = await browser.visit(url);
  expect(await tryTo(b, server.node, sdk)).toBe("connected");
  expect(await b.evaluate(() => crossOriginIsolated)).toBe(COEP in headers && COOP in headers);
  for (const tab of [a, b]) await enter(tab, "strict");
  await hearsOnly(a, b, "strict", "from b");
  await Promise.all([a, b].map((tab) => tab.close()));
}

async function refusedBy({ headers = {}, sandbox, says }: Refusal, browser: Driven, server: Server, strict: Strict): Promise<void> {
  const [site, host] = [await strict(headers), anew()];
  const tab = await browser.visit(site.url(host), sandbox === undefined ? undefined : sandboxing(sandbox));

  expect(await tryTo(tab, server.node, site.url(host, "/bitters.js"))).toMatch(says);
  // It isn't left in the page.
  expect(await tab.evaluate(() => document.querySelectorAll("iframe").length)).toBe(0);
  await tab.close();
}

let hosts = 0;

/** A site of which no browser has kept anything. */
const anew = (): string => `strict-${++hosts}`;

const withNode = (headers: OutgoingHttpHeaders, node: string): OutgoingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value).replaceAll("NODE", node)]));

/** Connects with the SDK from a URL; says what came of it. */
const tryTo = (tab: Tab, node: string, sdk: string): Promise<string> =>
  tab.evaluate(
    async ([node = "", sdk = ""]) => {
      try {
        window.sdk = await import(sdk);
      } catch (error) {
        return `no SDK: ${error}`;
      }
      try {
        window.mine = await window.sdk.connect({ node, timeout: 5_000 });
        return "connected";
      } catch (error) {
        const { code, message } = error as InstanceType<typeof window.sdk.BittersError>;
        return `${code}: ${message}`;
      }
    },
    [node, sdk],
  );

/** Has every iframe of a page sandboxed, as some wrappers of sites do. */
const sandboxing = (sandbox: string): string => `{
  const create = document.createElement;
  document.createElement = function (name, ...more) {
    const element = create.call(this, name, ...more);
    if (name === "iframe") element.sandbox = ${JSON.stringify(sandbox)};
    return element;
  };
}`;
