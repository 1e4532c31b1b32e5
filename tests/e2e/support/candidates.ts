// What a browser is given of others' network addresses, and what it could give of its own: each frame of a node's notes it.
import type { Tab } from "./tab.ts";

/** What a frame noted. Candidates are an address and a port. */
export interface Noted {
  /** Candidates that its connections were given to try. */
  readonly given: string[];
  /** Candidates that they gathered. */
  readonly gathered: string[];
  /** What came on their channels, as bytes in hexadecimal. */
  readonly came: string[];
}

declare global {
  interface Window {
    noted: Noted;
  }
}

/** Runs in every frame before the node. */
export const NOTES = `{
  const noted = (window.noted = { given: [], gathered: [], came: [] });
  const note = (list, text) => {
    for (const [, address, port] of text.matchAll(/candidate:\\S+ \\d+ udp \\d+ (\\S+) (\\d+) typ/gi)) list.push(address + " " + port);
  };
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args);
      this.addEventListener("icecandidate", ({ candidate }) => note(noted.gathered, candidate?.candidate ?? ""));
    }
    setRemoteDescription(description) {
      note(noted.given, description.sdp);
      return super.setRemoteDescription(description);
    }
    addIceCandidate(candidate) {
      note(noted.given, candidate?.candidate ?? "");
      return super.addIceCandidate(candidate);
    }
    createDataChannel(...args) {
      const channel = super.createDataChannel(...args);
      channel.addEventListener("message", ({ data }) =>
        noted.came.push(Array.from(new Uint8Array(data), (byte) => byte.toString(16).padStart(2, "0")).join("")));
      return channel;
    }
  };
}`;

/** What the node's frame in a page has noted. */
export const noted = (tab: Tab, node: string): Promise<Noted> => tab.evaluateIn(node, () => window.noted);

/** How a candidate with an IPv4 address is written in messages: nothing for others. */
export function inMessages(candidate: string): string[] {
  const [address = "", port] = candidate.split(" ");
  const bytes = address.split(".").map(Number);
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
  return bytes.length === 4 ? [bytes.map((byte) => hex(byte, 2)).join("") + hex(Number(port), 4)] : [];
}
