// What a server counts, as its operator reads it.
import { freePort } from "./server.ts";

/** A server's `/metrics`; `extra` makes the server have it. */
export class Metrics {
  readonly #port: number;

  private constructor(port: number) {
    this.#port = port;
  }

  static async free(): Promise<Metrics> {
    return new Metrics(await freePort());
  }

  get extra(): string[] {
    return ["--admin", `127.0.0.1:${this.#port}`];
  }

  async read(): Promise<Counted> {
    return new Counted(await (await fetch(`http://127.0.0.1:${this.#port}/metrics`)).text());
  }
}

/** One reading. */
export class Counted {
  readonly #lines: string[];

  constructor(text: string) {
    this.#lines = text.split("\n").filter((line) => line.startsWith("revproxy_"));
  }

  /** All values of a name whose labels are these; nothing that was counted is 0. */
  sum(name: string, labels: Record<string, string> = {}): number {
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    const fits = (line: string): boolean =>
      /^revproxy_(\w+?)(_total)?(\{|\s)/.exec(line)?.[1] === name && wanted.every((label) => line.includes(label));
    return this.#lines.filter(fits).reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }
}
