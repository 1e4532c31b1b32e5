// A browser as its system sees it: the memory, time and wake-ups of all its processes.
import { readdir, readFile } from "node:fs/promises";

import type { BrowserContext, CDPSession } from "@playwright/test";

import { sessionOf } from "../../e2e/support/browsers.ts";

/** What all processes of a browser have used since they began. */
export interface Used {
  /** Milliseconds of all cores. */
  readonly cpu: number;
  /** How often a thread that waited went on. */
  readonly wakeups: number;
}

export class Processes {
  readonly #session: CDPSession;

  private constructor(session: CDPSession) {
    this.#session = session;
  }

  static async of(browser: BrowserContext): Promise<Processes> {
    return new Processes(await sessionOf(browser));
  }

  /** MiB, where what processes share is counted once; read again until it stays within a hundredth for a second. */
  async memory(): Promise<number> {
    for (let before = 0; ; ) {
      const now = await this.#memory();
      if (Math.abs(now - before) < now / 100) return now;
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  async used(): Promise<Used> {
    const { processInfo } = await this.#session.send("SystemInfo.getProcessInfo");
    const cpu = processInfo.reduce((sum, { cpuTime }) => sum + cpuTime * 1000, 0);
    const wakeups = await Promise.all(processInfo.map(({ id }) => wakeupsOf(id)));
    return { cpu, wakeups: wakeups.reduce((sum, some) => sum + some, 0) };
  }

  async #memory(): Promise<number> {
    const { processInfo } = await this.#session.send("SystemInfo.getProcessInfo");
    const parts = await Promise.all(processInfo.map(({ id }) => numberIn(`/proc/${id}/smaps_rollup`, "Pss")));
    return parts.reduce((sum, part) => sum + part, 0) / 1024;
  }
}

async function wakeupsOf(process: number): Promise<number> {
  const threads = await readdir(`/proc/${process}/task`).catch(() => []);
  const parts = await Promise.all(threads.map((thread) => numberIn(`/proc/${process}/task/${thread}/status`, "voluntary_ctxt_switches")));
  return parts.reduce((sum, part) => sum + part, 0);
}

/** A process or thread that is gone has none. */
async function numberIn(file: string, name: string): Promise<number> {
  const text = await readFile(file, "utf8").catch(() => "");
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
}
