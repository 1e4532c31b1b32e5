// The sites' own connection, for which the nodes carry offers and answers.
import type { Signalling } from "@bitters/host-sdk";

import { reach } from "../../support/room.ts";
import type { Tab } from "../../support/tab.ts";
import { idOf } from "../../support/test.ts";
import { expect, test } from "../test.ts";

declare global {
  interface Window {
    /** The site's own connection, and what came over it. */
    own: { readonly pc: RTCPeerConnection; readonly signalling: Promise<Signalling>; readonly heard: unknown[]; readonly hangUp: AbortController };
  }
}

test("a picture and a channel that are added at any time arrive, both ways, and hanging up is told", async ({ a, b }) => {
  const [idA, idB] = [await reach(b, await idOf(a)), await reach(a, await idOf(b))];
  await Promise.all([begin(a, idB), begin(b, idA)]);

  await Promise.all([say(a), say(b)]);
  for (const tab of [a, b]) await expect.poll(() => tab.evaluate(() => window.own.heard)).toEqual(["hello"]);
  await show(a);
  await expect.poll(() => pictures(b), { timeout: 40_000 }).toBeGreaterThan(0);
  await show(b);
  await expect.poll(() => pictures(a), { timeout: 40_000 }).toBeGreaterThan(0);

  await a.evaluate(() => window.own.hangUp.abort());
  const closed = (tab: Tab): Promise<unknown> => tab.evaluate(async () => window.codeOf(async () => (await window.own.signalling).closed));
  expect(await Promise.all([closed(a), closed(b)])).toEqual([undefined, undefined]);
  for (const tab of [a, b]) await tab.evaluate(() => window.own.pc.close());
});

/** Begins a call with a peer. */
const begin = (tab: Tab, peer: string): Promise<void> =>
  tab.evaluate(async (peer) => {
    const pc = new RTCPeerConnection();
    const heard: unknown[] = [];
    pc.addEventListener("datachannel", ({ channel }) => {
      channel.onmessage = ({ data }) => heard.push(data);
    });
    const hangUp = new AbortController();
    const signalling = window.mine.signal(pc, peer, { signal: hangUp.signal });
    window.own = { pc, signalling, heard, hangUp };
    await signalling;
  }, peer);

/** Says hello in a new channel. */
const say = (tab: Tab): Promise<void> =>
  tab.evaluate(() => {
    const channel = window.own.pc.createDataChannel("hello");
    channel.onopen = () => channel.send("hello");
  });

/** Adds a picture that changes. */
const show = (tab: Tab): Promise<void> =>
  tab.evaluate(() => {
    const canvas = document.createElement("canvas");
    const paint = canvas.getContext("2d") as CanvasRenderingContext2D;
    setInterval(() => {
      paint.fillStyle = `hsl(${performance.now() % 360} 50% 50%)`;
      paint.fillRect(0, 0, canvas.width, canvas.height);
    }, 50);
    const picture = canvas.captureStream(20);
    for (const track of picture.getTracks()) window.own.pc.addTrack(track, picture);
  });

/** How many pictures have come. */
const pictures = (tab: Tab): Promise<number> =>
  tab.evaluate(async () => {
    let count = 0;
    (await window.own.pc.getStats()).forEach((report) => {
      if (report.type === "inbound-rtp" && report.kind === "video") count += report.framesDecoded ?? 0;
    });
    return count;
  });
