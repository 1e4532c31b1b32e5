// The badge that has something to ask gets room, and gives it back.

import { afterEach, beforeAll, expect, it } from "vitest";
import type { Room } from "../src/rpc.js";
import { FakeFrame, connected, settled } from "./frame.js";
import { FakeElement, type FakeIframe, page } from "./page.js";

// So that it is there when it is wanted: a module takes as long as it takes.
beforeAll(() => import("../src/rare.js"));

afterEach(() => {
  page.clear();
});

/** What counts: of each property the last. */
function styleOf(iframe: FakeIframe): Record<string, string> {
  return Object.fromEntries(iframe.style.cssText.split(";").filter(Boolean).map((rule) => rule.split(":") as [string, string]));
}

async function wanting(frame: FakeFrame, badge: Room | unknown): Promise<void> {
  frame.tell(0, { badge });
  await settled();
}

it("in the corner it grows up and to the left, within its bounds and the window's", async () => {
  const { frame } = await connected();
  const before = frame.iframe.style.cssText;
  await wanting(frame, { width: 320, height: 150 });
  expect(styleOf(frame.iframe)).toMatchObject({ position: "fixed", inset: "auto 12px 12px auto", width: "320px", height: "150px" });
  expect(styleOf(frame.iframe)).toMatchObject({ "max-width": "calc(100vw - 24px)", "max-height": "calc(100vh - 24px)" });
  await wanting(frame, { width: 60_000, height: 60_000 });
  expect(styleOf(frame.iframe)).toMatchObject({ width: "400px", height: "300px" });
  await wanting(frame, { width: 0, height: 0 });
  expect(frame.iframe.style.cssText).toBe(before);
});

it("in an element it grows down and keeps the width that the site gave it", async () => {
  const holder = new FakeElement();
  page.body.append(holder);
  const { frame } = await connected({ badge: holder as unknown as HTMLElement });
  await wanting(frame, { width: 320, height: 150 });
  expect(styleOf(frame.iframe)).toMatchObject({ display: "block", width: "100%", height: "150px" });
  await wanting(frame, { width: 0, height: 0 });
  expect(styleOf(frame.iframe)).toMatchObject({ width: "100%", height: "36px" });
  holder.remove();
});

it("an element that is too narrow for a question has it asked in the corner", async () => {
  const holder = new FakeElement();
  page.body.append(holder);
  const { frame } = await connected({ badge: holder as unknown as HTMLElement });
  frame.iframe["offsetWidth"] = 132;
  await wanting(frame, { width: 320, height: 150 });
  expect(styleOf(frame.iframe)).toMatchObject({ position: "fixed", width: "320px", height: "150px", inset: "auto 12px 12px auto" });
  await wanting(frame, { width: 0, height: 0 });
  expect(styleOf(frame.iframe)).toMatchObject({ width: "100%", height: "36px" });
  expect(styleOf(frame.iframe)).not.toHaveProperty("position");
  holder.remove();
});

it("hidden it is seen and can be used while it asks, and hidden again", async () => {
  const { frame } = await connected({ badge: "hidden" });
  await wanting(frame, { width: 320, height: 150 });
  expect(frame.iframe["inert"]).toBe(false);
  expect(styleOf(frame.iframe)).toMatchObject({ opacity: "1", width: "320px", height: "150px", inset: "auto 12px 12px auto" });
  await wanting(frame, { width: 0, height: 0 });
  expect(frame.iframe["inert"]).toBe(true);
  expect(styleOf(frame.iframe)).toMatchObject({ opacity: "0", width: "1px", height: "1px" });
});

it("another document of the iframe's begins as small as the first", async () => {
  const { frame } = await connected({ badge: "hidden" });
  const before = frame.iframe.style.cssText;
  await wanting(frame, { width: 320, height: 150 });
  const next = new FakeFrame(frame.iframe, "n2");
  next.welcome();
  expect(frame.iframe.style.cssText).toBe(before);
  expect(frame.iframe["inert"]).toBe(true);
});

it.each([{}, null, 5, { width: "100vw", height: 1e9 }, { width: -5, height: Number.NaN }])("%o is no room", async (room) => {
  const { frame } = await connected();
  const before = frame.iframe.style.cssText;
  await wanting(frame, room);
  expect(frame.iframe.style.cssText).toBe(before);
});
