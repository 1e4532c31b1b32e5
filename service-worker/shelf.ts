// Where builds are kept: a cache for each, which counts once it is whole.

import { type Build, DATA, type Shelved, before, counts, nextTurn } from "./build.ts";

const BUILDS = "bitters/build/";
const LATEST = "bitters/data";
/** The entry that is put last, and says the build's turn. No file of a node is called so. */
const MARK = "/bitters:turn";

/** Browsers give an installation some minutes; a server that takes a request and never answers has fewer. */
const FILL_PATIENCE = 60_000;
/** The operator's data has fewer still: without it a build is whole. */
const PRIME_PATIENCE = 10_000;
/** Milliseconds that the operator's data is waited for, if there is a copy of it. The leader waits for a second more. */
const DATA_PATIENCE = 2_000;

/** Headers that tell how bytes travelled; what is kept are the bytes themselves. */
const OF_TRAVEL = ["content-encoding", "content-length", "transfer-encoding"];

/** What a platform has that keeps and loads. */
export interface Platform {
  readonly caches: Pick<CacheStorage, "delete" | "keys" | "match" | "open">;
  readonly fetch: (request: Request | string, init?: RequestInit) => Promise<Response>;
}

export class Shelf {
  readonly #caches: Platform["caches"];
  readonly #fetch: Platform["fetch"];
  readonly #build: Build;
  readonly #own: string;

  constructor({ caches, fetch }: Platform, build: Build) {
    this.#caches = caches;
    this.#fetch = fetch;
    this.#build = build;
    this.#own = BUILDS + build.id;
  }

  /**
   * Puts the whole build into its cache, or nothing.
   *
   * @throws What is missing or not what was built.
   */
  async fill(): Promise<void> {
    if ((await this.#turnOf(this.#own)) !== undefined) return;
    // What a browser that ended in the midst of it left behind.
    await this.#caches.delete(this.#own);
    const loading = new AbortController();
    const timer = setTimeout(() => loading.abort(new Error("the server takes too long")), FILL_PATIENCE);
    try {
      const cache = await this.#caches.open(this.#own);
      const load = async ([path, hash]: [string, string]): Promise<void> => cache.put(path, await this.#load(path, hash, loading.signal));
      await Promise.all(Object.entries(this.#build.files).map(load));
      await cache.put(MARK, new Response("0"));
      if ((await this.#turnOf(this.#own)) === undefined) throw new Error("the cache was taken away meanwhile");
    } catch (error) {
      loading.abort(error);
      await this.#caches.delete(this.#own);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Keeps the operator's data, as far as it can be had: the leader has read it before there was anybody to keep it. */
  async prime(): Promise<void> {
    const asking = new AbortController();
    const timer = setTimeout(() => asking.abort(), PRIME_PATIENCE);
    await Promise.allSettled(DATA.map((key) => this.#ask(key, key, asking.signal)));
    clearTimeout(timer);
  }

  /**
   * Our build is in use from now on: it and the one before stay, others go; those that were never in use as soon as no newer build
   * `isComing`, whose cache would be among them.
   */
  async take(isComing: () => boolean): Promise<void> {
    const shelved = await this.#shelved();
    const kept = [this.#own, before(this.#own, shelved)];
    await (await this.#caches.open(this.#own)).put(MARK, new Response(String(nextTurn(shelved))));
    const over = shelved.filter(({ name, turn }) => !kept.includes(name) && (turn || !isComing()));
    await Promise.all(over.map(({ name }) => this.#caches.delete(name)));
  }

  /** A file of our build, or of the one before. */
  async find(key: string): Promise<Response | undefined> {
    const own = await this.#caches.match(key, { cacheName: this.#own, ignoreVary: true });
    if (own) return own;
    const cacheName = before(this.#own, await this.#shelved());
    return cacheName === undefined ? undefined : this.#caches.match(key, { cacheName, ignoreVary: true });
  }

  /**
   * The operator's data: what the network says, if that counts and comes in time, else what it last said. `later` is told of what goes
   * on after the answer.
   */
  async latest(request: Request, key: string, later: (work: Promise<unknown>) => void): Promise<Response> {
    const asking = this.#ask(request, key);
    later(asking.catch(() => {}));
    const kept = await this.#caches.match(key, { cacheName: LATEST, ignoreVary: true }).catch(() => undefined);
    if (!kept) return (await asking).response;
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, DATA_PATIENCE));
    const said = await Promise.race([asking, late]).catch(() => undefined);
    return said?.counts ? said.response : kept;
  }

  /** Asks the network, and keeps what counts; it counts even where nothing can be kept. */
  async #ask(request: Request | string, key: string, signal: AbortSignal | null = null): Promise<{ response: Response; counts: boolean }> {
    const response = await this.#fetch(request, { signal });
    const isJson = await response.clone().json().then(() => true, () => false);
    if (!counts(key, { status: response.status, isJson })) return { response, counts: false };
    await this.#keep(key, isJson && response.ok ? response.clone() : undefined).catch(() => {});
    return { response, counts: true };
  }

  /** Keeps what the operator says now, or that there is nothing. What was kept before goes in any case: it is no longer in force. */
  async #keep(key: string, response: Response | undefined): Promise<void> {
    const cache = await this.#caches.open(LATEST);
    if (response) await cache.put(key, response).catch(() => cache.delete(key));
    else await cache.delete(key);
  }

  /** A file with this hash. What the browser has may be older than it should; then the server is asked past all caches. */
  async #load(path: string, hash: string, signal: AbortSignal): Promise<Response> {
    let wrong = "";
    for (const cache of ["default", "reload"] as const) {
      try {
        const response = await this.#fetch(path, { cache, signal });
        const bytes = await response.arrayBuffer();
        if (response.ok && (await hashOf(bytes)) === hash) return asItself(response, bytes);
        wrong = response.ok ? "isn't what was built" : `is missing (status ${response.status})`;
      } catch (error) {
        wrong = `can't be loaded: ${error instanceof Error ? error.message : error}`;
      }
      if (signal.aborted) break;
    }
    throw new Error(`${path} ${wrong}`);
  }

  async #shelved(): Promise<Shelved[]> {
    const names = (await this.#caches.keys()).filter((name) => name.startsWith(BUILDS));
    return Promise.all(names.map(async (name) => ({ name, turn: await this.#turnOf(name) })));
  }

  async #turnOf(cacheName: string): Promise<number | undefined> {
    const mark = await this.#caches.match(MARK, { cacheName });
    return mark && Number(await mark.text());
  }
}

/** The same answer, whichever way it came: one that was redirected is no document, and its headers tell of packing. */
function asItself({ headers, status }: Response, bytes: ArrayBuffer): Response {
  const kept = [...headers].filter(([name]) => !OF_TRAVEL.includes(name));
  return new Response(bytes, { headers: kept, status });
}

async function hashOf(bytes: ArrayBuffer): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
