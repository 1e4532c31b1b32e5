// Finding and joining the person's node.

import type { BittersNode, connect } from "@bitters/host-sdk";
import { find } from "./dom.js";

/**
 * Connects to the node. The SDK comes from the node itself, so a page needs no package and no build. With `?mine` in the page's address the
 * choice is the person's: the node whose page they made their own, whoever made its software, else this one.
 */
export async function connectHere(): Promise<BittersNode> {
  const node = nodeOrigin();
  const { connect } = await sdkOf(node);
  const badge = find("badge");
  return new URLSearchParams(location.search).has("mine") ? connect({ fallback: node, badge }) : connect({ node, badge });
}

async function sdkOf(node: string): Promise<{ connect: typeof connect }> {
  try {
    return (await import(`${node}/sdk/bitters.js`)) as { connect: typeof connect };
  } catch (cause) {
    throw new Error(`The node at ${node} can’t be reached. Is it running?`, { cause });
  }
}

/** On localhost the node is this site's neighbour; elsewhere the address says `?node=https://…`. */
function nodeOrigin(): string {
  if (location.hostname.endsWith(".localhost")) return origin("node");
  const asked = new URLSearchParams(location.search).get("node");
  if (!asked || !URL.canParse(asked)) throw new Error("Which node? Add ?node=https://… to this page’s address.");
  return trusted(new URL(asked));
}

/** The origin of a neighbour of this site on localhost: the same scheme and port, another name. */
export function origin(name: string): string {
  return `${location.protocol}//${name}.localhost${location.port && `:${location.port}`}`;
}

/** A node's software runs in this page, and whoever wrote the link chose the node: so the person decides, unless it is local. */
function trusted(node: URL): string {
  const local = /^(localhost|.*\.localhost|127\.0\.0\.1|\[::1\])$/.test(node.hostname);
  const web = node.protocol === "https:" || node.protocol === "http:";
  if (!web || !(local || confirm(`Use the node of ${node.host}? Its software will run in this page.`))) {
    throw new Error("This node was not used.");
  }
  return node.origin;
}
