// The iframe's place in the page: trees within trees, pages that take it away, and what the site is told.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type BittersNode, type ConnectOptions, connect } from "../src/index.js";
import { ALICE, BOB, FakeFrame, NODE, WELCOME, connected, failing, settled } from "./frame.js";
import { FakeElement, page } from "./page.js";

afterEach(() => {
  vi.useRealTimers();
  page.clear();
  page.root.children.forEach((child) => child != page.body && child.remove());
});

/** An element in a shadow tree that is within another one, beside those that hold the trees. */
function nested(): { outer: FakeElement; inner: FakeElement; holder: FakeElement } {
  const [outer, inner, holder] = [new FakeElement(), new FakeElement(), new FakeElement()];
  outer.attachShadow().append(inner);
  inner.attachShadow().append(holder);
  return { outer, inner, holder };
}

const asBadge = (element: FakeElement): HTMLElement => element as unknown as HTMLElement;

/** Reads from a stream; fails when the stream does. */
async function reading(node: BittersNode, frame: FakeFrame): Promise<unknown> {
  const opening = node.open(BOB, "file");
  await frame.begun("open");
  return (await opening).readable.getReader().read();
}

/** Events of a node's, as they come. */
function eventsOf(node: BittersNode): string[] {
  const events: string[] = [];
  for (const type of ["gone", "back"] as const) node.addEventListener(type, () => events.push(type));
  return events;
}

/** A framework puts another body in the place of the old one. */
function swapBody(): void {
  const next = new FakeElement();
  page.body.remove();
  page.body = next;
  page.root.append(next);
}

describe("a badge in a shadow tree within another", () => {
  it.each(["outer", "inner", "holder"] as const)("loses its streams at once when the %s element is removed, and goes on when it is back", async (which) => {
    const tree = nested();
    page.body.append(tree.outer);
    const { node, frame } = await connected({ badge: asBadge(tree.holder) });
    const events = eventsOf(node);
    const lost = failing(reading(node, frame), { code: "LeaderLost" });
    await frame.take("credit");

    const parent = tree[which].parent as FakeElement;
    tree[which].remove();
    await lost;
    expect(events).toEqual(["gone"]);
    const asked = node.status();

    parent.append(tree[which]);
    const next = new FakeFrame(frame.iframe, "n2");
    next.welcome();
    next.tell((await next.take("status")).id, { status: { seeds: 1 } });
    expect(await asked).toEqual({ seeds: 1 });
    expect(events).toEqual(["gone", "back"]);
  });

  it.each(["outer", "inner", "holder"] as const)("is watched there when the %s element came into the page after connect()", async (which) => {
    const tree = nested();
    const parent = which == "outer" ? page.body : (tree[which].parent as FakeElement);
    tree[which].remove();
    if (which != "outer") page.body.append(tree.outer);
    const connecting = connect({ node: NODE, badge: asBadge(tree.holder) });
    await settled();
    // Nobody looks into trees in which there was no iframe.
    parent.append(tree[which]);
    await settled();
    const frame = FakeFrame.newest();
    frame.welcome();
    const node = await connecting;
    const events = eventsOf(node);
    const lost = failing(reading(node, frame), { code: "LeaderLost" });
    await frame.take("credit");

    tree.inner.remove();
    await lost;
    expect(events).toEqual(["gone"]);
  });

  it("is watched in the tree that it was moved to", async () => {
    const [from, to] = [nested(), nested()];
    page.body.append(from.outer);
    page.body.append(to.outer);
    const { node, frame } = await connected({ badge: asBadge(from.holder) });
    to.holder.append(from.holder);
    await settled();
    const next = new FakeFrame(frame.iframe, "n2");
    next.welcome();
    const lost = failing(reading(node, next), { code: "LeaderLost" });
    await next.take("credit");

    to.inner.remove();
    await lost;
  });
});

it("an iframe that is moved in one go has lost its window: streams fail at once, not when the next document is ready", async () => {
  const { node, frame } = await connected();
  const events = eventsOf(node);
  const lost = failing(reading(node, frame), { code: "LeaderLost" });
  await frame.take("credit");
  const other = new FakeElement();
  page.body.append(other);
  other.append(frame.iframe);
  await lost;
  expect(events).toEqual([]);
});

