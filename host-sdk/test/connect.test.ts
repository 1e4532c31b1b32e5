import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { BittersError, type BittersNode, type ConnectOptions, connect } from "../src/index.js";
import { ALICE, BOB, FakeFrame, NODE, WELCOME, connected, failing, settled } from "./frame.js";
import { FakeElement, page } from "./page.js";

afterEach(() => {
  vi.useRealTimers();
  page.clear();
});

describe("connecting", () => {
  it("gives the node that was welcomed", async () => {
    const { node } = await connected();
    expect(node).toMatchObject({ id: ALICE, origin: NODE, version: "0.1.0", scope: "site" });
  });

  it("embeds exactly the URL that was given", async () => {
    const { frame } = await connected({ node: `${NODE}/` });
    expect(frame.iframe).toMatchObject({ src: `${NODE}/`, title: "bitters node" });
    expect(frame.iframe["allow"]).toContain("storage-access");
  });

  it("says hello to that origin alone, with the frame's nonce", async () => {
    const { frame } = await connected({ identity: "person" });
    expect(frame.iframe.posted[0]?.targetOrigin).toBe(NODE);
    expect(frame.hello).toEqual({ bitters: "hello", nonce: "n1", versions: { min: 1, max: 2 }, identity: "person" });
  });

  it("shows the badge as it is told", async () => {
    const holder = new FakeElement();
    page.body.append(holder);
    const corner = (await connected()).frame.iframe;
    const hidden = (await connected({ badge: "hidden" })).frame.iframe;
    const held = (await connected({ badge: holder as unknown as HTMLElement })).frame.iframe;

    expect(corner.style.cssText).toMatch(/position:fixed.*width:132px.*height:36px/);
    expect(corner["inert"]).toBe(false);
    expect(hidden["inert"]).toBe(true);
    expect(hidden.style.cssText).not.toContain("display:none");
    expect(held.parent).toBe(holder);
    expect(held.style.cssText).toMatch(/width:100%.*height:36px/);
    holder.remove();
  });
});

describe("what can't be connected", () => {
  it.each([
    [{ fallback: "nowhere" }, "BadArgument"],
    [{ node: "nowhere" }, "BadArgument"],
    [{ node: "javascript:alert(1)" }, "BadArgument"],
    [{ node: NODE, identity: "other" }, "BadArgument"],
    [{ node: NODE, badge: "loud" }, "BadArgument"],
    [{ node: NODE, timeout: -1 }, "BadArgument"],
  ])("%o is %s", async (options, code) => {
    await failing(connect(options as object), { code });
    expect(page.iframes()).toEqual([]);
  });

  it("is unsupported outside a page, which may import it", async () => {
    const { document } = globalThis;
    vi.stubGlobal("document", undefined);
    await failing(connect({ node: NODE }), { code: "Unsupported" });
    vi.stubGlobal("document", document);
  });

  it("is no node where none says ready", async () => {
    vi.useFakeTimers();
    const failed = failing(connect({ node: NODE }), { code: "NoNode" });
    await vi.advanceTimersByTimeAsync(10_000);
    await failed;
    expect(page.iframes()).toEqual([]);
  });

  it("is a timeout where the node says ready and no more", async () => {
    vi.useFakeTimers();
    const failed = failing(connect({ node: NODE, timeout: 50 }), { code: "Timeout", retryable: true });
    FakeFrame.newest().ready();
    await vi.advanceTimersByTimeAsync(50);
    await failed;
  });

  it("waits as long as the person is asked, but no longer than the site said", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const asked = (timeout?: number): FakeFrame => {
      connecting.push(connect({ node: NODE, identity: "person", timeout }));
      const frame = FakeFrame.newest();
      frame.ready();
      frame.tell(0, { badge: { width: 320, height: 172 } });
      return frame;
    };
    const connecting: Promise<BittersNode>[] = [];
    const patient = asked();
    asked(50);
    const failed = failing(connecting[1] as Promise<BittersNode>, { code: "Timeout" });
    await settled();
    await vi.advanceTimersByTimeAsync(60_000);
    await failed;

    patient.tell(0, { welcome: WELCOME });
    expect(await connecting[0]).toMatchObject({ id: ALICE });
  });

  it.each(["VersionMismatch", "Denied"])("is %s where the node says so", async (code) => {
    const connecting = connect({ node: NODE });
    const frame = FakeFrame.newest();
    frame.ready();
    frame.tell(0, { failed: { code, message: "no", retryable: false } });
    await failing(connecting, { code, message: "no" });
    expect(page.iframes()).toEqual([]);
  });

  it("is aborted with the signal's reason as the cause", async () => {
    const before = failing(connect({ node: NODE, signal: AbortSignal.abort("why") }), { code: "Aborted", cause: "why" });
    await before;
    const controller = new AbortController();
    const connecting = connect({ node: NODE, signal: controller.signal });
    controller.abort("enough");
    await failing(connecting, { code: "Aborted", cause: "enough" });
    expect(page.iframes()).toEqual([]);
  });
});

