import { BittersError, badArgument } from "./error.js";
import { BEGUN_WITHIN, type Limited, limit } from "./limits.js";
import { BittersNode, update } from "./node.js";
import { tellOf } from "./news.js";
import { type Badge, Place } from "./place.js";
import { Port } from "./port.js";
import type { Search } from "./rare.js";
import { type Begun, type HostHello, type Identity, type Ready, type SiteWelcome, VERSIONS } from "./rpc.js";

/** How to find the person's node, and where to show it. */
export interface ConnectOptions {
  /** The node's page. Omitted: the node that the person prefers, else `fallback`. */
  node?: string | URL | undefined;
  /** The node for persons who prefer none. */
  fallback?: string | URL | undefined;
  /** The node's badge: in the corner, hidden, or in an element of the site's. It takes more room while it asks the person something. */
  badge?: Badge | undefined;
  /** `site`: an id of this site's own. `person`: the same on every site, needs consent. */
  identity?: Identity | undefined;
  /** Gives it up. */
  signal?: AbortSignal | undefined;
  /**
   * Milliseconds, from when the page is shown if it is prerendered. Unless told otherwise: 10,000 for a node of which nothing is heard, 45,000
   * for one that began to load, and none while the person is asked.
   */
  timeout?: number | undefined;
}

/** Milliseconds until the first sign of life. */
const TIMEOUT = 10_000;

/** What most pages never need is loaded when it is; without it the rest works. */
const rarely = (work: (rare: typeof import("./rare.js")) => unknown): unknown => import("./rare.js").then(work, () => {});

/**
 * Embeds the person's node in this page.
 *
 * @throws `NoNode` where none answers, `Timeout` where one takes too long, `VersionMismatch`, `Denied`, `Aborted`, `BadArgument`, and
 * `Unsupported` outside a page, or where this page's own headers or a sandbox forbid it.
 */
export async function connect(options: ConnectOptions = {}): Promise<BittersNode> {
  const { badge = "auto", identity = "site", signal } = options;
  if (!globalThis.document) throw new BittersError("Unsupported", "no page");
  if (identity != "site" && identity != "person") throw badArgument("identity");
  const chosen = locate(options.node);
  const spare = locate(options.fallback);
  const port = new Port();
  const place = new Place(badge, port, () => {
    if (node) tellOf(node, (gone = "gone"));
  });
  const { iframe } = place;
  let node: BittersNode | undefined;
  /** Once the site was told that the iframe is gone, until it runs again. */
  let gone: string | undefined;
  // Nothing of another origin is loaded before the page is shown.
  if ((document as { prerendering?: boolean }).prerendering) await rarely(({ shown }) => shown(signal));

  return new Promise((resolve, reject) => {
    const life = new AbortController();
    let limited: Limited | undefined;
    let nonce: string | undefined;
    /** Whose the node is, once that is known. */
    let owner: string | undefined;
    /** It began, and has more time for it. */
    let begun = false;

    const close = (error: BittersError): void => {
      limited?.unlimit();
      life.abort(error);
      place.takeOut();
      port.refuse(error);
      reject(error);
    };
    const within = (timeout: number): void => {
      limited?.unlimit();
      limited = limit({ signal, timeout }, (error) => close(nonce || error.code != "Timeout" ? error : new BittersError("NoNode", "no node at " + iframe.src)));
    };
    const show = (url: URL): void => {
      owner = url.origin;
      begun = false;
      iframe.src = url.href;
    };
    // What finding a node takes beyond asking a given one.
    const search: Search = { chosen, close, fault: BittersError, iframe, life, owner: () => owner, show, spare };
    const revive = (badge?: Badge): void => {
      life.signal.throwIfAborted();
      place.put(badge);
    };
    const onNews = (news: Partial<SiteWelcome>): void => node && update(node, news);
    const onWelcome = ({ id, scope, version }: SiteWelcome): void => {
      limited?.unlimit();
      port.welcomed();
      node ??= new BittersNode(port, owner as string, () => close(new BittersError("Closed", "node closed")), revive);
      onNews({ id, scope, version });
      resolve(node);
      if (gone) tellOf(node, "back");
      gone = undefined;
    };
    const onMessage = ({ data, origin, source }: MessageEvent<Partial<Begun | Ready> | null>): void => {
      const frame = iframe.contentWindow;
      if (!frame || source != frame || origin != (owner ?? /^http.*/.exec(origin)?.[0])) return;
      if (data?.bitters == "begun" && !nonce && !begun && options.timeout === undefined) {
        begun = true;
        // The fallback has as long after the preferred node as it would have by itself.
        within(owner ? BEGUN_WITHIN : BEGUN_WITHIN + TIMEOUT);
      }
      if (data?.bitters != "ready" || typeof data.nonce != "string" || data.nonce == nonce) return;
      owner = origin;
      nonce = data.nonce;
      // It may be in another tree than before, whose changes nobody told.
      place.look();
      place.spoken = frame;
      place.dress();
      const { port1, port2 } = new MessageChannel();
      port.use(port1);
      port.adopt(0).listener = {
        badge: (room) => {
          // A person takes their time.
          options.timeout ?? limited?.untime();
          rarely(({ grow }) => grow(iframe, room, () => place.dress()));
        },
        failed: (error) => (node ? port.refuse(error) : close(error)),
        identity: (id) => onNews({ id }),
        scope: (scope) => onNews({ scope }),
        welcome: onWelcome,
      };
      frame.postMessage({ bitters: "hello", nonce, versions: VERSIONS, identity } satisfies HostHello, origin, [port2]);
    };

    if (chosen && origin != "null" && !iframe.sandbox.length) show(chosen);
    else rarely(({ seek }) => seek(search, options.timeout));
    addEventListener("message", onMessage, life);
    addEventListener("securitypolicyviolation", (event) => rarely(({ forbid }) => forbid(search, event)), life);
    place.put();
    within(options.timeout ?? TIMEOUT);
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
  throw badArgument("no URL");
}
