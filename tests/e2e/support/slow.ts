// A slow network between browsers and a server: so many bytes a second, of all connections together.
import { once } from "node:events";
import { type AddressInfo, type Server as NetServer, type Socket, connect, createServer } from "node:net";
import { pipeline, Transform } from "node:stream";

/** Milliseconds between parts. */
const EVERY = 20;

/** Milliseconds that are made up for where a timer came late: else a busy machine's line would be slower still. */
const LATE = 200;

export class SlowLine implements AsyncDisposable {
  /** Bytes that came through, from the server. */
  passed = 0;
  readonly #net: NetServer;
  readonly #sockets = new Set<Socket>();
  readonly #rate: number;
  /** When the line is free again, on the clock of `performance.now()`. */
  #free = 0;

  private constructor(port: number, rate: number) {
    this.#rate = rate;
    this.#net = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      // The server may end an idle connection whose last bytes are still on this line: they arrive. Neither end's death is news.
      near.pipe(far);
      for (const socket of [near, far]) socket.on("error", () => {});
      pipeline(far, this.#throttle(), near, () => {});
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
      }
    });
  }

  /** Leads to a port of this machine, with so many bytes a second. */
  static async to(port: number, rate: number): Promise<SlowLine> {
    const line = new SlowLine(port, rate);
    line.#net.listen(0, "127.0.0.1");
    await once(line.#net, "listening");
    return line;
  }

  get port(): number {
    return (this.#net.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#net.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#net, "close");
  }

  #throttle(): Transform {
    const part = Math.ceil((this.#rate * EVERY) / 1000);
    const line = this;
    return new Transform({
      highWaterMark: part,
      async transform(chunk: Buffer, _, done) {
        for (let at = 0; at < chunk.length; at += part) {
          const bytes = chunk.subarray(at, at + part);
          await line.#turn(bytes.length);
          this.push(bytes);
        }
        done();
      },
    });
  }

  /** Resolves when so many bytes have gone after all before them. */
  #turn(bytes: number): Promise<void> {
    const now = performance.now();
    this.#free = Math.max(this.#free, now - LATE) + (bytes / this.#rate) * 1000;
    this.passed += bytes;
    return new Promise((resolve) => setTimeout(resolve, this.#free - now));
  }
}
