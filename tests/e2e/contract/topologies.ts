// Where the contract holds: which browsers its two ends run in, and on which sites.
import type { Scope } from "@bitters/host-sdk";

import type { Profile } from "../support/browsers.ts";
import * as firefox from "../support/firefox.ts";
import { chromium, type Driven } from "../support/tab.ts";
import * as webkit from "../support/webkit.ts";

/** Opens a browser; those of different places are different ones. */
type Open = (place: number) => Promise<Driven>;

/** Two ends, `a` and `b`, that talk with each other. */
export interface Topology {
  readonly name: string;
  /** What opens the browsers: one for both ends, or one for each. */
  readonly browsers: readonly [Open] | readonly [Open, Open];
  /** The ends' sites; the same site is the same persona, if the browser is the same, too. The first sees the whole node. */
  readonly sites: readonly ["a", "a" | "b"];
  /** Of the first end's node. */
  readonly scope: Scope;
  /** What leads the node of the first end. */
  readonly leader: "dedicated" | "shared";
  /** The badge's buttons by which the first end's person, who is asked, gets one node for all sites; none where nobody need be asked, or nobody is. */
  readonly consent: readonly string[];
  /** Why it can't be had on this machine, if so. */
  readonly missing: string | undefined;
}

const OLD = { init: "delete window.SharedWorker;" };
const BLOCKED: Profile = { thirdPartyCookies: "blocked" };
const FIREFOX = { missing: firefox.missing };

const inChromium = (profile?: Profile): Open => (place) => chromium(profile, place);
const inFirefox = (init?: { init: string }): Open => (place) => firefox.open(init, place);

const BRIDGED: Partial<Topology> = { sites: ["a", "b"], scope: "browser" };

/** Both ends are of one node. */
export const NEAR: readonly Topology[] = [
  near("Chromium: two sites", inChromium(), { sites: ["a", "b"], scope: "browser" }),
  near("Chromium: a site's tabs", inChromium(BLOCKED)),
  near("Chromium over the bridge: two sites", inChromium(BLOCKED), { ...BRIDGED, consent: ["yes", "open"] }),
  near("Chromium without SharedWorker: a site's tabs", inChromium(OLD), { leader: "dedicated" }),
  near("Firefox: a site's tabs", inFirefox(), FIREFOX),
  near("Firefox over the bridge: two sites", inFirefox(), { ...FIREFOX, ...BRIDGED, consent: ["yes"] }),
  near("WebKit: a site's tabs", webkit.open, { missing: webkit.missing }),
  // Debian's WebKit has no WebRTC, without which two sites are out of each other's reach.
  near("WebKit over the bridge: a site's tabs", webkit.open, { missing: webkit.missing, scope: "browser", consent: ["yes"] }),
];

/** Each end has a node of its own. */
export const FAR: readonly Topology[] = [
  far("Chromium and Chromium", inChromium(), inChromium(), { scope: "browser" }),
  far("Firefox and Chromium", inFirefox(), inChromium(), FIREFOX),
  far("Firefox over the bridge, and Chromium", inFirefox(), inChromium(), { ...FIREFOX, scope: "browser", consent: ["yes"] }),
  far("Firefox without SharedWorker, and Firefox", inFirefox(OLD), inFirefox(), { ...FIREFOX, leader: "dedicated" }),
];

export const TOPOLOGIES: readonly Topology[] = [...NEAR, ...FAR];

function near(name: string, open: Open, differs: Partial<Topology> = {}): Topology {
  return { name, browsers: [open], sites: ["a", "a"], scope: "site", leader: "shared", consent: [], missing: undefined, ...differs };
}

function far(name: string, here: Open, there: Open, differs: Partial<Topology> = {}): Topology {
  return { name, browsers: [here, there], sites: ["a", "b"], scope: "site", leader: "shared", consent: [], missing: undefined, ...differs };
}
