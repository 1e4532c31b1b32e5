// A profile that an earlier build wrote, and the server that it knows, in the same place wherever and whenever the tests run.
//
// Browsers keep storage by origin, and an address names the port where the server answers dials. So the server is always at one port of
// one address of the loopback. Nobody else is there: Linux answers on all of 127.0.0.0/8, and the port is below those that systems
// choose for sockets that ask for none.
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type Server as Socket } from "node:net";
import { join } from "node:path";

import type * as sdk from "@bitters/host-sdk";
import type { Page } from "@playwright/test";

import { Home, type Profile } from "./browsers.ts";
import { Quiet } from "./quiet.ts";
import { Server } from "./server.ts";
import { expect, test as base } from "./test.ts";

const ADDRESS = "127.83.17.5";
const PORT = 8717;

/** How long others may be there, in milliseconds: a test of each process that runs tests. */
const TURNS = 180_000;

const FIXTURES = join(import.meta.dirname, "../fixtures");
const PROFILE = join(FIXTURES, "profile.tar.gz");
const RECORDED = join(FIXTURES, "profile.json");

/** What of a profile holds the node's data: of its own origin, and of the partitions of sites that don't share it. */
const PARTS = ["Default/IndexedDB", "Default/WebStorage"];

/** What service workers keep, which would answer with the old build, and what the database notes of itself. */
const WITHOUT = ["CacheStorage", "LOG", "LOG.old"];

/** Browsers find all hosts of the tests at the server's address. */
export const THERE: Profile = { args: [`--host-resolver-rules=MAP *.localhost ${ADDRESS}`] };

/** How to record the fixture anew. */
export const AGAIN = "tests/e2e/fixtures/README.md says how to record it";

/** What was true in the browser whose profile was recorded. */
export interface Past {
  /** By which build, at what time, with which browser. */
  readonly commit: string;
  readonly at: string;
  readonly browser: string;
  /** By site. */
  readonly ids: Readonly<Record<"a" | "b" | "c" | "d", string>>;
  /** Where the persona of site a is reached. */
  readonly address: string;
  /** How many seeds the node knew. */
  readonly seeds: number;
  /** What the site a wrote into the guestbook. */
  readonly entry: string;
}

interface Guestbook {
  sign(text: string): sdk.Returned<number>;
  entries(): sdk.Returned<{ text: string }>;
}

interface Fixtures {
  /** As `server` has it: a node that knows no server, as `quiet.localhost`. */
  readonly quiet: Quiet;
  /** What was recorded. */
  readonly past: Past;
  /** The profile that was recorded, to be opened as often as one likes. */
  readonly home: Home;
}

export const test = base.extend<Fixtures>({
  quiet: async ({}, use) => {
    const quiet = await Quiet.make();
    await use(quiet);
    await quiet.remove();
  },
  // With time of its own: others' turns aren't the test's.
  server: [
    async ({ quiet }, use) => {
      const turn = await takeTurn();
      const server = await Server.startAt(ADDRESS, PORT, ["--node", `quiet.localhost=${quiet.dir}`]);
      await use(server);
      await server.stop();
      turn.close();
      await once(turn, "close");
    },
    { scope: "test", timeout: TURNS },
  ],
  past: async ({}, use) => {
    await use(JSON.parse(await readFile(RECORDED, "utf8")) as Past);
  },
  home: async ({}, use) => {
    await using home = await Home.unpack(PROFILE);
    await use(home);
  },
});

/** Writes the fixture; no browser has the profile open. */
export async function record(home: Home, past: Past): Promise<void> {
  await home.pack(PROFILE, PARTS, WITHOUT);
  await writeFile(RECORDED, `${JSON.stringify(past, undefined, 2)}\n`);
}

/** When an address is over, in milliseconds since 1970: the four bytes before its signature count minutes. */
export function expiryOf(address: string): number {
  const bytes = Buffer.from(address, "base64url");
  return bytes.readUInt32BE(bytes.length - 68) * 60_000;
}

/**
 * Connects a page that has the SDK, as a site that wants the id which the person has wherever they allow it. Returns the id, or the code of the
 * refusal; one who is asked doesn't answer.
 */
export const personIn = (page: Page, node: string): Promise<string> =>
  page.evaluate(async (node) => {
    try {
      window.mine = await window.sdk.connect({ node, identity: "person", signal: AbortSignal.timeout(15_000) });
      return window.mine.id;
    } catch (error) {
      return (error as sdk.BittersError).code ?? `${error}`;
    }
  }, node);

/** Writes into the guestbook. */
export const sign = (page: Page, text: string): Promise<number> =>
  page.evaluate((text) => window.mine.service<Guestbook>("guestbook").sign(text), text);

/** What is written there. */
export const entriesOf = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const texts: string[] = [];
    for await (const { text } of window.mine.service<Guestbook>("guestbook").entries()) texts.push(text);
    return texts;
  });

/** There is one place: tests that run at the same time wait for one another. Whoever listens beside the server has it. */
async function takeTurn(): Promise<Socket> {
  const turn = createServer();
  const taken = (): Promise<boolean> => once(turn.listen(PORT - 1, ADDRESS), "listening").then(() => true, () => false);
  await expect.poll(taken, { message: `nobody else is at ${ADDRESS}`, timeout: TURNS }).toBe(true);
  return turn;
}
