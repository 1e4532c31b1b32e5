// What most pages never need: finding the node that the person prefers, saying what forbids a node, waiting for a page to be shown, and
// room for a badge that asks.
// Loaded when the first of them is.

import type { BittersError, Fault } from "./error.js";
import { BEGUN_WITHIN } from "./limits.js";
import type { Begun, Ready, Room } from "./rpc.js";

/** A node that is looked for. */
export interface Search {
  /** The one that the site chose. */
  chosen: URL | undefined;
  /** Gives it up, before and after there is a node. */
  close: (error: BittersError) => void;
  /** The SDK's one class of errors: a copy in this module would be another. */
  fault: Fault;
  /** Where it is shown. */
  iframe: HTMLIFrameElement;
  /** Aborted when it is given up or the node is closed. */
  life: AbortController;
  /** The origin of the node, once that is known. */
  owner: () => string | undefined;
  /** Shows a node: from now on no other is heard. */
  show: (url: URL) => void;
  /** The node for persons who prefer none. */
  spare: URL | undefined;
}

/** Leads to the page that the person registered for it. A browser in which none is does nothing, and doesn't say so. */
const PREFERRED = "web+overlay:connect";

/** Milliseconds that the preferred node has to begin: connections over slow networks, and a page from a cache. */
const PREFERRED_WITHIN = 3000;

/** CSS pixels that a badge may take, which leave the page what matters in it. */
const MAX_WIDTH = 400;
const MAX_HEIGHT = 300;

/** CSS pixels between the badge and the edges of the window. */
const MARGIN = 12;

/** Resolves when a page that is prerendered is shown, or the signal is aborted. */
export async function shown(signal: AbortSignal | undefined): Promise<void> {
  if (!(document as { prerendering?: boolean }).prerendering || signal?.aborted) return;
  const over = new AbortController();
  await new Promise((resolve) => {
    for (const [target, type] of [[document, "prerenderingchange"], [signal, "abort"]] as const) target?.addEventListener(type, resolve, over);
  });
  over.abort();
}

/**
 * The preferred node is asked; whether there is one, no browser tells. Where nothing begins for a while, or nothing could have been
 * registered, there is none. If the site gave a timeout, a quarter of it is left to the fallback.
 */
export function seek(search: Search, timeout: number | undefined): void {
  const { chosen, close, fault, iframe, life, owner, show } = search;
  const missing = missingOf(iframe.sandbox);
  if (missing) return close(new fault("Unsupported", `sandbox: ${missing} is missing`));
  if (chosen) return show(chosen);
  const absent = (): void => {
    if (!owner()) settle(search, new fault("NoNode", "no node is preferred, and there is no fallback"));
  };
  // Safari would tell the person that there is no such scheme.
  if (!("registerProtocolHandler" in navigator)) return absent();
  iframe.src = PREFERRED;
  let hasBegun = false;
  const timers = [setTimeout(() => hasBegun || absent(), Math.min(PREFERRED_WITHIN, (timeout ?? Infinity) / 2))];
  if (timeout !== undefined) timers.push(setTimeout(absent, Math.min(BEGUN_WITHIN, timeout * 0.75)));
  const onBegun = (): void => {
    if (!hasBegun && timeout === undefined) timers.push(setTimeout(absent, BEGUN_WITHIN));
    hasBegun = true;
  };
  life.signal.addEventListener("abort", () => timers.forEach(clearTimeout));
  addEventListener("message", (event) => onMessage(search, event, onBegun), life);
}

/** This page's own headers may forbid the node; then nothing will ever come of it. */
export function forbid(search: Search, event: SecurityPolicyViolationEvent): void {
  const { close, fault, iframe, owner } = search;
  if (event.effectiveDirective != "frame-src" || event.disposition != "enforce") return;
  if (!iframe.src || !isMeant(event.blockedURI, iframe.src)) return;
  const error = new fault("Unsupported", `Content-Security-Policy: frame-src forbids ${iframe.src}`);
  if (iframe.src != PREFERRED) close(error);
  else if (!owner()) settle(search, error);
}

/** Whether a report that tells so much of a URL means this one: its scheme, its origin, or nothing of a scheme that Chromium doesn't know. */
function isMeant(blocked: string, src: string): boolean {
  return src == PREFERRED ? PREFERRED.startsWith(blocked) : URL.canParse(blocked) && new URL(blocked).origin == new URL(src).origin;
}

/**
 * As much room as the badge wants, within these bounds and the window's. In an element of the site's that is wide enough it grows down; else
 * it is in the corner and grows up and to the left. A hidden one is seen and may be clicked meanwhile.
 */
export function grow(iframe: HTMLIFrameElement, room: Partial<Room> | null, dress: () => void): void {
  dress();
  const width = Math.min(pixels(room?.width), MAX_WIDTH);
  const height = Math.min(pixels(room?.height), MAX_HEIGHT);
  if (!width || !height) return;
  const { offsetWidth, style } = iframe;
  if (style.position == "fixed" || (offsetWidth && offsetWidth < width)) {
    style.cssText += `position:fixed;inset:auto ${MARGIN}px ${MARGIN}px auto;opacity:1;z-index:2147483647;width:${width}px;max-width:calc(100vw - ${2 * MARGIN}px);`;
  }
  style.cssText += `height:${height}px;max-height:calc(100vh - ${2 * MARGIN}px);`;
  iframe.inert = false;
}

/**
 * What a sandbox must allow and doesn't: the page's own, which holds for all that it embeds, or one that somebody put around the
 * iframe. A file's page has no origin either, but isn't in a sandbox.
 */
function missingOf(sandbox: DOMTokenList): string | undefined {
  if (origin == "null" && location.protocol != "file:") return "allow-same-origin";
  return ["allow-same-origin", "allow-scripts"].find((needed) => sandbox.length && !sandbox.contains(needed));
}

/** None is preferred: the fallback is shown, or that is that. What its abandoned document says late bears another origin. */
function settle({ close, show, spare }: Search, error: BittersError): void {
  if (spare) show(spare);
  else close(error);
}

/**
 * What a document says that the scheme led to. If the iframe was put back and the person prefers another node now, that knows nothing of
 * what this site asked of the first. What was abandoned for the fallback may speak late.
 */
function onMessage({ close, fault, iframe, owner }: Search, event: MessageEvent<Partial<Begun | Ready> | null>, onBegun: () => void): void {
  const { data, origin, source } = event;
  if (source != iframe.contentWindow || iframe.src != PREFERRED) return;
  const known = owner();
  if (data?.bitters == "begun" && !known) onBegun();
  if (data?.bitters == "ready" && known && origin != known) close(new fault("NoNode", "another node is preferred now"));
}

/** The node's page is another's: what it says may be anything. */
function pixels(length: unknown): number {
  return typeof length == "number" && length > 0 ? Math.ceil(length) : 0;
}
