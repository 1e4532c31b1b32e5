import { BittersNode } from "./node.js";
import { type Identity } from "./rpc.js";
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
/**
 * Embeds the person's node in this page.
 *
 * @throws `NoNode` where none answers, `Timeout` where one takes too long, `VersionMismatch`, `Denied`, `Aborted`,
 * `BadArgument`, and `Unsupported` outside a page.
 */
export declare function connect(options: ConnectOptions): Promise<BittersNode>;
