// The node that the person prefers: `web+overlay:connect`, or else the fallback.

import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type ConnectOptions, connect } from "../src/index.js";
import { ALICE, FakeFrame, NODE, failing, settled } from "./frame.js";
import { type FakeIframe, page } from "./page.js";

const PREFERRED = "web+overlay:connect";
const OTHER = "https://other.example";

// So that it is there when it is wanted: a module takes as long as it takes.
beforeAll(() => import("../src/rare.js"));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});

afterEach(() => {
  vi.useRealTimers();
  page.clear();
});

/** Connects, and waits until something is shown. */
async function sought(options: ConnectOptions): Promise<{ connecting: ReturnType<typeof connect>; iframe: FakeIframe; frame: FakeFrame }> {
  const connecting = connect(options);
  const frame = FakeFrame.newest();
  await vi.waitFor(() => expect(frame.iframe["src"]).toBeDefined());
  return { connecting, iframe: frame.iframe, frame };
}

describe("the preferred node", () => {
  it("is whoever answers, and its origin is what the browser says", async () => {
    const { connecting, iframe, frame } = await sought({ fallback: NODE });
    expect(iframe["src"]).toBe(PREFERRED);
    frame.welcome({}, OTHER);
    expect(await connecting).toMatchObject({ id: ALICE, origin: OTHER });
    expect(frame.iframe.posted[0]?.targetOrigin).toBe(OTHER);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(iframe["src"]).toBe(PREFERRED);
  });

  it("may take as long to welcome as any other", async () => {
    const { connecting, frame } = await sought({ fallback: NODE });
    frame.ready(OTHER);
    await vi.advanceTimersByTimeAsync(9_000);
    frame.tell(0, { welcome: { id: ALICE, version: "0.1.0", scope: "site", rpc: 1 } });
    expect((await connecting).origin).toBe(OTHER);
  });

  it.each([
    [10_000, 7_500],
    [120_000, 45_000],
  ])("may load slowly once it said that it began: within %i ms for %i ms", async (timeout, within) => {
    const { connecting, iframe, frame } = await sought({ fallback: NODE, timeout });
    for (const _ of [1, 2]) page.post({ bitters: "begun" }, OTHER, iframe.contentWindow);
    await vi.advanceTimersByTimeAsync(within - 200);
    expect(iframe["src"]).toBe(PREFERRED);
    await vi.advanceTimersByTimeAsync(200);
    expect(iframe["src"]).toBe(`${NODE}/`);
    frame.welcome();
    expect((await connecting).origin).toBe(NODE);
  });

  it("may take 45 s where the site gave no timeout, and its fallback as long as one that is asked first", async () => {
    const { connecting, iframe, frame } = await sought({ fallback: NODE });
    page.post({ bitters: "begun" }, OTHER, iframe.contentWindow);
    await vi.advanceTimersByTimeAsync(44_900);
    expect(iframe["src"]).toBe(PREFERRED);
    await vi.advanceTimersByTimeAsync(100);
    expect(iframe["src"]).toBe(`${NODE}/`);
    await vi.advanceTimersByTimeAsync(9_900);
    page.post({ bitters: "begun" }, NODE, iframe.contentWindow);
    await vi.advanceTimersByTimeAsync(44_900);
    frame.welcome();
    expect((await connecting).origin).toBe(NODE);
  });

  it("that began and is never ready is no node, if there is no fallback", async () => {
    const connecting = connect();
    const failed = failing(connecting, { code: "NoNode", message: "no node is preferred, and there is no fallback" });
    const { iframe } = FakeFrame.newest();
    await vi.waitFor(() => expect(iframe["src"]).toBe(PREFERRED));
    page.post({ bitters: "begun" }, OTHER, iframe.contentWindow);
    await vi.advanceTimersByTimeAsync(45_000);
    await failed;
  });

  it("is whom another window doesn't speak for", async () => {
    const { connecting, frame, iframe } = await sought({ fallback: NODE });
    page.post({ bitters: "begun" }, OTHER, {});
    await vi.advanceTimersByTimeAsync(3_000);
    expect(iframe["src"]).toBe(`${NODE}/`);
    frame.welcome();
    await connecting;
  });

  it("has an origin: a sandboxed or local document isn't one", async () => {
    const { connecting, iframe, frame } = await sought({ fallback: NODE });
    for (const origin of ["null", "file://", ""]) frame.ready(origin);
    expect(iframe.posted).toEqual([]);
    await vi.advanceTimersByTimeAsync(3_000);
    frame.welcome();
    expect((await connecting).origin).toBe(NODE);
  });

  it("is another when the iframe was put back: then this node is over", async () => {
    const { connecting, iframe, frame } = await sought({});
    frame.welcome({}, OTHER);
    const node = await connecting;
    const pending = failing(node.status(), { code: "NoNode", message: "another node is preferred now" });
    page.post({ bitters: "ready", nonce: "n2" }, NODE, iframe.contentWindow);
    await pending;
    expect(page.iframes()).toEqual([]);
  });

  it("is the same when the iframe was put back: then it goes on", async () => {
    const { connecting, frame } = await sought({});
    frame.welcome({}, OTHER);
    const node = await connecting;
    new FakeFrame(frame.iframe, "n2").welcome({ version: "0.2.0" }, OTHER);
    await vi.waitFor(() => expect(node.version).toBe("0.2.0"));
  });
});

