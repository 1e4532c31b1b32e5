// A node of two builds: one that is served, and one that was or will be.
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { NODE } from "./server.ts";

export type Build = "first" | "second";

/** The texts of a build, by their paths. */
type Texts = ReadonlyMap<string, string>;

/** The files of a node in two builds, of which pages load one. The scripts of both are there, as on hosts that keep old ones. */
export class Builds {
  readonly dir: string;
  readonly #texts: Record<Build, Texts>;
  #deployed = 1_500_000_000;
  readonly ids: Record<Build, string>;

  private constructor(dir: string, ids: Record<Build, string>, texts: Record<Build, Texts>) {
    this.dir = dir;
    this.ids = ids;
    this.#texts = texts;
  }

  static async make(): Promise<Builds> {
    const dir = await mkdtemp(join(tmpdir(), "bitters-builds-"));
    await cp(NODE, dir, { recursive: true });
    const names = (await readdir(dir, { recursive: true })).filter((name) => !name.startsWith("sdk"));
    // What is compressed beforehand would be served in place of what is written here.
    await Promise.all(names.filter((name) => name.endsWith(".br")).map((name) => rm(join(dir, name))));
    const first = new Map<string, string>();
    for (const name of names.filter((name) => /\.(html|js)$/.test(name)))
      first.set(name, await readFile(join(dir, name), "utf8"));
    const id = idIn(first, /^assets\/frame\./, /build:\s*"(\w{16})"/);
    const second = [...id].toReversed().join("");
    const builds = new Builds(dir, { first: id, second }, { first, second: another(first, id, second) });
    for (const build of ["second", "first"] as const) await builds.deploy(build);
    return builds;
  }

  /** Pages that load from now on are of this build. */
  async deploy(build: Build): Promise<void> {
    for (const [name, text] of this.#texts[build]) await this.put(name, text);
  }

  /** What only this build has is there no longer. */
  async withdraw(build: Build): Promise<void> {
    const other = this.#texts[build === "first" ? "second" : "first"];
    for (const name of this.#texts[build].keys()) if (!other.has(name)) await rm(join(this.dir, name), { force: true });
  }

  /** The path of this build's script of that name. */
  script(build: Build, name: string): string {
    const found = [...this.#texts[build].keys()].find((path) => path.startsWith(`assets/${name}.`));
    if (found === undefined) throw new Error(`no script called ${name}`);
    return found;
  }

  /** What is served at a path, until the next deployment. */
  async put(name: string, text: string): Promise<void> {
    await writeFile(join(this.dir, `${name}.new`), text);
    // Browsers ask whether a file is newer than theirs, in whole seconds.
    this.#deployed += 1;
    await utimes(join(this.dir, `${name}.new`), this.#deployed, this.#deployed);
    await rename(join(this.dir, `${name}.new`), join(this.dir, name));
  }

  /** What isn't there, until the next deployment. */
  async drop(name: string): Promise<void> {
    await rm(join(this.dir, name));
  }

  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true });
  }
}

/** The same node under other names: of its build, of its scripts, and of what its service worker keeps. */
function another(first: Texts, id: string, second: string): Texts {
  const kept = idIn(first, /^sw\.js$/, /\bid:\s*"(\w{16})"/);
  const change = (text: string): string =>
    text
      .replaceAll(id, second)
      .replaceAll(kept, [...kept].toReversed().join(""))
      .replaceAll(/(assets\/(?:addresses|frame|leader|dedicated)\.)(\w+)\.js/g, "$1$2x.js");
  const texts = new Map([...first].map(([name, text]) => [change(name), change(text)]));
  let worker = texts.get("sw.js") ?? "";
  for (const [name, text] of first) worker = worker.replaceAll(hash(text), hash(texts.get(change(name)) ?? ""));
  return texts.set("sw.js", worker);
}

/** An id of 16 digits that one of the texts has. */
function idIn(texts: Texts, name: RegExp, pattern: RegExp): string {
  const found = [...texts].find(([path]) => name.test(path))?.[1].match(pattern)?.[1];
  if (found === undefined) throw new Error(`no id in ${name}`);
  return found;
}

const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
