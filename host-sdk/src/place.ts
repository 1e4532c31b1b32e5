// Where the iframe is in the page: how it looks there, and what happens when the page takes it away.

import { badArgument } from "./error.js";
import type { Port } from "./port.js";

/** The corner, out of sight, or an element of the site's. */
export type Badge = "auto" | "hidden" | HTMLElement;

const BADGES = {
  auto: "position:fixed;width:132px;height:36px;right:12px;bottom:12px;z-index:2147483647;",
  // Not `display: none`: its frame must run.
  hidden: "position:fixed;width:1px;height:1px;opacity:0;",
  within: "display:block;width:100%;height:36px;",
};

/** How often within `MINUTE` milliseconds the iframe is put back by itself: a framework swaps the body at each visit, a page at war never stops. */
const MAX_RETURNS = 3;
const MINUTE = 60_000;

export class Place {
  readonly iframe: HTMLIFrameElement = document.createElement("iframe");
  /** The window that said `ready` last. A window that leaves the document is gone for good; the iframe gets another when it is put back. */
  spoken: Window | undefined;
  #badge!: Badge;
  /** Whether it isn't in the document, as far as was noticed. */
  #away = true;
  /** When it was taken away, within the last minute. */
  #taken: number[] = [];
  readonly #port: Port;
  readonly #gone: () => void;
  readonly #observer = new MutationObserver(() => this.look());

  /** `gone` is told when the page took the iframe away, and it isn't put back. @throws `BadArgument` for what is no badge. */
  constructor(badge: Badge, port: Port, gone: () => void) {
    this.#hold(badge);
    this.#port = port;
    this.#gone = gone;
    this.iframe.title = "bitters node";
    this.iframe.allow = "storage-access *";
  }

  /** As small as the site wants it. */
  dress(): void {
    const badge = this.#badge;
    this.iframe.style.cssText = "border:0;color-scheme:light dark;" + BADGES[typeof badge == "string" ? badge : "within"];
    this.iframe.inert = badge == "hidden";
  }

  /** Puts the iframe into the page, unless it is there, or elsewhere in the page. @throws `BadArgument` for what is no badge. */
  put(badge?: Badge): void {
    if (badge) this.#hold(badge);
    const home = this.#home();
    if (this.iframe.isConnected && (!badge || this.iframe.parentNode == home)) return;
    this.dress();
    home?.append(this.iframe);
    this.#watch(document);
    this.look();
  }

  /** Something has changed: in the page, or where in the page the iframe is. */
  look(): void {
    const { iframe } = this;
    // A change is told in the tree in which it happens, and each shadow root has a tree of its own.
    for (let node: Node | undefined = iframe; node; ) {
      const root: Node = node.getRootNode();
      this.#watch(root);
      node = (root as Partial<ShadowRoot>).host;
    }
    // A port doesn't tell when its other end is gone.
    if (this.spoken && this.spoken != iframe.contentWindow) {
      this.spoken = undefined;
      this.#port.lost();
    }
    const wasAway = this.#away;
    this.#away = !iframe.isConnected;
    if (wasAway || !this.#away) return;
    const now = performance.now();
    this.#taken = this.#taken.filter((time) => now - time < MINUTE);
    if (typeof this.#badge != "string" || this.#taken.push(now) > MAX_RETURNS || !this.#home()) this.#gone();
    else this.put();
  }

  /** For good. */
  takeOut(): void {
    this.#observer.disconnect();
    this.iframe.remove();
  }

  #watch(root: Node): void {
    this.#observer.observe(root, { childList: true, subtree: true });
  }

  #home(): HTMLElement | null {
    return typeof this.#badge == "string" ? (document.body ?? document.documentElement) : this.#badge;
  }

  #hold(badge: Badge): void {
    if (badge != "auto" && badge != "hidden" && !(badge instanceof HTMLElement)) throw badArgument("badge");
    this.#badge = badge;
    this.dress();
  }
}
