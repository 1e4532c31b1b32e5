// A stream between two sites in two browsers, against an RTCDataChannel between the same two pages with the same chunks.
import type { Page } from "@playwright/test";

import { reach } from "../e2e/support/room.ts";
import { expect, idOf, test } from "./support/bench.ts";
import { median, report } from "./support/measure.ts";

const MIB = 1024 * 1024;
/** The largest that a stream puts into one message of its data channel. */
const CHUNK = 60 * 1024;
const SIZE = 400 * CHUNK;
/** Bytes that the plain channel may hold, as a stream may have under way. */
const BUFFER = 2 * MIB;
const ROUNDS = 5;

declare global {
  interface Window {
    raw: RTCPeerConnection;
    channel: RTCDataChannel;
  }
}

test("a stream between two browsers", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  const peer = await reach(a, await idOf(b));
  await serve(b);
  await connectRaw(a, b);

  // Both get up to speed.
  await stream(a, peer, SIZE / 4);
  await raw(a, SIZE / 4);
  const speeds = { ours: [] as number[], raw: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    speeds.raw.push(SIZE / MIB / (await raw(a, SIZE)));
    speeds.ours.push(SIZE / MIB / (await stream(a, peer, SIZE)));
  }

  report({
    what: "stream between two browsers, chunks of 60 KiB",
    unit: "MiB/s",
    baseline: median(speeds.raw),
    ours: median(speeds.ours),
    goal: { atLeast: 0.9 },
  });
});

test("a stream between two browsers with a standby beside its link", async ({ browse, connect }) => {
  const browsers = await Promise.all([browse(), browse()]);
  const [a, b] = await Promise.all([connect(browsers[0], "a"), connect(browsers[1], "a")]);
  const peer = await reach(a, await idOf(b));
  await serve(b);

  await stream(a, peer, SIZE / 4);
  const speeds = { standby: [] as number[], alone: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    await links(a, 1);
    speeds.alone.push(SIZE / MIB / (await stream(a, peer, SIZE)));
    const others = await Promise.all(browsers.map((browser) => connect(browser, "a")));
    await links(a, 2);
    speeds.standby.push(SIZE / MIB / (await stream(a, peer, SIZE)));
    await Promise.all(others.map((page) => page.close()));
  }

  report({
    what: "the same with a standby, against without",
    unit: "MiB/s",
    baseline: median(speeds.alone),
    ours: median(speeds.standby),
    goal: { atLeast: 0.9 },
  });
});

/** Waits until there are so many links to the only peer. */
const links = (page: Page, count: number): Promise<void> =>
  page.evaluate(async (count) => {
    for await (const { peers } of window.mine.watch()) if (peers[0]?.links === count) return;
  }, count);

/** Takes bytes and answers with their number, over streams and over the plain channel. */
async function serve(page: Page): Promise<void> {
  await page.evaluate(() => {
    void window.mine.serve("sink", async (stream) => {
      let size = 0;
      for await (const chunk of stream.readable as unknown as AsyncIterable<Uint8Array>) size += chunk.length;
      const writer = stream.writable.getWriter();
      await writer.write(new TextEncoder().encode(String(size)));
      await writer.close();
    });
  });
}

/** Seconds until the other end has told that it has all. */
async function stream(page: Page, peer: string, size: number): Promise<number> {
  const { seconds, told } = await page.evaluate(
    async ({ peer, size, chunk }) => {
      const bytes = new Uint8Array(chunk);
      const stream = await window.mine.open(peer, "sink");
      const began = performance.now();
      const writer = stream.writable.getWriter();
      for (let at = 0; at < size; at += chunk) await writer.write(bytes);
      await writer.close();
      const told = await new Response(stream.readable).text();
      return { seconds: (performance.now() - began) / 1000, told };
    },
    { peer, size, chunk: CHUNK },
  );
  expect(told).toBe(String(size));
  return seconds;
}

/** The same over the plain channel. */
async function raw(page: Page, size: number): Promise<number> {
  const { seconds, told } = await page.evaluate(
    async ({ size, chunk, buffer }) => {
      const bytes = new Uint8Array(chunk);
      const { channel } = window;
      const told = new Promise<string>((resolve) => (channel.onmessage = ({ data }) => resolve(data)));
      channel.bufferedAmountLowThreshold = buffer / 2;
      const began = performance.now();
      for (let at = 0; at < size; at += chunk) {
        if (channel.bufferedAmount >= buffer) await new Promise((resolve) => (channel.onbufferedamountlow = resolve));
        channel.send(bytes);
      }
      channel.send("end");
      return { told: await told, seconds: (performance.now() - began) / 1000 };
    },
    { size, chunk: CHUNK, buffer: BUFFER },
  );
  expect(told).toBe(String(size));
  return seconds;
}

/** Connects the two pages, with this test as the signalling. */
async function connectRaw(a: Page, b: Page): Promise<void> {
  const begin = (): Promise<void> => {
    window.raw = new RTCPeerConnection();
    window.channel = window.raw.createDataChannel("raw", { negotiated: true, id: 0 });
    window.channel.binaryType = "arraybuffer";
    let size = 0;
    window.channel.onmessage = ({ data }) => {
      if (typeof data !== "string") return (size += data.byteLength);
      window.channel.send(String(size));
      return (size = 0);
    };
    return Promise.resolve();
  };
  const describe = async (remote: RTCSessionDescriptionInit | null): Promise<RTCSessionDescriptionInit> => {
    const { raw } = window;
    if (remote) await raw.setRemoteDescription(remote);
    await raw.setLocalDescription();
    while (raw.iceGatheringState !== "complete") {
      await new Promise((resolve) => raw.addEventListener("icegatheringstatechange", resolve, { once: true }));
    }
    return raw.localDescription?.toJSON() as RTCSessionDescriptionInit;
  };
  await Promise.all([a.evaluate(begin), b.evaluate(begin)]);
  const answer = await b.evaluate(describe, await a.evaluate(describe, null));
  await a.evaluate(async (answer) => {
    await window.raw.setRemoteDescription(answer);
    if (window.channel.readyState !== "open") await new Promise((resolve) => (window.channel.onopen = resolve));
  }, answer);
}
