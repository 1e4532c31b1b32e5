// The SDK by way of a cache that has had it for a while, as hosts have it: browsers find it stale at once.
import { once } from "node:events";
import { createServer, request, type Server as HttpServer } from "node:http";

import { freePort, type Server } from "./server.ts";

/** Seconds. */
const AGE = "86400";

export class AgedSdk {
  readonly url: string;
  readonly #http: HttpServer;

  private constructor(http: HttpServer, port: number) {
    this.url = `http://sdk.localhost:${port}/sdk/bitters.js`;
    this.#http = http;
  }

  static async start(behind: Server): Promise<AgedSdk> {
    const http = createServer(({ headers, method, url }, response) => {
      const host = `node.localhost:${behind.port}`;
      const asked = request({ host: "127.0.0.1", port: behind.port, method, path: url, headers: { ...headers, host } }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, { ...answer.headers, age: AGE });
        answer.pipe(response);
      });
      asked.on("error", () => response.destroy());
      asked.end();
    });
    const port = await freePort();
    http.listen(port, "127.0.0.1");
    await once(http, "listening");
    return new AgedSdk(http, port);
  }

  async stop(): Promise<void> {
    this.#http.close();
    this.#http.closeAllConnections();
    await once(this.#http, "close");
  }
}
