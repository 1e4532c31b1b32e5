// Host pages that are strict: each works, or `connect()` says which header or attribute is in the way.
import type { BrowserContext, Page } from "@playwright/test";
import type { OutgoingHttpHeaders } from "node:http";

import { works } from "./support/alive.ts";
import { keptFor } from "./support/kept.ts";
import { StrictSite } from "./support/strict.ts";
import { expect, test as base } from "./support/test.ts";

const test = base.extend<{ strict: (headers: OutgoingHttpHeaders) => Promise<StrictSite> }>({
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
  test(`a host with ${what}: works, from the network and from what is kept`, async ({ browse, server, strict }) => {
    const site = await strict(withNode(headers, server.node));
    const browser = await browse();
    const a = await open(browser, site);
    expect(await tryTo(a, server.node, `${server.node}/sdk/bitters.js`)).toBe("connected");
    await keptFor(a, server);

    const b = await open(browser, site);
    expect(await tryTo(b, server.node, `${server.node}/sdk/bitters.js`)).toBe("connected");
    expect(await b.evaluate(() => crossOriginIsolated)).toBe(COEP in headers && COOP in headers);
    await works(a, b);
  });
}

test("a host whose CSP allows no scripts but its own: works with an SDK of its own", async ({ browse, server, strict }) => {
  const site = await strict({ [CSP]: `default-src 'none'; script-src 'self'; frame-src ${server.node}` });
  const page = await open(await browse(), site);

  expect(await tryTo(page, server.node, `${server.node}/sdk/bitters.js`)).toMatch(/^no SDK: TypeError/);
  expect(await tryTo(page, server.node, site.url("a", "/bitters.js"))).toBe("connected");
});

/** What hosts say that keeps a node out, and what `connect()` says then. */
const REFUSED: Record<string, { headers?: OutgoingHttpHeaders; sandbox?: string; says: RegExp }> = {
  "a CSP that doesn't name the node": { headers: { [CSP]: "script-src 'self'; frame-src 'none'" }, says: /^Unsupported: .*frame-src/ },
  "a CSP that only has a default": { headers: { [CSP]: "default-src 'self'" }, says: /^Unsupported: .*frame-src/ },
  "a sandbox by CSP that takes its origin": { headers: { [CSP]: "sandbox allow-scripts" }, says: /^Unsupported: .*sandbox.*allow-same-origin/ },
  "a sandboxed iframe without an origin": { sandbox: "allow-scripts", says: /^Unsupported: .*sandbox.*allow-same-origin/ },
  "a sandboxed iframe without scripts": { sandbox: "allow-same-origin", says: /^Unsupported: .*sandbox.*allow-scripts/ },
};

for (const [what, { headers = {}, sandbox, says }] of Object.entries(REFUSED)) {
  test(`a host with ${what}: connect() says so`, async ({ browse, server, strict }) => {
    const site = await strict(headers);
    const browser = await browse(sandbox === undefined ? {} : { init: sandboxing(sandbox) });
    const page = await open(browser, site);

    expect(await tryTo(page, server.node, site.url("a", "/bitters.js"))).toMatch(says);
    // It isn't left in the page.
    expect(await page.locator("iframe").count()).toBe(0);
  });
}

const withNode = (headers: OutgoingHttpHeaders, node: string): OutgoingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value).replaceAll("NODE", node)]));

async function open(browser: BrowserContext, site: StrictSite): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(site.url("a"));
  return page;
}

/** Connects with the SDK from a URL; says what came of it. */
const tryTo = (page: Page, node: string, sdk: string): Promise<string> =>
  page.evaluate(
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
