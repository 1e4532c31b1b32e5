// Browsers of this machine that are far from each other: what one sends to the other directly is delayed.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { BrowserContext } from "@playwright/test";

import { ownAddress } from "../../e2e/support/machine.ts";

/** Host candidates, those with mDNS names too, lead to a port that forwards; reflexive ones are left out. Proxies stay as they are. */
const INIT = `{
  const CANDIDATE = /^((?:a=)?candidate:\\S+ \\d+ udp \\d+) \\S+ (\\d+) typ host/i;
  const moved = async (line) => {
    if (/typ srflx/i.test(line)) return "";
    const [whole, start, port] = CANDIDATE.exec(line) ?? [];
    if (whole === undefined) return line;
    const { address, at } = await window.way(Number(port));
    return start + " " + address + " " + at + " typ host" + line.slice(whole.length);
  };
  const { setRemoteDescription, addIceCandidate } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.setRemoteDescription = async function ({ type, sdp }) {
    const lines = await Promise.all(sdp.split("\\r\\n").map(moved));
    const kept = lines.filter((line, at) => line !== "" || at === lines.length - 1);
    return setRemoteDescription.call(this, { type, sdp: kept.join("\\r\\n") });
  };
  RTCPeerConnection.prototype.addIceCandidate = async function (candidate) {
    if (!candidate?.candidate) return addIceCandidate.call(this, candidate);
    const line = await moved(candidate.candidate);
    if (line !== "") return addIceCandidate.call(this, { candidate: line, sdpMid: candidate.sdpMid, sdpMLineIndex: candidate.sdpMLineIndex });
  };
}`;

/** Forwards datagrams among the UDP ports of browsers on this machine; each way takes `delay` milliseconds. */
export class Apart {
  readonly #delay: number;
  readonly #address: string;
  /** For each port of a browser's, the one that stands for it. */
  readonly #ways = new Map<number, Promise<Socket>>();

  constructor(delay: number) {
    const address = ownAddress();
    if (address === undefined) throw new Error("this machine has no address but the loopback's");
    this.#delay = delay;
    this.#address = address;
  }

  /** Has what the browser's frames connect to be far away. */
  async part(browser: BrowserContext): Promise<void> {
    await browser.exposeBinding("way", async (_, port: number) => ({ address: this.#address, at: (await this.#way(port)).address().port }));
    await browser.addInitScript(INIT);
  }

  async close(): Promise<void> {
    for (const way of await Promise.all(this.#ways.values())) way.close();
  }

  #way(port: number): Promise<Socket> {
    const known = this.#ways.get(port) ?? this.#open(port);
    this.#ways.set(port, known);
    return known;
  }

  async #open(port: number): Promise<Socket> {
    const socket = createSocket("udp4").bind(0, this.#address);
    await once(socket, "listening");
    // It comes from the port that stands for its sender's.
    socket.on("message", (data, from) => {
      setTimeout(async () => (await this.#way(from.port)).send(data, port, this.#address), this.#delay);
    });
    return socket;
  }
}
