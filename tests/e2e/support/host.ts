// A static host that only knows files and their types: no headers, no redirects, no rendezvous. It writes down what it didn't have.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server as HttpServer, type ServerResponse } from "node:http";
import { extname, join } from "node:path";

import { freePort } from "./server.ts";

const TYPES: Record<string, string> = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

export class StaticHost {
  /** Paths that were asked for and aren't there. */
  readonly missed: string[] = [];
  /** The node's origin. */
  readonly node: string;
  /** How often its page is answered with nothing (204): then a document that was there stays. */
  withheld = 0;
  readonly #dir: string;
  readonly #http: HttpServer;

  private constructor(dir: string, port: number) {
    this.node = `http://node.localhost:${port}`;
    this.#dir = dir;
    this.#http = createServer(({ url = "/" }, response) => void this.#answer(new URL(url, "http://any").pathname, response));
  }

  static async start(dir: string): Promise<StaticHost> {
    const port = await freePort();
    const host = new StaticHost(dir, port);
    host.#http.listen(port, "127.0.0.1");
    await once(host.#http, "listening");
    return host;
  }

  async stop(): Promise<void> {
    this.#http.close();
    this.#http.closeAllConnections();
    await once(this.#http, "close");
  }

  async #answer(path: string, response: ServerResponse): Promise<void> {
    if (path === "/" && this.withheld > 0) {
      this.withheld--;
      return void response.writeHead(204).end();
    }
    const name = path === "/" ? "index.html" : path.slice(1);
    try {
      const content = await readFile(join(this.#dir, name));
      response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "text/plain" }).end(content);
    } catch {
      this.missed.push(path);
      response.writeHead(404).end();
    }
  }
}
