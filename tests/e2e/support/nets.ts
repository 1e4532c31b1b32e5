// Two homes behind address translators of their own, and what lies between them: five network namespaces of Linux.
//
//   home a 10.1.0.2 - nat a 198.51.100.2 - between 198.51.100.1, 203.0.113.1 - nat b 203.0.113.2 - home b 10.2.0.2
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Counted } from "./metrics.ts";

/** Where the server is, as both homes see it. */
export const SERVER = "198.51.100.1";

const SIDES = { a: { outside: "198.51.100", inside: "10.1.0" }, b: { outside: "203.0.113", inside: "10.2.0" } };

export type Side = keyof typeof SIDES;

/** Network namespaces that are gone with the test, or at the latest with this process. */
export class Nets {
  readonly #names: string[] = [];
  readonly #scripts = mkdtempSync(join(tmpdir(), "bitters-nets-"));
  readonly #atExit = (): void => this.remove();

  static make(): Nets {
    const nets = new Nets();
    process.once("exit", nets.#atExit);
    try {
      nets.#add("between");
      for (const side of ["a", "b"] as const) nets.#attach(side);
    } catch (error) {
      nets.remove();
      throw error;
    }
    return nets;
  }

  /** What runs a command between the homes. */
  get between(): string[] {
    return this.#within("between");
  }

  /** Chromium in a home, as a program; `*.localhost` is the server there. */
  chromium(side: Side): { executable: string; args: string[] } {
    const executable = join(this.#scripts, side);
    const chromium = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
    writeFileSync(executable, `#!/bin/sh\nexec ${this.#within(`home-${side}`).join(" ")} '${chromium}' "$@"\n`);
    chmodSync(executable, 0o755);
    return { executable, args: [`--host-resolver-rules=MAP *.localhost ${SERVER}`] };
  }

  /** From now on nothing passes from one side to the other; what each says to the server does. */
  part(): void {
    this.#run("between", "nft", "add rule ip ways forward drop");
  }

  /** Datagrams that passed from one side to the other. */
  passed(): number {
    const listed = execFileSync("ip", ["netns", "exec", this.#name("between"), "nft", "list", "chain", "ip", "ways", "forward"], { encoding: "utf8" });
    return Number(/udp counter packets (\d+)/.exec(listed)?.[1]);
  }

  /** What the server between the homes counts, at its `--admin`. */
  counted(admin: string): Counted {
    const [command = "", ...args] = [...this.between, process.execPath];
    const script = `fetch("http://${admin}/metrics").then((it) => it.text()).then((it) => console.log(it))`;
    return new Counted(execFileSync(command, [...args, "-e", script], { encoding: "utf8" }));
  }

  remove(): void {
    process.off("exit", this.#atExit);
    for (const name of this.#names.splice(0)) execFileSync("ip", ["netns", "delete", name]);
    rmSync(this.#scripts, { recursive: true, force: true });
  }

  #attach(side: Side): void {
    const { outside, inside } = SIDES[side];
    const [home, nat] = [`home-${side}`, `nat-${side}`];
    this.#add(nat);
    this.#add(home);
    this.#link(["between", side, `${outside}.1/24`], [nat, "outside", `${outside}.2/24`]);
    this.#link([nat, "inside", `${inside}.1/24`], [home, "inside", `${inside}.2/24`]);
    this.#run(nat, "ip", `route add default via ${outside}.1`);
    this.#run(home, "ip", `route add default via ${inside}.1`);
    this.#run(nat, "nft", "add table ip nat");
    this.#run(nat, "nft", "add chain ip nat out { type nat hook postrouting priority srcnat ; }");
    this.#run(nat, "nft", "add rule ip nat out oifname outside masquerade");
    // As routers in homes do. What came too early would be remembered else, and its port be taken when its turn comes.
    this.#run(nat, "nft", "add chain ip nat own { type filter hook input priority filter ; }");
    this.#run(nat, "nft", "add rule ip nat own iifname outside drop");
  }

  #add(name: string): void {
    execFileSync("ip", ["netns", "add", this.#name(name)]);
    this.#names.push(this.#name(name));
    this.#run(name, "ip", "link set lo up");
    this.#run(name, "sysctl", "-qw net.ipv4.ip_forward=1");
    if (name !== "between") return;
    this.#run(name, "nft", "add table ip ways");
    this.#run(name, "nft", "add chain ip ways forward { type filter hook forward priority filter ; }");
    this.#run(name, "nft", "add rule ip ways forward meta l4proto udp counter");
  }

  #link(...ends: [[string, string, string], [string, string, string]]): void {
    const [[one, device], [other, peer]] = ends;
    this.#run(one, "ip", `link add name ${device} type veth peer name ${peer} netns ${this.#name(other)}`);
    for (const [name, device, address] of ends) {
      this.#run(name, "ip", `address add ${address} dev ${device}`);
      this.#run(name, "ip", `link set dev ${device} up`);
    }
  }

  #run(name: string, command: string, args: string): void {
    const [ip = "", ...within] = this.#within(name);
    execFileSync(ip, [...within, command, ...args.split(" ")], { stdio: ["ignore", "ignore", "pipe"] });
  }

  #within(name: string): string[] {
    return ["ip", "netns", "exec", this.#name(name)];
  }

  #name(name: string): string {
    return `bitters-${process.pid}-${name}`;
  }
}

/** Why there can be no such networks on this machine, if so. */
export function forbidden(): string | undefined {
  if (!["/sbin/ip", "/usr/sbin/ip", "/bin/ip"].some(existsSync)) return "ip is missing: install iproute2";
  try {
    Nets.make().remove();
    return undefined;
  } catch (error) {
    return `no network namespaces with a translator here: ${error instanceof Error ? error.message.trim() : error}`;
  }
}
