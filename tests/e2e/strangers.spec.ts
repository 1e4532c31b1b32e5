// A peer that writes down all that it is told by two ids of one person: it has no more in common than what two people's ids tell.
import type { Page } from "@playwright/test";
import type { Status } from "@bitters/host-sdk";

import { frameOf } from "./support/alive.ts";
import { enter, heard, hearsOnly, meet, reach, say } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

/** Of one connection: the descriptions and the messages that came, as text and as bytes in hexadecimal. */
interface Told {
  readonly descriptions: string[];
  readonly messages: string[];
}

declare global {
  interface Window {
    /** Whether a link stayed where it was. */
    steady: boolean;
    /** Of each connection that the nosy frame made, in order. */
    brought: Told[];
  }
}

/** Frames write down what their connections bring. */
const NOSY = `
  window.brought = [];
  const Connection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    told = { descriptions: [], messages: [] };
    constructor(...given) {
      super(...given);
      window.brought.push(this.told);
    }
    setRemoteDescription(description) {
      this.told.descriptions.push(description.sdp);
      return super.setRemoteDescription(description);
    }
    addIceCandidate(candidate) {
      this.told.descriptions.push(candidate?.candidate ?? "");
      return super.addIceCandidate(candidate);
    }
    createDataChannel(...given) {
      const channel = super.createDataChannel(...given);
      channel.addEventListener("message", ({ data }) =>
        this.told.messages.push(Array.from(new Uint8Array(data), (byte) => byte.toString(16).padStart(2, "0")).join("")));
      return channel;
    }
  };`;

test("a peer of two sites of one browser is told nothing by both that two people's browsers don't tell as well", async ({ browse, connect, server }) => {
  const [one, two, three] = await Promise.all([browse(), browse(), browse({ init: NOSY })]);
  const sites = [await connect(one, "b"), await connect(one, "c"), await connect(two, "c")];
  const nosy = await connect(three, "d");
  const secret = ["of b", "of c", "of the other c"];
  for (const [at, site] of sites.entries()) {
    await enter(site, secret[at] as string);
    await site.evaluate(() => void window.mine.answer("echo", (data) => data));
  }

  const told: Told[] = [];
  for (const site of sites) {
    const frame = frameOf(nosy, server);
    const before = await frame.evaluate(() => window.brought.length);
    const peer = await reach(nosy, await idOf(site));
    expect(await nosy.evaluate((peer) => window.mine.call(peer, "echo", "hello"), peer)).toBe("hello");
    told.push(await frame.evaluate((before) => {
      const since = window.brought.slice(before);
      return { descriptions: since.flatMap(({ descriptions }) => descriptions), messages: since.flatMap(({ messages }) => messages) };
    }, before));
  }
  const [ofB = new Set<string>(), ofC = new Set<string>(), ofControl = new Set<string>()] = told.map(valuesOf);

  for (const values of [ofB, ofC, ofControl]) expect(values.size).toBeGreaterThan(200);
  expect([...ofB].filter((value) => ofC.has(value) && !ofControl.has(value))).toEqual([]);
});

test("two sites of one browser in one topic hear each other by the network, and when the one goes away nothing of the other's moves", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [a, b, far] = [await connect(one, "a"), await connect(one, "b"), await connect(two, "c")];
  await meet("all", a, b, far);
  await hearsOnly(b, a, "all", "from site to site");
  // `a` sees the whole node: each of its own links starts at a frame of its own, and the other site's at that one's.
  const links = (): Promise<string[]> =>
    a.evaluate(async () => {
      const { frames, peers } = await window.mine.status();
      const persona = (id: string): string | undefined => frames.find((frame) => frame.id === id)?.persona;
      return peers.map(({ id, persona: own, frames }) => `${own} to ${id} in frames of ${[...new Set(frames.map(persona))]}`).sort();
    });
  const [idA, idB, idFar] = await Promise.all([a, b, far].map(idOf));
  const link = (own?: string, peer?: string): string => `${own} to ${peer} in frames of ${own}`;
  const all = [link(idA, idB), link(idA, idFar), link(idB, idA), link(idB, idFar)].sort();
  await expect.poll(links).toEqual(all);

  await watchLink(a, idA as string, idFar as string);
  await b.close();
  await expect.poll(links).toEqual([link(idA, idFar)]);
  await say(a, "all", "still here");
  await expect.poll(async () => (await heard(far, "all")).at(-1)?.data).toBe("still here");
  expect(await a.evaluate(() => window.steady)).toBe(true);
});

/** Notes whether the link between these two goes, or goes to another frame. */
const watchLink = (page: Page, own: string, peer: string): Promise<void> =>
  page.evaluate(
    async ({ own, peer }) => {
      const carrier = ({ peers }: Status): string | undefined =>
        peers.find((link) => link.persona === own && link.id === peer)?.frames[0];
      const before = carrier(await window.mine.status());
      window.steady = before !== undefined;
      void (async () => {
        for await (const status of window.mine.watch()) window.steady &&= carrier(status) === before;
      })();
    },
    { own, peer },
  );

/** Texts that are addresses: bytes in base64. Their length stands before them, of which no byte looks like a part of one. */
const BASE64 = /[\w-]{60,}/g;

/**
 * Values that somebody could compare: words of descriptions, but for network addresses, and each eight bytes of the messages. Addresses of personas
 * count as the bytes that they spell: how a server's own address is spelled within them depends on where it stands.
 */
function valuesOf({ descriptions, messages }: Told): Set<string> {
  // Who is active is a toss of two random fingerprints.
  const lines = descriptions.flatMap((text) => text.split(/\r?\n/)).filter((line) => !/candidate:|^c=|^m=|^a=setup:/.test(line));
  const words = lines.flatMap((line) => line.split(/[\s:=]+/)).filter((word) => word.length > 3);
  const texts = messages.map((hex) => Buffer.from(hex, "hex").toString("latin1"));
  const plain = texts.flatMap((text) => text.split(BASE64));
  const spelled = texts.flatMap((text) => text.match(BASE64) ?? []).map((text) => Buffer.from(text, "base64url").toString("latin1"));
  return new Set([...words, ...[...plain, ...spelled].flatMap(windowsOf)]);
}

/** Each eight bytes of a text. */
const windowsOf = (text: string): string[] => Array.from({ length: Math.max(0, text.length - 7) }, (_, at) => text.slice(at, at + 8));