describe("without one", () => {
  it.each([
    [10_000, 3_000],
    [2_000, 1_000],
  ])("the fallback is shown: within %i ms after %i ms", async (timeout, after) => {
    const { connecting, iframe, frame } = await sought({ fallback: NODE, timeout });
    // Until it was shown some of the time has gone by.
    await vi.advanceTimersByTimeAsync(after - 200);
    expect(iframe["src"]).toBe(PREFERRED);
    await vi.advanceTimersByTimeAsync(200);
    expect(iframe["src"]).toBe(`${NODE}/`);
    frame.welcome();
    expect((await connecting).origin).toBe(NODE);
  });

  it("there is no node if there is no fallback", async () => {
    const failed = failing(connect(), { code: "NoNode", message: "no node is preferred, and there is no fallback" });
    const { iframe } = FakeFrame.newest();
    await vi.waitFor(() => expect(iframe["src"]).toBe(PREFERRED));
    await vi.advanceTimersByTimeAsync(3_000);
    await failed;
    expect(page.iframes()).toEqual([]);
  });

  it("late news of its abandoned document are not heard", async () => {
    const { connecting, iframe, frame } = await sought({ fallback: NODE });
    await vi.advanceTimersByTimeAsync(3_000);
    page.post({ bitters: "ready", nonce: "late" }, OTHER, iframe.contentWindow);
    expect(iframe.posted).toEqual([]);
    frame.welcome();
    const node = await connecting;
    page.post({ bitters: "ready", nonce: "later" }, OTHER, iframe.contentWindow);
    expect(iframe.posted.length).toBe(1);
    expect(node.origin).toBe(NODE);
    expect(page.iframes()).toEqual([iframe]);
  });

  it("nothing is remembered: the next one is asked for again", async () => {
    const first = await sought({ fallback: NODE });
    await vi.advanceTimersByTimeAsync(3_000);
    first.frame.welcome();
    await first.connecting;
    const { connecting, iframe, frame } = await sought({ fallback: NODE });
    expect(iframe["src"]).toBe(PREFERRED);
    frame.welcome({}, OTHER);
    expect((await connecting).origin).toBe(OTHER);
  });

  it("a browser that can't have one isn't asked for it", async () => {
    vi.stubGlobal("navigator", {});
    const { connecting, iframe, frame } = await sought({ fallback: NODE });
    expect(iframe["src"]).toBe(`${NODE}/`);
    frame.welcome();
    await connecting;
    await failing(connect(), { code: "NoNode" });
    vi.stubGlobal("navigator", { registerProtocolHandler: () => {} });
  });

  it("giving up ends the waiting", async () => {
    const controller = new AbortController();
    const { connecting, iframe } = await sought({ fallback: NODE, signal: controller.signal });
    controller.abort("enough");
    await failing(connecting, { code: "Aborted", cause: "enough" });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(iframe["src"]).toBe(PREFERRED);
  });
});

