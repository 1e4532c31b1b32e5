// A node that knows no server: its files, with other seeds.
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { NODE } from "./server.ts";

/** What `seeds.json` names. */
export type Seed = { server: string } | { address: string };

/** A copy of the node's files whose seeds can be changed; `extra` makes a server have it as `quiet.localhost`. */
export class Quiet {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async make(seeds: Seed[] = []): Promise<Quiet> {
    const quiet = new Quiet(await mkdtemp(join(tmpdir(), "bitters-quiet-")));
    await cp(NODE, quiet.dir, { recursive: true });
    await quiet.seed(seeds);
    return quiet;
  }

  /** A node that starts from now on finds these seeds. */
  async seed(seeds: Seed[]): Promise<void> {
    await rm(join(this.dir, "seeds.json.br"), { force: true });
    await writeFile(join(this.dir, "seeds.json"), JSON.stringify({ seeds }));
  }

  get extra(): string[] {
    return ["--node", `quiet.localhost=${this.dir}`, "--observe", "http://b.localhost:PORT"];
  }

  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true });
  }
}