describe("a first visit over a slow network", () => {
  const begin = (frame: FakeFrame, origin = NODE): void => page.post({ bitters: "begun" }, origin, frame.iframe.contentWindow);

  /** Connects; how many milliseconds later that fails is in `failedAt`. */
  function begins(options: Partial<ConnectOptions> = {}): { connecting: Promise<BittersNode>; frame: FakeFrame; failedAt: () => number | undefined } {
    const before = performance.now();
    let at: number | undefined;
    const connecting = connect({ node: NODE, ...options });
    connecting.catch(() => (at = performance.now() - before));
    return { connecting, frame: FakeFrame.newest(), failedAt: () => at };
  }

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  });

  it("has 45 s from when the frame began", async () => {
    const { connecting, frame } = begins();
    await vi.advanceTimersByTimeAsync(9_000);
    begin(frame);
    await vi.advanceTimersByTimeAsync(35_000);
    frame.ready();
    await vi.advanceTimersByTimeAsync(9_900);
    frame.tell(0, { welcome: WELCOME });
    expect((await connecting).id).toBe(ALICE);
  });

  it("has no more than that, however often the frame says so", async () => {
    const { connecting, frame, failedAt } = begins();
    const failed = failing(connecting, { code: "NoNode" });
    for (let second = 0; second < 46; second++) {
      begin(frame);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    await failed;
    expect(failedAt()).toBe(45_000);
  });

  it("has no more than the site gave it", async () => {
    const { connecting, frame, failedAt } = begins({ timeout: 12_000 });
    const failed = failing(connecting, { code: "NoNode" });
    begin(frame);
    await vi.advanceTimersByTimeAsync(12_000);
    await failed;
    expect(failedAt()).toBe(12_000);
  });

  it("is for a frame that began: not what another window or origin says", async () => {
    const { connecting, frame, failedAt } = begins();
    const failed = failing(connecting, { code: "NoNode" });
    begin(frame, "https://evil.example");
    page.post({ bitters: "begun" }, NODE, {});
    await vi.advanceTimersByTimeAsync(10_000);
    await failed;
    expect(failedAt()).toBe(10_000);
  });

  it("is over once there is a node: a document that begins later isn't waited for", async () => {
    const { node, frame } = await connected();
    const connecting = begins();
    frame.iframe.remove();
    await settled();
    begin(frame);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(connecting.failedAt()).toBe(10_000);
    new FakeFrame(frame.iframe, "n2").welcome({ version: "0.2.0" });
    await vi.waitFor(() => expect(node.version).toBe("0.2.0"));
  });

  it("gives the signal up as before", async () => {
    const controller = new AbortController();
    const { connecting, frame } = begins({ signal: controller.signal });
    begin(frame);
    await vi.advanceTimersByTimeAsync(20_000);
    controller.abort("enough");
    await failing(connecting, { code: "Aborted", cause: "enough" });
  });
});

