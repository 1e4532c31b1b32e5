// One server for a test: revproxy on free ports of the loopback, with the built node and empty sites.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const ROOT = join(import.meta.dirname, "../../..");
const DIST = process.env["DIST"] ?? join(ROOT, "dist");
/** The built node. */
export const NODE = join(DIST, "node");
const REVPROXY = process.env["REVPROXY"] ?? join(ROOT, "target/release/revproxy");
/** A site in which nothing is. */
export const EMPTY_SITE = join(import.meta.dirname, "site");
const LOOPBACK = ["127.0.0.1", "[::1]"];

/** Sites of the tests, each of an origin of its own; the demo's are `alice` and `bob`. */
export const SITES = ["a", "b", "c", "d"] as const;

export class Server {
  #child: ChildProcess | undefined;
  #output: string[] = [];

  readonly port: number;
  readonly extra: readonly string[];
  readonly files: string;
  readonly #within: readonly string[];
  readonly #addresses: readonly string[];

  private constructor(port: number, extra: readonly string[], files: string, within: readonly string[], addresses: readonly string[]) {
    this.port = port;
    this.extra = extra;
    this.files = files;
    this.#within = within;
    this.#addresses = addresses;
  }

  /**
   * Starts on a free port; `extra` are more arguments of revproxy's, in which `PORT` stands for the port; `files` are the node's;
   * `within` is a command that runs revproxy, as another's arguments; `addresses` are where it listens.
   */
  static async start(extra: readonly string[] = [], files = NODE, within: readonly string[] = [], addresses = LOOPBACK): Promise<Server> {
    const server = new Server(await freePort(), extra, files, within, addresses);
    await server.start();
    return server;
  }

  /** Starts at one address and port, which nobody else has; else as `start` does. */
  static async startAt(address: string, port: number, extra: readonly string[] = []): Promise<Server> {
    const server = new Server(port, extra, NODE, [], [address]);
    await server.start();
    return server;
  }

  /** The URL of `path` on a host: `node`, `guestbook`, `alice`, `bob`, or one of `SITES`. */
  url(host: string, path = "/"): string {
    return `http://${host}.localhost:${this.port}${path}`;
  }

  get node(): string {
    return this.url("node").slice(0, -1);
  }

  get log(): string {
    return this.#output.join("\n");
  }

  /** Again, on the same port. */
  async start(): Promise<void> {
    const dist = (path: string): string => join(DIST, path);
    const site = (name: string, dir: string): string[] => ["--site", `${name}.localhost=${dir}`];
    const observers = ["alice", "bob", "a"].flatMap((name) => ["--observe", this.url(name).slice(0, -1)]);
    const args = [
      ...this.#addresses.flatMap((address) => ["--listen", `${address}:${this.port}`]),
      ...["--node", `node.localhost=${this.files}`, "--node", `guestbook.localhost=${dist("guestbook")}`],
      ...site("alice", dist("sites/alice")),
      ...site("bob", dist("sites/bob")),
      ...SITES.flatMap((name) => site(name, EMPTY_SITE)),
      ...observers,
      ...this.extra.map((arg) => arg.replaceAll("PORT", String(this.port))),
    ];
    const [program = REVPROXY, ...before] = [...this.#within, REVPROXY];
    const child = spawn(program, [...before, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    endsWithUs(child);
    createInterface({ input: child.stderr }).on("line", (line) => this.#output.push(line));
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines) if (line === "ready") return;
    throw new Error(`revproxy ended before it was ready:\n${this.log}`);
  }

  /** Its process stands still: sockets stay open, and nobody answers on them. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** It goes on where it stood still. */
  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Stops it as Ctrl-C would; sockets close. */
  async stop(): Promise<void> {
    this.thaw();
    if (this.#child) await end(this.#child, "SIGINT");
  }
}

/** Kills a program when this process exits, whatever becomes of the test that started it. */
export function endsWithUs(child: ChildProcess): void {
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
}

/** Ends a program that a test started, unless it has ended. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}

/** No more than this many processes run tests at once. */
const LANES = 8;
const LANE = Number(process.env["TEST_PARALLEL_INDEX"] ?? 0) % LANES;

let calls = 0;

/**
 * A port that nobody has, and that nobody gets by chance: below those that systems choose for sockets that ask for none, above those that
 * browsers refuse, another one at each call, and none that tests at the same time may get. The one after it, where a server answers STUN,
 * is left for whoever has this one.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 11_000 + 2 * (LANES * ((process.pid * 37 + calls++) % 562) + LANE);
    const probe = createServer().listen(port);
    const isFree = await once(probe, "listening").then(() => true, () => false);
    if (!isFree) continue;
    probe.close();
    await once(probe, "close");
    return port;
  }
}