describe("this page's headers", () => {
  it.each(["", "web+overlay"])("may forbid the scheme, which browsers call %o: then the fallback is shown at once", async (blockedURI) => {
    const { connecting, iframe, frame } = await sought({ fallback: NODE });
    page.forbid({ blockedURI });
    // A header and a meta element are two policies, hence two reports.
    page.forbid({ blockedURI });
    await vi.waitFor(() => expect(iframe["src"]).toBe(`${NODE}/`));
    frame.welcome();
    expect((await connecting).origin).toBe(NODE);
  });

  it("may forbid the scheme where there is no fallback", async () => {
    const failed = failing(connect(), { code: "Unsupported", message: "Content-Security-Policy: frame-src forbids web+overlay:connect" });
    const { iframe } = FakeFrame.newest();
    await vi.waitFor(() => expect(iframe["src"]).toBe(PREFERRED));
    page.forbid({ blockedURI: "" });
    await failed;
  });

  it.each([NODE, `${NODE}/`])("may forbid the node, which browsers call %o", async (blockedURI) => {
    const failed = failing(connect({ node: NODE }), { code: "Unsupported", message: `Content-Security-Policy: frame-src forbids ${NODE}/` });
    page.forbid({ blockedURI });
    await failed;
    expect(page.iframes()).toEqual([]);
  });

  it("are no concern of the node's where they forbid or report something else", async () => {
    const connecting = connect({ node: NODE });
    for (const violation of [
      { blockedURI: "" },
      { blockedURI: "inline" },
      { blockedURI: OTHER },
      { blockedURI: `${NODE}.evil` },
      { blockedURI: NODE, effectiveDirective: "connect-src" },
      { blockedURI: NODE, disposition: "report" as const },
    ])
      page.forbid(violation);
    FakeFrame.newest().welcome();
    await connecting;
    await settled();
    expect(page.iframes().length).toBe(1);
  });

  it("that forbid an unknown scheme leave a preferred node that is there", async () => {
    const { connecting, iframe, frame } = await sought({});
    frame.welcome({}, OTHER);
    await connecting;
    page.forbid({ blockedURI: "" });
    await settled();
    expect(page.iframes()).toEqual([iframe]);
  });
});

describe("a sandbox", () => {
  it.each([
    [["allow-scripts"], "allow-same-origin"],
    [["allow-same-origin"], "allow-scripts"],
  ])("of %j that somebody put around the iframe keeps the node out", async (tokens, missing) => {
    const { createElement } = document;
    document.createElement = ((name: string) => {
      const iframe = createElement(name) as unknown as FakeIframe;
      iframe.sandbox.tokens = tokens;
      return iframe;
    }) as unknown as typeof createElement;
    for (const options of [{ node: NODE }, { fallback: NODE }]) {
      await failing(connect(options), { code: "Unsupported", message: `sandbox: ${missing} is missing` });
    }
    document.createElement = createElement;
    expect(page.iframes()).toEqual([]);
  });

  it("around the whole page takes its origin", async () => {
    vi.stubGlobal("origin", "null");
    vi.stubGlobal("location", { protocol: "https:" });
    await failing(connect({ node: NODE }), { code: "Unsupported", message: "sandbox: allow-same-origin is missing" });
    vi.stubGlobal("location", { protocol: "file:" });
    const { connecting, iframe, frame } = await sought({ node: NODE });
    expect(iframe["src"]).toBe(`${NODE}/`);
    frame.welcome();
    await connecting;
    vi.stubGlobal("location", undefined);
    vi.stubGlobal("origin", "https://site.example");
  });
});