describe("a page that is prerendered", () => {
  // So that it is there when it is wanted: a module takes as long as it takes.
  beforeAll(() => import("../src/rare.js"));

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    page.root["prerendering"] = true;
  });

  afterEach(() => {
    page.root["prerendering"] = false;
  });

  const show = (): void => {
    page.root["prerendering"] = false;
    page.root.dispatchEvent(new Event("prerenderingchange"));
  };

  it.each<ConnectOptions>([{ node: NODE }, { node: NODE, timeout: 5_000 }])("has its time from when it is shown: %o", async (options) => {
    const connecting = connect(options);
    await settled();
    await vi.advanceTimersByTimeAsync(60_000);
    show();
    await settled();
    await vi.advanceTimersByTimeAsync(4_900);
    FakeFrame.newest().welcome();
    expect((await connecting).id).toBe(ALICE);
  });

  it("is told when there is none then", async () => {
    const failed = failing(connect({ node: NODE }), { code: "NoNode" });
    await settled();
    await vi.advanceTimersByTimeAsync(60_000);
    show();
    await settled();
    await vi.advanceTimersByTimeAsync(10_000);
    await failed;
  });

  it("looks for the preferred node then, too", async () => {
    const connecting = connect({ fallback: NODE });
    await settled();
    await vi.advanceTimersByTimeAsync(60_000);
    show();
    await settled();
    const frame = FakeFrame.newest();
    expect(frame.iframe["src"]).toBe("web+overlay:connect");
    await vi.advanceTimersByTimeAsync(3_000);
    expect(frame.iframe["src"]).toBe(`${NODE}/`);
    frame.welcome();
    expect((await connecting).origin).toBe(NODE);
  });

  it("may be given up before, and leaves nothing on the signal or the page", async () => {
    const controller = new AbortController();
    const listeners = new Set<unknown>();
    const { signal } = controller;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = ((type: string, listener: () => void, options?: AddEventListenerOptions) => {
      listeners.add(listener);
      options?.signal?.addEventListener("abort", () => listeners.delete(listener));
      add(type, listener, options);
    }) as typeof signal.addEventListener;
    signal.removeEventListener = ((type: string, listener: () => void) => {
      listeners.delete(listener);
      remove(type, listener);
    }) as typeof signal.removeEventListener;

    const failed = failing(connect({ node: NODE, signal }), { code: "Aborted", cause: "enough" });
    await settled();
    expect(listeners.size).toBe(1);
    controller.abort("enough");
    await failed;
    expect(listeners.size).toBe(0);
    expect(page.iframes()).toEqual([]);
    await failing(connect({ node: NODE, signal }), { code: "Aborted", cause: "enough" });
  });

  it("is told at once what can't be connected", async () => {
    await failing(connect({ node: "nowhere" }), { code: "BadArgument" });
    await failing(connect({ node: NODE, badge: "loud" as "auto" }), { code: "BadArgument" });
  });
});

describe("strangers", () => {
  it("are not heard: other windows, other origins, other words, the same document twice", async () => {
    const connecting = connect({ node: NODE });
    const frame = FakeFrame.newest();
    const ready = { bitters: "ready", nonce: "n1" };
    page.post(ready, NODE, {});
    page.post(ready, NODE, null);
    page.post(ready, "https://evil.example", frame.iframe.contentWindow);
    for (const data of [null, 5, "ready", { bitters: "hello", nonce: "n1" }, { bitters: "ready", nonce: 7 }]) {
      page.post(data, NODE, frame.iframe.contentWindow);
    }
    expect(frame.iframe.posted).toEqual([]);

    frame.welcome();
    await connecting;
    page.post(ready, NODE, frame.iframe.contentWindow);
    expect(frame.iframe.posted.length).toBe(1);
  });
});

describe("a connected node", () => {
  it("tells when its scope and id change", async () => {
    const { node, frame } = await connected();
    const news: unknown[] = [];
    node.addEventListener("scope", ({ detail }) => news.push(detail));
    node.addEventListener("identity", ({ detail }) => news.push(detail));

    frame.tell(0, { scope: "browser" });
    frame.tell(0, { scope: "browser" });
    frame.tell(0, { identity: BOB });
    await settled();

    expect(news).toEqual(["browser", BOB]);
    expect(node).toMatchObject({ scope: "browser", id: BOB });
  });

  it("leaves the page when it is closed, and all that waits fails", async () => {
    const { node, frame } = await connected();
    const pending = failing(node.status(), { code: "Closed" });
    const topic = node.join("lobby");
    await frame.begun("join");
    const reading = (await topic)[Symbol.asyncIterator]().next();

    await node[Symbol.asyncDispose]();

    await pending;
    expect(await reading).toEqual({ done: true, value: undefined });
    expect(page.iframes()).toEqual([]);
    await failing(node.status(), { code: "Closed" });
    await failing(node.call(BOB, "add", 1), { code: "Closed", executed: "no" });
  });
});

it("errors are one class with a closed set of codes", () => {
  const error = new BittersError("Quota", "slow down");
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: "BittersError", code: "Quota", message: "slow down", retryable: true });
  expect(new BittersError("Denied", "no").retryable).toBe(false);
});
