import { BittersError, badArgument } from "./error.js";
import { type Limited, limit } from "./limits.js";
import { BittersNode, update } from "./node.js";
import { Port } from "./port.js";
import type { Search } from "./rare.js";
import { type HostHello, type Identity, type Ready, type SiteWelcome, VERSIONS } from "./rpc.js";

/** How to find the person's node, and where to show it. */
export interface ConnectOptions {
  /** The node's page. Omitted: the node that the person prefers, else `fallback`. */
  node?: string | URL | undefined;
  /** The node for persons who prefer none. */
  fallback?: string | URL | undefined;
  /** The node's badge: in the corner, hidden, or in an element of the site's. It takes more room while it asks the person something. */
  badge?: "auto" | "hidden" | HTMLElement | undefined;
  /** `site`: an id of this site's own. `person`: the same on every site, needs consent. */
  identity?: Identity | undefined;
  /** Gives it up. */
  signal?: AbortSignal | undefined;
  /** Milliseconds; 10,000 unless told otherwise, and none while the person is asked then. */
  timeout?: number | undefined;
}

const BADGES = {
  auto: "position:fixed;right:12px;bottom:12px;width:132px;height:36px;z-index:2147483647;",
  // Not `display: none`: its frame must run.
  hidden: "position:fixed;width:1px;height:1px;opacity:0;",
  within: "display:block;width:100%;height:36px;",
};

/** What most pages never need is loaded when it is; without it the rest works. */
const rarely = (work: (rare: typeof import("./rare.js")) => unknown): unknown => import("./rare.js").then(work, () => {});

/**
 * Embeds the person's node in this page.
 *
 * @throws `NoNode` where none answers, `Timeout` where one takes too long, `VersionMismatch`, `Denied`, `Aborted`, `BadArgument`, and
 * `Unsupported` outside a page, or where this page's own headers or a sandbox forbid it.
 */
export async function connect(options: ConnectOptions = {}): Promise<BittersNode> {
  const { badge = "auto", identity = "site", signal, timeout = 10_000 } = options;
  if (!globalThis.document) throw new BittersError("Unsupported", "no page");
  if (identity != "site" && identity != "person") throw badArgument("identity");
  const style = BADGES[badge instanceof HTMLElement ? "within" : badge];
  if (!style) throw badArgument("badge");
  const chosen = locate(options.node);
  const spare = locate(options.fallback);
  const iframe = document.createElement("iframe");

  return new Promise((resolve, reject) => {
    const port = new Port();
    const life = new AbortController();
    let limited: Limited | undefined;
    let node: BittersNode | undefined;
    let nonce: string | undefined;
    /** Whose the node is, once that is known. */
    let owner: string | undefined;

    const close = (error: BittersError): void => {
      limited?.unlimit();
      life.abort();
      observer.disconnect();
      port.refuse(error);
      iframe.remove();
      reject(error);
    };
    const show = (url: URL): void => {
      owner = url.origin;
      iframe.src = url.href;
    };
    // What finding a node takes beyond asking a given one.
    const search: Search = { chosen, close, fault: BittersError, iframe, life, owner: () => owner, show, spare };
    /** As small as the site wants it. */
    const dress = (): void => {
      iframe.style.cssText = `border:0;color-scheme:light dark;${style}`;
      iframe.inert = badge == "hidden";
    };
    const onNews = (news: Partial<SiteWelcome>): void => node && update(node, news);
    const onWelcome = ({ id, scope, version }: SiteWelcome): void => {
      limited?.unlimit();
      port.welcomed();
      node ??= new BittersNode(port, owner as string, () => close(new BittersError("Closed", "the node was closed")));
      onNews({ id, scope, version });
      resolve(node);
    };
    const onMessage = ({ data, origin, source }: MessageEvent<Partial<Ready> | null>): void => {
      const frame = iframe.contentWindow;
      if (!frame || source != frame || data?.bitters != "ready") return;
      if (typeof data.nonce != "string" || data.nonce == nonce) return;
      owner ??= /^http/.test(origin) ? origin : undefined;
      if (origin != owner) return;
      nonce = data.nonce;
      dress();
      const { port1, port2 } = new MessageChannel();
      port.use(port1);
      port.adopt(0).listener = {
        badge: (room) => {
          // A person takes their time.
          options.timeout ?? limited?.untime();
          rarely(({ grow }) => grow(iframe, room, dress));
        },
        failed: (error) => (node ? port.refuse(error) : close(error)),
        identity: (id) => onNews({ id }),
        scope: (scope) => onNews({ scope }),
        welcome: onWelcome,
      };
      frame.postMessage({ bitters: "hello", nonce, versions: VERSIONS, identity } satisfies HostHello, origin, [port2]);
    };
    // A port doesn't tell when its other end is gone.
    const observer = new MutationObserver(() => iframe.isConnected || port.lost());

    iframe.title = "bitters node";
    iframe.allow = "storage-access *";
    dress();
    if (chosen && origin != "null" && !iframe.sandbox.length) show(chosen);
    else rarely(({ seek }) => seek(search, timeout));
    addEventListener("message", onMessage, life);
    addEventListener("securitypolicyviolation", (event) => rarely(({ forbid }) => forbid(search, event)), life);
    (badge instanceof HTMLElement ? badge : (document.body ?? document.documentElement)).append(iframe);
    for (const root of [document, iframe.getRootNode()]) observer.observe(root, { childList: true, subtree: true });
    limited = limit({ signal, timeout }, (error) => close(nonce || error.code != "Timeout" ? error : new BittersError("NoNode", `no node at ${iframe.src}`)));
  });
}

/** @throws `BadArgument` */
function locate(given: string | URL | undefined): URL | undefined {
  if (!given) return undefined;
  try {
    const url = new URL(given);
    if (/^https?:$/.test(url.protocol)) return url;
  } catch {
    // As bad as another protocol.
  }
  throw badArgument("no web URL");
}
