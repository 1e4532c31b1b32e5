// A node of two builds: one that is served, and one that was or will be.
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { NODE } from "./server.ts";

export type Build = "first" | "second";

/** What a build's files have, by their paths: texts, and the bytes of modules. */
type Files = ReadonlyMap<string, string | Buffer>;

/** The files of a node in two builds, of which pages load one. The assets of both are there, as on hosts that keep old ones. */
export class Builds {
  readonly dir: string;
  readonly #files: Record<Build, Files>;
  #deployed = 1_500_000_000;
  readonly ids: Record<Build, string>;

  private constructor(dir: string, ids: Record<Build, string>, files: Record<Build, Files>) {
    this.dir = dir;
    this.ids = ids;
    this.#files = files;
  }

  static async make(): Promise<Builds> {
    const dir = await mkdtemp(join(tmpdir(), "bitters-builds-"));
    await cp(NODE, dir, { recursive: true });
    const names = (await readdir(dir, { recursive: true })).filter((name) => !name.startsWith("sdk"));
    // What is compressed beforehand would be served in place of what is written here.
    await Promise.all(names.filter((name) => name.endsWith(".br")).map((name) => rm(join(dir, name))));
    const first = new Map<string, string | Buffer>();
    for (const name of names.filter((name) => /\.(html|js)$/.test(name))) first.set(name, await readFile(join(dir, name), "utf8"));
    for (const name of names.filter((name) => name.endsWith(".wasm"))) first.set(name, await readFile(join(dir, name)));
    const id = idIn(first, /^assets\/frame\./, /build:\s*"(\w{16})"/);
    const second = [...id].toReversed().join("");
    const builds = new Builds(dir, { first: id, second }, { first, second: another(first, id, second) });
    for (const build of ["second", "first"] as const) await builds.deploy(build);
    return builds;
  }

  /** Pages that load from now on are of this build. */
  async deploy(build: Build): Promise<void> {
    for (const [name, content] of this.#files[build]) await this.put(name, content);
  }

  /** What only this build has is there no longer. */
  async withdraw(build: Build): Promise<void> {
    const other = this.#files[build === "first" ? "second" : "first"];
    for (const name of this.#files[build].keys()) if (!other.has(name)) await rm(join(this.dir, name), { force: true });
  }

  /** The path of this build's script of that name. */
  script(build: Build, name: string): string {
    const found = [...this.#files[build].keys()].find((path) => path.startsWith(`assets/${name}.`));
    if (found === undefined) throw new Error(`no script called ${name}`);
    return found;
  }

  /** The path of the module of that name; both builds have the same. */
  async module(name: string): Promise<string> {
    const found = (await readdir(join(this.dir, "assets"))).find((file) => file.startsWith(`${name}.`) && file.endsWith(".wasm"));
    if (found === undefined) throw new Error(`no module called ${name}`);
    return `assets/${found}`;
  }

  /** What is served at a path, until the next deployment. */
  async put(name: string, content: string | Buffer): Promise<void> {
    await writeFile(join(this.dir, `${name}.new`), content);
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

/** The same node under other names: of its build, of all its assets, and of what its service worker keeps. */
function another(first: Files, id: string, second: string): Files {
  const kept = idIn(first, /^sw\.js$/, /\bid:\s*"(\w{16})"/);
  const change = (text: string): string =>
    text
      .replaceAll(id, second)
      .replaceAll(kept, [...kept].toReversed().join(""))
      .replaceAll(/(assets\/\w+\.)(\w+)\.(js|wasm)/g, "$1$2x.$3");
  const files = new Map([...first].map(([name, content]) => [change(name), typeof content === "string" ? change(content) : content]));
  let worker = String(files.get("sw.js"));
  for (const [name, content] of first) worker = worker.replaceAll(hash(content), hash(files.get(change(name)) ?? ""));
  return files.set("sw.js", worker);
}

/** An id of 16 digits that one of the texts has. */
function idIn(files: Files, name: RegExp, pattern: RegExp): string {
  const found = [...files].find(([path, content]) => name.test(path) && typeof content === "string")?.[1];
  const id = String(found).match(pattern)?.[1];
  if (id === undefined) throw new Error(`no id in ${name}`);
  return id;
}

const hash = (content: string | Buffer): string => createHash("sha256").update(content).digest("hex");
