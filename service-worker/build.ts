// What is asked of the node's origin, and what answers it: pure decisions.

/** All files of a node that were built together and fit each other only. */
export interface Build {
  /** The hash of all of it; names its cache. */
  readonly id: string;
  /** URL paths, and the SHA-256 of what is there, in hexadecimal digits. */
  readonly files: Readonly<Record<string, string>>;
}

/** What stands in for the SharedWorker: most of the bytes that nobody loads where there is one. */
const FALLBACK = /^\/assets\/dedicated\./;

/** What a browser ever loads of a build. */
export function needed({ id, files }: Build, { hasSharedWorker }: { hasSharedWorker: boolean }): Build {
  if (!hasSharedWorker) return { id, files };
  return { id, files: Object.fromEntries(Object.entries(files).filter(([path]) => !FALLBACK.test(path))) };
}

/**
 * `build`: immutable, of our build or another; the cache answers, else the network. `data`: the operator's to change at any time; the
 * network answers, else what it last said. `network`: none of our business.
 */
export type Way = "build" | "data" | "network";

/** What the operator changes without a new build. */
export const DATA = ["/config.json", "/seeds.json"];

/** The way of a request, and what its answer is kept as. */
export function wayOf({ method, url }: Pick<Request, "method" | "url">, origin: string, { files }: Build): { way: Way; key: string } {
  const { origin: asked, pathname } = new URL(url);
  const key = pathname === "/index.html" ? "/" : pathname;
  if (method !== "GET" || asked !== origin) return { way: "network", key };
  if (DATA.includes(key)) return { way: "data", key };
  return { way: Object.hasOwn(files, key) || key.startsWith("/assets/") ? "build" : "network", key };
}

/**
 * Whether what the network says of the operator's data counts; else the last that counted does. Portals and errors of the moment say
 * something else than JSON. A configuration that was taken away is no longer in force, whatever it had allowed.
 */
export function counts(key: string, { status, isJson }: { status: number; isJson: boolean }): boolean {
  return (status === 200 && isJson) || (key === "/config.json" && (status === 404 || status === 410));
}

/** A build that a cache has. */
export interface Shelved {
  /** Its cache. */
  readonly name: string;
  /** Which build of those that were ever in use it was when it was last taken in use; 0 if it wasn't, nothing if it isn't whole. */
  readonly turn: number | undefined;
}

/** The build that was in use before `own`: pages of it may still run, in this partition or through another's worker. */
export function before(own: string, shelved: readonly Shelved[]): string | undefined {
  const used = shelved.filter(({ name, turn }) => name !== own && turn);
  return used.toSorted((a, b) => (b.turn ?? 0) - (a.turn ?? 0))[0]?.name;
}

/** The turn of a build that is taken in use now. */
export function nextTurn(shelved: readonly Shelved[]): number {
  return 1 + Math.max(0, ...shelved.map(({ turn }) => turn ?? 0));
}