describe("a page that takes the iframe away", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  });

  it.each<ConnectOptions["badge"]>(["auto", "hidden"])("has it back by itself: %s", async (badge) => {
    const { node, frame } = await connected({ badge });
    const events = eventsOf(node);
    const joining = node.join("lobby");
    await frame.begun("join");
    await joining;
    const { cssText } = frame.iframe.style;

    swapBody();
    await settled();
    expect(frame.iframe.parent).toBe(page.body);
    expect(frame.iframe.style.cssText).toBe(cssText);
    const next = new FakeFrame(frame.iframe, "n2");
    next.welcome();
    expect((await next.take("join")).ask).toEqual({ name: "lobby" });
    expect(events).toEqual([]);
  });

  it("has it back three times a minute; the site is told of the fourth, and can revive it", async () => {
    const { node, frame } = await connected();
    const events = eventsOf(node);
    for (let time = 1; time <= 3; time++) {
      frame.iframe.remove();
      await settled();
      expect(page.iframes(), `time ${time}`).toEqual([frame.iframe]);
      expect(events).toEqual([]);
    }
    frame.iframe.remove();
    await settled();
    expect(page.iframes()).toEqual([]);
    expect(events).toEqual(["gone"]);
    swapBody();
    await settled();
    expect(events).toEqual(["gone"]);

    node.revive();
    expect(frame.iframe.parent).toBe(page.body);
    expect(events).toEqual(["gone"]);
    new FakeFrame(frame.iframe, "n2").welcome();
    await vi.waitFor(() => expect(events).toEqual(["gone", "back"]));
  });

  it("may take it away at leisure for ever", async () => {
    const { node, frame } = await connected();
    const events = eventsOf(node);
    for (let time = 1; time <= 10; time++) {
      frame.iframe.remove();
      await settled();
      expect(page.iframes(), `time ${time}`).toEqual([frame.iframe]);
      await vi.advanceTimersByTimeAsync(20_001);
    }
    expect(events).toEqual([]);
  });

  it("has it back while it connects, too", async () => {
    const connecting = connect({ node: NODE });
    const frame = FakeFrame.newest();
    swapBody();
    await settled();
    frame.welcome();
    expect((await connecting).id).toBe(ALICE);
  });

  it("doesn't have back what it closed", async () => {
    const { node, frame } = await connected();
    const events = eventsOf(node);
    await node.close();
    await settled();
    expect([page.iframes(), events]).toEqual([[], []]);
    expect(() => node.revive()).toThrow(expect.objectContaining({ name: "BittersError", code: "Closed" }));
    expect(frame.iframe.isConnected).toBe(false);
  });

  it("may put it back itself", async () => {
    const { node, frame } = await connected();
    const events = eventsOf(node);
    for (let time = 1; time <= 5; time++) {
      frame.iframe.remove();
      page.body.append(frame.iframe);
      await settled();
    }
    expect(events).toEqual([]);
  });
});

describe("an element of the site's as the badge", () => {
  it("is the site's to bring back: it is told at once, and what it appends goes on", async () => {
    const holder = new FakeElement();
    page.body.append(holder);
    const { node, frame } = await connected({ badge: asBadge(holder) });
    const events = eventsOf(node);
    frame.iframe.remove();
    await settled();
    expect([page.iframes(), events]).toEqual([[], ["gone"]]);
    node.revive();
    expect(frame.iframe.parent).toBe(holder);
    new FakeFrame(frame.iframe, "n2").welcome();
    await vi.waitFor(() => expect(events).toEqual(["gone", "back"]));
  });

  it("is another when the site gives another, whatever it gave before", async () => {
    for (const badge of ["auto", "hidden"] as const) {
      const { node, frame } = await connected({ badge });
      const events = eventsOf(node);
      const holder = new FakeElement();
      page.body.append(holder);
      node.revive(asBadge(holder));
      expect(frame.iframe.parent).toBe(holder);
      expect(frame.iframe.style.cssText).toMatch(/display:block;width:100%/);
      expect(frame.iframe["inert"]).toBe(false);
      await settled();
      expect(events).toEqual([]);

      const next = new FakeFrame(frame.iframe, "n2");
      next.welcome();
      await settled();
      holder.remove();
      await settled();
      expect(events).toEqual(["gone"]);
    }
  });

  it("that isn't in the page yet isn't gone", async () => {
    const holder = new FakeElement();
    const connecting = connect({ node: NODE, badge: asBadge(holder) });
    await settled();
    page.body.append(holder);
    const frame = FakeFrame.newest();
    frame.welcome();
    const node = await connecting;
    const events = eventsOf(node);
    await settled();
    expect(events).toEqual([]);
  });
});

it("reviving what is in the page does nothing", async () => {
  const { node, frame } = await connected();
  const lost = reading(node, frame);
  await frame.take("credit");
  node.revive();
  await settled();
  const holder = new FakeElement();
  page.body.append(holder);
  expect(await Promise.race([lost, settled()])).toBeUndefined();
});

it("a badge whose element is lost comes into the corner, if the site says so", async () => {
  const holder = new FakeElement();
  page.body.append(holder);
  const { node, frame } = await connected({ badge: asBadge(holder) });
  holder.remove();
  await settled();
  node.revive("auto");
  expect(frame.iframe.parent).toBe(page.body);
  expect(frame.iframe.style.cssText).toMatch(/position:fixed/);
  node.revive("hidden");
  expect(frame.iframe["inert"]).toBe(true);
});

it.each(["loud", {}, 5])("%o is no badge to revive it as", async (badge) => {
  const { node, frame } = await connected();
  expect(() => node.revive(badge as HTMLElement)).toThrow(expect.objectContaining({ name: "BittersError", code: "BadArgument" }));
  expect(frame.iframe.parent).toBe(page.body);
});

it("a node that was told to be gone before it was welcomed has no news of that", async () => {
  const connecting = connect({ node: NODE });
  const { iframe } = FakeFrame.newest();
  for (let time = 1; time <= 4; time++) {
    iframe.remove();
    await settled();
  }
  page.body.append(iframe);
  const frame = new FakeFrame(iframe, "n2");
  frame.ready();
  const told = connecting.then(eventsOf);
  frame.tell(0, { welcome: WELCOME });
  const events = await told;
  await settled();
  expect(events).toEqual([]);
});
