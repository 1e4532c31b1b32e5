// The line that says how things stand.

import type { BittersNode } from "@bitters/host-sdk";
import { origin } from "./connect.js";
import { find } from "./dom.js";

declare global {
  interface Window {
    /** The connected node, handy in the browser's console. */
    node?: BittersNode;
  }
}

/** What an error means to the person. */
const KINDLY: Readonly<Record<string, string>> = {
  Denied: "The node said no to this site.",
  LeaderLost: "The node changed its leader just then. Please try again.",
  NoNode: "The node can’t be reached. Is it running?",
  NotAllowedError: "The browser wasn’t allowed to use them.",
  NotFoundError: "There is no camera or no microphone here.",
  NotReadableError: "Another program uses the camera or the microphone.",
  PeerUnreachable: "They can’t be reached right now.",
  Quota: "That was more than the node allows this site. Wait a moment and try again.",
  Timeout: "That took too long. Please try again.",
  TooLarge: "That is too long for one message. Send it as a file.",
  VersionMismatch: "This page and the node are of different versions. Reload the page.",
};

/** Words for whatever went wrong: the node's errors have a code, the browser's a name. */
export function explain(error: unknown): string {
  const { code, name, message } = (error ?? {}) as Record<string, unknown>;
  for (const known of [code, name]) if (typeof known === "string" && Object.hasOwn(KINDLY, known)) return KINDLY[known] ?? known;
  return typeof message === "string" && message ? message : "Something went wrong.";
}

/** Shows that the node answered, who we are on it and how far it reaches. */
export function showConnected(node: BittersNode): void {
  window.node = node;
  say("connected");
  const tell = (): void => {
    find("me").textContent = node.id;
    find("scope").textContent = node.scope;
    find("reach").textContent =
      node.scope === "browser" ? "one node for all sites in this browser" : "one node for this site alone";
  };
  tell();
  node.addEventListener("identity", tell);
  node.addEventListener("scope", tell);
}

/** Shows what went wrong. */
export function showFailed(error: unknown): void {
  console.error(error);
  say(explain(error), "failed");
}

/** Points the link to the neighbour site at its real address, which depends on the port. */
export function showNeighbour(name: string): void {
  const link = find<HTMLAnchorElement>("neighbour");
  link.hidden = !location.hostname.endsWith(".localhost");
  link.href = origin(name);
}

function say(text: string, state: "connected" | "failed" = "connected"): void {
  find("status").textContent = text;
  document.documentElement.dataset["state"] = state;
}
