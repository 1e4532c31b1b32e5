// An address dialled by hand, by who needn't play by the rules: peer-protocol's packing, without our code.
import { createHash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

import type { Page } from "@playwright/test";

/** What an address says. */
export interface Said {
  readonly proxy: { readonly ip: string; readonly port: number };
  /** SHA-256 of the listener's certificate. */
  readonly fingerprint: Buffer;
  /** What the proxy knows the listener by. */
  readonly token: Buffer;
}

/** Reads an address with one IPv4 proxy. */
export function read(address: string): Said {
  const bytes = Buffer.from(address, "base64url");
  const [version, head = 0, family, ...ip] = bytes.subarray(0, 7);
  if (![1, 2].includes(version ?? 0) || (head & 15) !== 1 || family !== 4) throw new Error(`not an address with one IPv4 proxy: ${address}`);
  const [fingerprint, key] = [bytes.subarray(9, 41), bytes.subarray(41, 73)];
  const token = createHash("sha256").update("bitters/token/1").update(Buffer.of(head >> 4)).update(key).update(fingerprint).digest().subarray(0, 6);
  return { proxy: { ip: ip.join("."), port: bytes.readUInt16BE(7) }, fingerprint, token };
}

/** Another fingerprint that sorts as this one does, so that the parts in DTLS stay the same. */
export function another(fingerprint: Buffer): Buffer {
  const other = Buffer.from(fingerprint);
  other[31] = (other[31] ?? 0) ^ 1;
  return other;
}

/** What a dialler believes, and what it says. */
export interface Manner {
  /** The fingerprint that the dialler believes the listener to have. */
  readonly believed: Buffer;
  /** Whether it tells the listener of another certificate than its own. */
  readonly lies?: boolean;
}

/** What became of a connection. */
export interface Outcome {
  /** Whether the channel opened. */
  readonly opened: boolean;
  readonly connection: RTCPeerConnectionState;
  readonly dtls: RTCDtlsTransportState | undefined;
  /** Whether it reached the listener's browser: ICE found a pair. */
  readonly reached: boolean;
}

/** Dials from a page, and waits until the channel opens or the connection has failed. */
export function dialByHand(page: Page, { proxy, fingerprint, token }: Said, { believed, lies = false }: Manner): Promise<Outcome> {
  return page.evaluate(
    async ({ proxy, listeners, believed, token, lies }) => {
      const pc = new RTCPeerConnection();
      const channel = pc.createDataChannel("control", { negotiated: true, id: 0 });
      const { sdp = "" } = await pc.createOffer();
      await pc.setLocalDescription({ type: "offer", sdp });
      const field = (name: string): string => new RegExp(`^a=${name}:(.+?)\\r?$`, "m").exec(sdp)?.[1] ?? "";
      const own = field("fingerprint").replace("sha-256 ", "").split(":").map((digits) => Number.parseInt(digits, 16));
      const told = lies ? own.map((byte, at) => (at === 31 ? byte ^ 1 : byte)) : own;
      const base64 = (bytes: number[]): string => btoa(String.fromCharCode(...bytes)).replaceAll("=", "");
      const hex = (bytes: number[]): string => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":").toUpperCase();
      // Who has the lower fingerprint waits.
      const setup = hex(own) < hex(listeners) ? "active" : "passive";
      const answer = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        `a=ice-ufrag:b${base64(token)}${base64(told)}${field("ice-pwd")}`,
        "a=ice-pwd:bitters/unsignalled/1/public",
        `a=fingerprint:sha-256 ${hex(believed)}`,
        `a=setup:${setup}`,
        "a=mid:0",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        `a=candidate:1 1 udp 16777215 ${proxy.ip} ${proxy.port} typ relay raddr 0.0.0.0 rport 0`,
        "",
      ];
      let reached = false;
      const over = new Promise<void>((resolve) => {
        channel.onopen = () => resolve();
        pc.oniceconnectionstatechange = () => (reached ||= pc.iceConnectionState === "connected");
        pc.onconnectionstatechange = () => pc.connectionState === "failed" && resolve();
      });
      await pc.setRemoteDescription({ type: "answer", sdp: answer.join("\r\n") });
      await over;
      const outcome = { opened: channel.readyState === "open", connection: pc.connectionState, dtls: pc.sctp?.transport.state, reached };
      pc.close();
      return outcome;
    },
    { proxy, listeners: [...fingerprint], believed: [...believed], token: [...token], lies },
  );
}

/** A check for the listener, as a dialler's browser sends it; but that it doesn't verify. */
export function forgedCheck({ token }: Said): Buffer {
  const bare = (bytes: Buffer): string => bytes.toString("base64").replaceAll("=", "");
  const packed = `b${bare(token)}${bare(randomBytes(32))}${bare(randomBytes(18))}`;
  const attributes = [attribute(0x0006, Buffer.from(`${packed}:${bare(randomBytes(3))}`)), attribute(0x0008, randomBytes(20))];
  const header = Buffer.alloc(20);
  header.writeUInt16BE(0x0001, 0);
  header.writeUInt32BE(0x2112a442, 4);
  randomBytes(12).copy(header, 8);
  const body = Buffer.concat(attributes);
  header.writeUInt16BE(body.length + 8, 2);
  const checksum = Buffer.alloc(4);
  // RFC 8489, section 14.7.
  checksum.writeUInt32BE((crc32(Buffer.concat([header, body])) ^ 0x5354554e) >>> 0);
  return Buffer.concat([header, body, attribute(0x8028, checksum)]);
}

function attribute(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}
