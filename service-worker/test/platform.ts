// A platform without a browser: caches in memory, and a server whose files change, go, or never come.

import type { Platform } from "../shelf.ts";

const ORIGIN = "https://node.example.org";

/** What a server has at a path: a text, an answer, or nobody who answers. */
export type Served = string | Response | "never";

export class FakePlatform implements Platform {
  /** By cache and path, as texts. */
  readonly kept = new Map<string, Map<string, string>>();
  /** What the server has. */
  served: Record<string, Served> = {};
  /** What the browser's own cache has, and gives to those who don't insist. */
  stale: Record<string, string> = {};
  /** Whether nothing more can be kept. */
  isFull = false;
  /** Paths that the server was asked for. */
  readonly asked: string[] = [];
  readonly #headers = new Map<string, Headers>();

  readonly fetch = async (request: Request | string, { cache, signal }: RequestInit = {}): Promise<Response> => {
    const path = pathOf(request);
    const stale = this.stale[path];
    if (stale !== undefined && cache !== "reload") return new Response(stale);
    this.asked.push(path);
    const served = this.served[path];
    if (served === "never")
      return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    if (served === undefined) return new Response("There is no such file here.", { status: 404 });
    return typeof served === "string" ? new Response(served) : served.clone();
  };

  readonly caches = {
    delete: async (name: string) => this.kept.delete(name),
    keys: async () => [...this.kept.keys()],
    match: async (path: string, { cacheName = "" } = {}) => {
      const text = this.kept.get(cacheName)?.get(path);
      if (text === undefined) return undefined;
      return new Response(text, { headers: this.#headers.get(cacheName + path) ?? {} });
    },
    open: async (name: string) => {
      const entries = this.kept.get(name) ?? new Map<string, string>();
      this.kept.set(name, entries);
      const put = async (path: string, response: Response): Promise<void> => {
        const text = await response.text();
        if (this.isFull) throw new DOMException("no room", "QuotaExceededError");
        // Deleted meanwhile: it is written to nothing that anybody finds.
        entries.set(path, text);
        this.#headers.set(name + path, response.headers);
      };
      return { delete: async (path: string) => entries.delete(path), put };
    },
  } as unknown as Platform["caches"];

  /** What a cache has. */
  has(name: string): Record<string, string> | undefined {
    const entries = this.kept.get(name);
    return entries && Object.fromEntries(entries);
  }
}

function pathOf(request: Request | string): string {
  return new URL(typeof request === "string" ? request : request.url, ORIGIN).pathname;
}
