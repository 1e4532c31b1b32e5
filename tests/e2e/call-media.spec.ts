// Calls with sound and pictures: the site's own connection, for which the node carries offers and answers.
import type { Page } from "@playwright/test";
import type { Signalling } from "@bitters/host-sdk";

import { reach } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

declare global {
  interface Window {
    /** The site's own connection and what came over it. */
    media: {
      readonly pc: RTCPeerConnection;
      readonly signalling: Promise<Signalling>;
      readonly videos: HTMLVideoElement[];
      /** Offers of the peer's for which one of our own was taken back. */
      readonly met: string[];
      /** Adds a picture of a camera's, at a time of `Date.now()` or at once. */
      add(at: number): Promise<void>;
      hangUp: AbortController;
    };
  }
}

/** Cameras that show a test picture, and nobody is asked. */
const MEDIA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required"];

interface Pair {
  readonly a: Page;
  readonly b: Page;
}

const paired = test.extend<{ pair: Pair }>({
  pair: async ({ browse, connect }, use) => {
    const [one, two] = await Promise.all([browse({ args: MEDIA }), browse({ args: MEDIA })]);
    const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
    const [idA, idB] = await Promise.all([idOf(a), idOf(b)]);
    await reach(a, idB);
    await Promise.all([call(a, idB), call(b, idA)]);
    await Promise.all([a, b].map((page) => page.evaluate(async () => void (await window.media.signalling))));
    await use({ a, b });
  },
});

paired("two sites see each other, and what is added later arrives, too", async ({ pair: { a, b } }) => {
  await add(a);
  await expect.poll(() => decoded(b)).toEqual([true]);
  await add(b);
  await expect.poll(() => decoded(a)).toEqual([true]);
  await add(a);
  await expect.poll(() => decoded(b)).toEqual([true, true]);
  expect(await a.evaluate(() => window.media.pc.signalingState)).toBe("stable");
});

paired("both add at once, again and again: offers meet, and nothing is lost", async ({ pair: { a, b } }) => {
  for (let round = 1; round <= 6; round += 1) {
    const at = Date.now() + 1000;
    await Promise.all([add(a, at), add(b, at)]);
    const all = Array(round).fill(true);
    await expect.poll(async () => [await decoded(a), await decoded(b)], { timeout: 40_000 }).toEqual([all, all]);
  }
  expect((await met(a)) + (await met(b))).toBeGreaterThan(0);
});

paired("a frame that loads again is not noticed", async ({ pair: { a, b } }) => {
  await add(a);
  await expect.poll(() => decoded(b)).toEqual([true]);
  await b.evaluate(() => {
    const iframe = document.querySelector("iframe") as HTMLIFrameElement;
    iframe.src = iframe.src;
  });
  await add(b);
  await expect.poll(() => decoded(a), { timeout: 40_000 }).toEqual([true]);
  await add(a);
  await expect.poll(() => decoded(b), { timeout: 40_000 }).toEqual([true, true]);
});

paired("one end hangs up, and the other is told", async ({ pair: { a, b } }) => {
  await add(a);
  await expect.poll(() => decoded(b)).toEqual([true]);
  const closed = (page: Page): Promise<string> =>
    page.evaluate(async () => (await window.media.signalling).closed.then(() => "closed", ({ code }) => code));
  await a.evaluate(() => window.media.hangUp.abort());
  expect(await Promise.all([closed(a), closed(b)])).toEqual(["closed", "closed"]);
  expect(await b.evaluate(() => window.media.pc.signalingState)).toBe("stable");
});

paired("a page that is gone is noticed when it doesn't come back", async ({ pair: { a, b }, connect }) => {
  await connect(a.context(), "c");
  const closed = b.evaluate(async () => (await window.media.signalling).closed.then(() => "closed", ({ code }) => code));
  await a.close();
  expect(await closed).toBe("PeerUnreachable");
});

/** Begins a call with a peer; what comes is shown. */
function call(page: Page, peer: string): Promise<void> {
  return page.evaluate((peer) => {
    const pc = new RTCPeerConnection();
    const videos: HTMLVideoElement[] = [];
    const met: string[] = [];
    pc.addEventListener("track", ({ track }) => {
      const video = document.createElement("video");
      Object.assign(video, { muted: true, autoplay: true, srcObject: new MediaStream([track]) });
      document.body.append(video);
      videos.push(video);
    });
    const setRemote = pc.setRemoteDescription.bind(pc);
    pc.setRemoteDescription = (description) => {
      if (description.type === "offer" && pc.signalingState === "have-local-offer") met.push(description.type);
      return setRemote(description);
    };
    const hangUp = new AbortController();
    const add = async (at: number): Promise<void> => {
      const camera = await navigator.mediaDevices.getUserMedia({ video: true });
      // Both pages begin in the same millisecond.
      while (Date.now() < at) await new Promise((resolve) => setTimeout(resolve, 0));
      for (const track of camera.getTracks()) pc.addTrack(track, camera);
    };
    const signalling = window.mine.signal(pc, peer, { signal: hangUp.signal });
    window.media = { pc, signalling, videos, met, add, hangUp };
  }, peer);
}

const add = (page: Page, at = 0): Promise<void> => page.evaluate((at) => window.media.add(at), at);

const met = (page: Page): Promise<number> => page.evaluate(() => window.media.met.length);

/** Of each video that came: whether pictures were decoded. */
const decoded = (page: Page): Promise<boolean[]> =>
  page.evaluate(() => window.media.videos.map((video) => video.getVideoPlaybackQuality().totalVideoFrames > 0 && video.videoWidth > 0));
