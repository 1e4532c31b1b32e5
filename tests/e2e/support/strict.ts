// Sites that tell browsers to be strict: an empty page with the headers of a test.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type OutgoingHttpHeaders, type Server as HttpServer, createServer } from "node:http";
import { join } from "node:path";

import { NODE } from "./server.ts";

const PAGE = "<!doctype html><title>strict</title><body>";

/** On a port of its own, by any name; the SDK is its own copy, as if it were bundled. */
export class StrictSite {
  readonly #http: HttpServer;

  private constructor(http: HttpServer) {
    this.#http = http;
  }

  static async start(headers: OutgoingHttpHeaders): Promise<StrictSite> {
    const sdk = new Map<string | undefined, Buffer>();
    for (const file of ["/bitters.js", "/rare.js"]) sdk.set(file, await readFile(join(NODE, "sdk", file)));
    const http = createServer(({ url }, response) => {
      // A sandboxed page is of another origin than its own scripts.
      const script = sdk.get(url);
      if (script) response.writeHead(200, { "content-type": "text/javascript", "access-control-allow-origin": "*" }).end(script);
      else response.writeHead(200, { "content-type": "text/html", ...headers }).end(PAGE);
    });
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    return new StrictSite(http);
  }

  url(host: string, path = "/"): string {
    const address = this.#http.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return `http://${host}.localhost:${address.port}${path}`;
  }

  async stop(): Promise<void> {
    this.#http.close();
    this.#http.closeAllConnections();
    await once(this.#http, "close");
  }
}
