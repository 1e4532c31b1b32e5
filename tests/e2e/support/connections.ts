// The connections that a node's frame made.
import type { Page } from "@playwright/test";

import { frameOf } from "./alive.ts";
import type { Server } from "./server.ts";

declare global {
  interface Window {
    /** The connections that the frame made. */
    connections: RTCPeerConnection[];
  }
}

/** Runs in every frame before the node: keeps its connections for the test to look at. */
export const KEEP = `{
  window.connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args);
      window.connections.push(this);
    }
  };
}`;

/** The credentials of the frame's connections that are up. */
export const credentials = (page: Page, server: Server): Promise<(string | undefined)[]> =>
  frameOf(page, server).evaluate(() =>
    window.connections
      .filter(({ connectionState }) => connectionState === "connected")
      .map(({ localDescription }) => /ice-ufrag:(\S+)/.exec(localDescription?.sdp ?? "")?.[1]),
  );
