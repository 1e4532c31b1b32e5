// Two sites that call each other in memory, and time that passes when the test says so.

import { afterEach, beforeEach, expect, vi } from "vitest";
import { BittersError } from "../src/index.js";
import { type Signalling, drive } from "../src/signal.js";
import { FakeConnection } from "./connection.js";
import { ALICE, BOB } from "./frame.js";
import { type FakeNode, Network } from "./network.js";

/** Each test of the file has time that passes as it says, and connections that are no browser's. */
export function inFakeTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
    vi.stubGlobal("RTCPeerConnection", FakeConnection);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
}

/** One end of a call. */
export class End {
  readonly pc: FakeConnection;
  /** Resolves when both ends are there. */
  readonly begun: Promise<Signalling>;
  /** How it ended: `begun` failed, or `closed` did, or it was closed. */
  outcome: string | undefined;
  /** The talk was told that it is over. */
  cancelled = false;
  /** What ends it, as the site's signal, its deadline or its node do. */
  end!: (error: BittersError) => void;

  constructor(node: FakeNode, peer: string, { label, pc = new FakeConnection() }: { label?: string; pc?: FakeConnection } = {}) {
    this.pc = pc;
    const talk = {
      answer: new Promise<never>((_, reject) => (this.end = reject)),
      cancel: () => void (this.cancelled = true),
    };
    this.begun = drive({ node, pc: pc as unknown as RTCPeerConnection, peer, options: { label }, talk, fault: BittersError });
    this.begun
      .then(({ closed }) => closed)
      .then(
        () => "closed",
        ({ code }) => code,
      )
      .then((outcome: string) => (this.outcome = outcome));
  }

  /** As the site's signal does. */
  abort(): void {
    this.end(new BittersError("Aborted", "aborted"));
  }
}

/** Two nodes: Bob's opens streams and is impolite, Alice's serves them and is polite. */
export interface World {
  network: Network;
  alice: FakeNode;
  bob: FakeNode;
  random: () => number;
  connection(): FakeConnection;
}

export function world(seed = 1): World {
  const random = generator(seed);
  const delay = (): number => Math.floor(random() * 6);
  const network = new Network(delay);
  return { network, random, alice: network.node(ALICE), bob: network.node(BOB), connection: () => new FakeConnection(delay) };
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** So many milliseconds, with all that happens in them. */
export const pass = (milliseconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);

/** Both ends, of connections that take their time. */
export function pair({ alice, bob, connection }: World): { ofAlice: End; ofBob: End } {
  return { ofAlice: new End(alice, BOB, { pc: connection() }), ofBob: new End(bob, ALICE, { pc: connection() }) };
}

/** Both are connected and agree on all that either has. */
export function agree(a: FakeConnection, b: FakeConnection, tracks: string[], message = ""): void {
  for (const pc of [a, b]) {
    expect(pc, message).toMatchObject({ signalingState: "stable", isConnected: true });
    expect(pc.sections.toSorted(), message).toEqual(tracks.toSorted());
  }
  expect(a.sections, message).toEqual(b.sections);
}

/** Nothing is left of calls that are over. */
export function nothingLeft(...nodes: FakeNode[]): void {
  for (const node of nodes) {
    expect([...node.answers.keys(), ...node.servers.keys()]).toEqual([]);
  }
  expect(vi.getTimerCount()).toBe(0);
}
