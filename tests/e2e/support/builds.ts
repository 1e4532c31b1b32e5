// A node of two builds: one that is served, and one that was or will be.
import { cp, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { NODE } from "./server.ts";

export type Build = "first" | "second";

/** The files of a node in two builds, of which pages load one. */
export class Builds {
  readonly dir: string;
  readonly #pages: Record<Build, Map<string, string>>;
  #deployed = 1_500_000_000;
  readonly ids: Record<Build, string>;

  private constructor(dir: string, ids: Record<Build, string>, pages: Record<Build, Map<string, string>>) {
    this.dir = dir;
    this.ids = ids;
    this.#pages = pages;
  }

  static async make(): Promise<Builds> {
    const dir = await mkdtemp(join(tmpdir(), "bitters-builds-"));
    await cp(NODE, dir, { recursive: true });
    const names = (await readdir(dir, { recursive: true })).filter((name) => !name.startsWith("sdk"));
    // What is compressed beforehand would be served in place of what is written here.
    await Promise.all(names.filter((name) => name.endsWith(".br")).map((name) => rm(join(dir, name))));
    const texts = new Map<string, string>();
    for (const name of names.filter((name) => /\.(html|js)$/.test(name)))
      texts.set(name, await readFile(join(dir, name), "utf8"));
    const first = buildOf(texts);
    const second = [...first].toReversed().join("");
    const change = (text: string): string =>
      text.replaceAll(first, second).replaceAll(/(assets\/(?:frame|leader|dedicated)\.)(\w+)\.js/g, "$1$2x.js");
    const pages = { first: new Map<string, string>(), second: new Map<string, string>() };
    for (const [name, text] of texts)
      if (name.startsWith("assets/")) await writeFile(join(dir, change(name)), change(text));
      else {
        pages.first.set(name, text);
        pages.second.set(name, change(text));
      }
    return new Builds(dir, { first, second }, pages);
  }

  /** Pages that load from now on are of this build. */
  async deploy(build: Build): Promise<void> {
    for (const [name, text] of this.#pages[build]) {
      await writeFile(join(this.dir, `${name}.new`), text);
      // Browsers ask whether a file is newer than theirs, in whole seconds.
      this.#deployed += 1;
      await utimes(join(this.dir, `${name}.new`), this.#deployed, this.#deployed);
      await rename(join(this.dir, `${name}.new`), join(this.dir, name));
    }
  }

  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true });
  }
}

/** The build that the frame's script tells its leader. */
function buildOf(texts: Map<string, string>): string {
  const frame = [...texts].find(([name]) => name.startsWith("assets/frame."))?.[1];
  const id = frame?.match(/build:\s*"(\w{16})"/)?.[1];
  if (id === undefined) throw new Error("the frame's script names no build");
  return id;
}
