// The first module of the node's pages: an iframe's or the node's own.
import init, { start } from "#glue";

import { keepOffline } from "./offline.ts";

declare const BUILD: string;
declare const WASM_URL: string;
declare const ADDRESSES_URL: string;
declare const CONSENT_URL: string;
declare const EXCHANGE_URL: string;
declare const LEADER_URL: string;
declare const LINK_URL: string;
declare const PAGE_URL: string;
declare const DEDICATED_URL: string;

/** What the node's own page has and badges don't. */
const page = () => import(new URL(PAGE_URL, location.href).href);

// Somebody is here: a site that seeks the person's node waits for the rest, however slow the network.
if (parent !== window) parent.postMessage({ bitters: "begun" }, "*");

document.documentElement.dataset.face = parent === window ? "page" : "badge";
try {
  await init({ module_or_path: WASM_URL });
  start({
    build: BUILD,
    leader: new URL(LEADER_URL, location.href).href,
    // Loaded when somebody wants an address, or has one.
    addresses: () => import(new URL(ADDRESSES_URL, location.href).href),
    // Loaded when the person is asked.
    consent: () => import(new URL(CONSENT_URL, location.href).href),
    exchange: new URL(EXCHANGE_URL, location.href).href,
    // Loaded when the node's own page was opened by a link of the overlay's scheme.
    link: () => import(new URL(LINK_URL, location.href).href),
    page,
    // Loaded only where there is no SharedWorker.
    dedicated: () => import(new URL(DEDICATED_URL, location.href).href),
    dedicatedWorker: new URL(DEDICATED_URL, location.href).href,
  });
  void keepOffline();
} catch (error) {
  fail(error);
}
if (parent === window) page().then(({ offerPreference }) => offerPreference(), warn);

/** Says that nothing runs here: to the person, and to a site that says hello. */
function fail(error: unknown): void {
  warn(error);
  document.documentElement.dataset.state = "failed";
  if (parent === window) return;
  const nonce = crypto.randomUUID();
  addEventListener("message", ({ data, ports: [port], source }) => {
    if (source !== parent || data?.bitters !== "hello" || data.nonce !== nonce) return;
    port?.postMessage({ id: 0, tell: { failed: { code: "NoNode", message: "the node can't be loaded", retryable: false } } });
  });
  parent.postMessage({ bitters: "ready", nonce }, "*");
}

function warn(error: unknown): void {
  console.error("bitters: the node can't be loaded:", error);
}
