// Sites that tell browsers to be strict: an empty page with the headers of a test.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type OutgoingHttpHeaders, type Server as HttpServer, createServer } from "node:http";
import { join } from "node:path";

import { NODE } from "./server.ts";

const PAGE = "<!doctype html><title>strict</title><body>";

/** On a port of its own, by any name; the SDK is its own copy, as if it were bundled. */
export class StrictSite implements AsyncDisposable {
  /** What its pages told it, by a request of `/told?…`. */
  readonly told: string[] = [];
  readonly #http: HttpServer;

  private constructor(headers: OutgoingHttpHeaders, page: string, sdk: ReadonlyMap<string | undefined, Buffer>) {
    this.#http = createServer(({ url }, response) => {
      const [path, query = ""] = url?.split("?") ?? [];
      if (path === "/told") this.told.push(query);
      // A sandboxed page is of another origin than its own scripts.
      const script = sdk.get(path);
      if (script) response.writeHead(200, { "content-type": "text/javascript", "access-control-allow-origin": "*" }).end(script);
      else response.writeHead(200, { "content-type": "text/html", ...headers }).end(page);
    });
  }

  static async start(headers: OutgoingHttpHeaders, page = PAGE): Promise<StrictSite> {
    const sdk = new Map<string | undefined, Buffer>();
    for (const file of ["/bitters.js", "/rare.js"]) sdk.set(file, await readFile(join(NODE, "sdk", file)));
    const site = new StrictSite(headers, page, sdk);
    site.#http.listen(0, "127.0.0.1");
    await once(site.#http, "listening");
    return site;
  }

  url(host: string, path = "/"): string {
    const address = this.#http.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return `http://${host}.localhost:${address.port}${path}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async stop(): Promise<void> {
    this.#http.close();
    this.#http.closeAllConnections();
    await once(this.#http, "close");
  }
}
