/** `browser`: one node for all sites of this browser. `site`: one for this site. */
export type Scope = "browser" | "site";

/** The node, as this site may see it: its own part, or with the `observe` permission all of it. */
export interface Status {
  /** How much one node covers. */
  scope: Scope;
  /** The node's leader; only with `observe`. */
  leader?: LeaderStatus | undefined;
  /** Frames, oldest first; a site sees its own. */
  frames: FrameStatus[];
  /** The personas that this site talks with; with `observe` those that any persona of the node is linked to, once for each such pair. */
  peers: PeerStatus[];
  /** Seeds known; 0 without `observe`. */
  seeds: number;
  /** Topics joined: their ids on the wire. */
  topics: string[];
  /** What doesn't work as it should, for people. */
  warnings: string[];
}

/** The leader. */
export interface LeaderStatus {
  /** Its leadership; later ones are higher. */
  epoch: number;
  /** Its worker's boot. */
  boot: string;
  /** What leads: a SharedWorker or a frame's dedicated worker. */
  kind: "dedicated" | "shared";
  /** Its build. */
  build: string;
}

/** One iframe of the node. */
export interface FrameStatus {
  /** Which. */
  id: string;
  /** The embedding page's origin. */
  origin: string;
  /** The persona of this node that it belongs to; only with `observe`. */
  persona?: string | undefined;
  /** Links that it holds. */
  links: number;
  /** Whether its page is visible. */
  visible: boolean;
}

/** One peer. */
export interface PeerStatus {
  /** A persona's id. */
  id: string;
  /** The persona of this node that it belongs to; only with `observe`. */
  persona?: string | undefined;
  /** Links to it. */
  links: number;
  /** Round trip in milliseconds; only with `observe`. */
  rtt?: number | undefined;
  /** How it is reached: `proxied` over the server, as the connection opens or because one of the sites hasn't accepted the other. */
  path: "direct" | "proxied" | "relayed";
  /** The frames that hold the links; only with `observe`. */
  frames: string[];
}
