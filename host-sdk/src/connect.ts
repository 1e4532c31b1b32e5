import { BittersError, badArgument } from "./error.js";
import { type Limited, limit } from "./limits.js";
import { BittersNode, update } from "./node.js";
import { Port } from "./port.js";
import { type HostHello, type Identity, type Ready, type SiteWelcome, VERSIONS } from "./rpc.js";

/** How to find the person's node, and where to show it. */
export interface ConnectOptions {
  /** The node's page. Omitted: `fallback`. */
  node?: string | URL | undefined;
  /** The node for persons who prefer none. */
  fallback?: string | URL | undefined;
  /** The node's badge: in the corner, hidden, or in an element of the site's. */
  badge?: "auto" | "hidden" | HTMLElement | undefined;
  /** `site`: an id of this site's own. `person`: the same on every site, needs consent. */
  identity?: Identity | undefined;
  /** Gives it up. */
  signal?: AbortSignal | undefined;
  /** Milliseconds; 10,000 unless told otherwise. */
  timeout?: number | undefined;
}

const BADGES = {
  auto: "position:fixed;right:12px;bottom:12px;width:132px;height:36px;z-index:2147483647;",
  // Not `display: none`: its frame must run.
  hidden: "position:fixed;width:1px;height:1px;opacity:0;pointer-events:none;",
  within: "display:block;width:100%;height:36px;",
};

/**
 * Embeds the person's node in this page.
 *
 * @throws `NoNode` where none answers, `Timeout` where one takes too long, `VersionMismatch`, `Denied`, `Aborted`,
 * `BadArgument`, and `Unsupported` outside a page.
 */
export async function connect(options: ConnectOptions): Promise<BittersNode> {
  const { badge = "auto", identity = "site", signal, timeout = 10_000 } = options;
  if (!globalThis.document) throw new BittersError("Unsupported", "no page to be in");
  if (identity != "site" && identity != "person") throw badArgument("identity");
  const url = locate(options);
  const iframe = frameOf(url, badge);

  return new Promise((resolve, reject) => {
    const port = new Port();
    let limited: Limited | undefined;
    let node: BittersNode | undefined;
    let nonce: string | undefined;

    const close = (error: BittersError): void => {
      limited?.unlimit();
      removeEventListener("message", onMessage);
      observer.disconnect();
      port.refuse(error);
      iframe.remove();
      reject(error);
    };
    const onNews = (news: Partial<SiteWelcome>): void => node && update(node, news);
    const onWelcome = ({ id, scope, version }: SiteWelcome): void => {
      limited?.unlimit();
      port.welcomed();
      node ??= new BittersNode(port, url.origin, () => close(new BittersError("Closed", "the node was closed")));
      onNews({ id, scope, version });
      resolve(node);
    };
    const onMessage = ({ data, origin, source }: MessageEvent<Partial<Ready> | null>): void => {
      const frame = iframe.contentWindow;
      if (!frame || source != frame || origin != url.origin || data?.bitters != "ready") return;
      if (typeof data.nonce != "string" || data.nonce == nonce) return;
      nonce = data.nonce;
      const { port1, port2 } = new MessageChannel();
      port.use(port1);
      port.adopt(0).listener = {
        failed: (error) => (node ? port.refuse(error) : close(error)),
        identity: (id) => onNews({ id }),
        scope: (scope) => onNews({ scope }),
        welcome: onWelcome,
      };
      const hello: HostHello = { bitters: "hello", nonce, versions: VERSIONS, identity };
      frame.postMessage(hello, url.origin, [port2]);
    };
    // A port doesn't tell when its other end is gone.
    const observer = new MutationObserver(() => iframe.isConnected || port.lost());

    addEventListener("message", onMessage);
    (badge instanceof HTMLElement ? badge : (document.body ?? document.documentElement)).append(iframe);
    for (const root of [document, iframe.getRootNode()]) observer.observe(root, { childList: true, subtree: true });
    limited = limit({ signal, timeout }, (error) =>
      close(nonce || error.code != "Timeout" ? error : new BittersError("NoNode", `no node at ${url}`)),
    );
  });
}

function locate({ node, fallback }: ConnectOptions): URL {
  const given = node ?? fallback;
  if (!given) throw new BittersError("NoNode", "neither node nor fallback");
  try {
    const url = new URL(given);
    if (/^https?:$/.test(url.protocol)) return url;
  } catch {
    // As bad as another protocol.
  }
  throw badArgument("node: not an http(s) URL");
}

function frameOf(url: URL, badge: "auto" | "hidden" | HTMLElement): HTMLIFrameElement {
  const style = BADGES[badge instanceof HTMLElement ? "within" : badge];
  if (!style) throw badArgument("badge");
  const iframe = document.createElement("iframe");
  iframe.title = "bitters node";
  iframe.allow = "storage-access *";
  iframe.style.cssText = `border:0;color-scheme:light dark;${style}`;
  iframe.inert = badge == "hidden";
  if (iframe.inert) iframe.ariaHidden = "true";
  iframe.src = url.href;
  return iframe;
}
