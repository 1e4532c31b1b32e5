// A call: sound and pictures between two pages. The connection is the site's own; the node carries its offers and answers.

import type { BittersNode } from "@bitters/host-sdk";

const MAX_NAME = 24;

/** The method by which one site rings the other. */
export const RING = "bitters-demo-ring";

/** What the caller says of itself and of the call. */
export interface Ring {
  name: string;
  label: string;
}

/** What became of the ringing. */
export type Answer = "accepted" | "busy" | "declined";

/** Anybody may ring, and say anything. */
export function parseRing(data: unknown): Ring {
  const { name, label } = (data ?? {}) as Record<string, unknown>;
  if (typeof label !== "string" || !/^[\w-]{1,40}$/.test(label)) throw new Error("They don’t speak this demo’s language.");
  return { name: (typeof name === "string" && name.trim().slice(0, MAX_NAME)) || "somebody", label };
}

/** Camera and microphone, and the screen if it is shared, on their way to one peer. */
export class Call {
  readonly camera: MediaStream;
  readonly #pc = new RTCPeerConnection();
  #screen: MediaStream | undefined;

  /** `shown` is told of each stream that comes from the peer. */
  constructor(camera: MediaStream, shown: (stream: MediaStream) => void) {
    this.camera = camera;
    this.#pc.addEventListener("track", ({ streams: [stream] }) => stream && shown(stream));
    this.#add(camera);
  }

  /** Talks until one of the two hangs up; `begun` is told when both are there. Rejects when the peer is gone. */
  async talk(node: BittersNode, peer: string, label: string, hungUp: AbortSignal, begun: () => void): Promise<void> {
    try {
      const { closed } = await node.signal(this.#pc, peer, { label, signal: hungUp });
      begun();
      await closed;
    } finally {
      this.#pc.close();
      this.#stopScreen();
    }
  }

  /** Sends sound (`audio`) or pictures (`video`) of the camera, or silence and black. */
  enable(kind: "audio" | "video", enabled: boolean): void {
    for (const track of this.camera.getTracks()) if (track.kind === kind) track.enabled = enabled;
  }

  /** Shows the screen, too; `ended` is told when the person ends it in the browser. */
  async shareScreen(ended: () => void): Promise<void> {
    const screen = await navigator.mediaDevices.getDisplayMedia({ video: true });
    if (this.#pc.signalingState === "closed") return screen.getTracks().forEach((track) => track.stop());
    this.#screen = screen;
    for (const track of screen.getTracks()) track.addEventListener("ended", ended);
    this.#add(screen);
  }

  /** Shows it no longer. */
  unshareScreen(): void {
    const tracks = this.#screen?.getTracks() ?? [];
    for (const sender of this.#pc.getSenders()) if (sender.track && tracks.includes(sender.track)) this.#pc.removeTrack(sender);
    this.#stopScreen();
  }

  /** Nothing more is needed after a track is added or removed: `node.signal` hears that the connection wants to negotiate. */
  #add(stream: MediaStream): void {
    for (const track of stream.getTracks()) this.#pc.addTrack(track, stream);
  }

  #stopScreen(): void {
    this.#screen?.getTracks().forEach((track) => track.stop());
    this.#screen = undefined;
  }
}
