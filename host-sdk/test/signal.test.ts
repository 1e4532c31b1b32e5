import { describe, expect, it, vi } from "vitest";
import { BittersError } from "../src/index.js";
import { End, agree, inFakeTime, nothingLeft, pair, pass, world } from "./call.js";
import { FakeConnection } from "./connection.js";
import { ALICE, BOB } from "./frame.js";

inFakeTime();

describe("the two ends find each other", () => {
  it.each([0, 3, 10, 5000])("whoever comes first, by %d ms, and nobody asks again and again", async (gap) => {
    for (const first of ["alice", "bob"] as const) {
      const the = world(gap);
      const calls = { alice: () => new End(the.alice, BOB), bob: () => new End(the.bob, ALICE) };
      const one = calls[first]();
      await pass(gap);
      const other = calls[first == "alice" ? "bob" : "alice"]();
      await pass(100);
      await Promise.all([one.begun, other.begun]);
      expect(the.alice.asked.length, "pokes").toBe(1);
      expect(the.bob.asked.length, "streams").toBeLessThanOrEqual(3);
    }
  });

  it("in the order of the calls, where there are several with the same peer", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const the = world(seed);
      const ends = (at: number): { ofAlice: End; ofBob: End } => {
        const both = pair(the);
        both.ofAlice.pc.addTrack(`alice ${at}`);
        both.ofBob.pc.addTrack(`bob ${at}`);
        return both;
      };
      const all = [0, 1, 2].map(ends);
      await pass(500);
      for (const [at, { ofAlice, ofBob }] of all.entries()) agree(ofAlice.pc, ofBob.pc, [`alice ${at}`, `bob ${at}`], `seed ${seed}`);
    }
  });

  it("by their labels, where they have some", async () => {
    const the = world();
    const one = new End(the.alice, BOB, { label: "screen" });
    const ofAlice = new End(the.alice, BOB, { label: "camera" });
    const ofBob = new End(the.bob, ALICE, { label: "camera" });
    ofBob.pc.addTrack("face");
    await pass(500);
    agree(ofAlice.pc, ofBob.pc, ["face"]);
    expect(one.outcome).toBe(undefined);
    expect(one.pc.made.answer).toBe(0);
  });

  it("each its own, of several peers at once", async () => {
    const the = world();
    const CAROL = "c".repeat(52);
    const carol = the.network.node(CAROL);
    const ends = [new End(the.alice, BOB), new End(the.alice, CAROL), new End(the.bob, ALICE), new End(carol, ALICE)] as const;
    ends[2].pc.addTrack("bob");
    ends[3].pc.addTrack("carol");
    await pass(500);
    agree(ends[0].pc, ends[2].pc, ["bob"]);
    agree(ends[1].pc, ends[3].pc, ["carol"]);
  });

  it("and nobody else gets in between", async () => {
    const the = world();
    const mallory = the.network.node("m".repeat(52));
    const ofAlice = new End(the.alice, BOB);
    await pass(50);
    const stream = await Promise.all([mallory.open(ALICE, `bitters/signal/1/${BOB}`), pass(50)]).then(([stream]) => stream);
    await expect(stream.readable.getReader().read()).rejects.toMatchObject({ code: "Remote", message: "Error: somebody else is meant" });
    const ofBob = new End(the.bob, ALICE);
    await pass(100);
    await Promise.all([ofAlice.begun, ofBob.begun]);
  });

  it("whichever frame loads again meanwhile", async () => {
    for (let at = 0; at < 40; at++) {
      for (const which of ["alice", "bob"] as const) {
        const the = world(at);
        const { ofAlice, ofBob } = pair(the);
        await pass(at / 2);
        the[which].reload();
        await pass(200);
        expect([ofAlice.outcome, ofBob.outcome], `${which} after ${at / 2} ms`).toEqual([undefined, undefined]);
        await Promise.all([ofAlice.begun, ofBob.begun]);
      }
    }
  });

  it("or not, until the time is up", async () => {
    const the = world();
    for (const end of [new End(the.alice, BOB), new End(the.bob, ALICE, { label: "other" })]) {
      await pass(15_000);
      end.end(new BittersError("Timeout", "no answer in time"));
      await pass(100);
      expect(end).toMatchObject({ outcome: "Timeout", cancelled: true });
    }
    nothingLeft(the.alice, the.bob);
  });
});

describe("a call isn't made", () => {
  it.each<[string, (the: ReturnType<typeof world>) => End]>([
    ["BadArgument", ({ alice }) => new End(alice, ALICE)],
    ["BadArgument", ({ alice }) => new End(alice, BOB, { label: "x".repeat(41) })],
    ["BadArgument", ({ alice }) => new End(alice, BOB, { pc: {} as FakeConnection })],
    ["BadArgument", ({ alice }) => new End(alice, BOB, { pc: new End(alice, BOB).pc })],
    ["Closed", ({ alice }) => (({ pc }) => (pc.close(), new End(alice, BOB, { pc })))({ pc: new FakeConnection() })],
    ["PeerUnreachable", ({ alice, bob }) => ((bob.unreachable = true), new End(alice, BOB))],
    ["PeerUnreachable", ({ alice, bob }) => ((alice.unreachable = true), new End(bob, ALICE))],
    ["Unsupported", ({ alice }) => (vi.stubGlobal("RTCPeerConnection", undefined), new End(alice, BOB))],
  ])("%s: %s", async (code, made) => {
    const end = made(world());
    await pass(100);
    expect(end).toMatchObject({ outcome: code, cancelled: true });
  });
});

describe("negotiation", () => {
  it("agrees on everything, whatever happens when at either end", async () => {
    let rollbacks = 0;
    let reloads = 0;
    for (let seed = 0; seed < 60; seed++) {
      const the = world(seed);
      const { ofAlice, ofBob } = pair(the);
      const tracks: string[] = [];
      for (let at = 0; at < 12; at++) {
        const [node, { pc }] = the.random() < 0.5 ? [the.alice, ofAlice] : [the.bob, ofBob];
        const dice = the.random();
        if (dice < 0.7) pc.addTrack((tracks.push(`track ${at}`), `track ${at}`));
        else if (dice < 0.85) pc.restartIce();
        else if (reloads <= seed) node.reload(), reloads++;
        await pass(the.random() < 0.3 ? 0 : Math.floor(the.random() * 40));
      }
      await pass(3000);
      agree(ofAlice.pc, ofBob.pc, tracks, `seed ${seed}`);
      expect([ofAlice.outcome, ofBob.outcome], `seed ${seed}`).toEqual([undefined, undefined]);
      expect(ofBob.pc.rollbacks, "the impolite end takes nothing back").toBe(0);
      expect(ofAlice.pc.hasty, `seed ${seed}`).toBe(0);
      rollbacks += ofAlice.pc.rollbacks;
    }
    expect(rollbacks, "offers that met").toBeGreaterThan(20);
    expect(reloads, "streams that were lost").toBeGreaterThan(30);
  }, 30_000);

  it("says nothing that can't be used", async () => {
    for (let seed = 0; seed < 50; seed++) {
      const { ofAlice, ofBob } = pair(world(seed));
      ofAlice.pc.addTrack("a");
      ofBob.pc.addTrack("b");
      await pass(500);
      agree(ofAlice.pc, ofBob.pc, ["a", "b"], `seed ${seed}`);
      expect([ofAlice.pc.refused, ofBob.pc.refused, ofAlice.pc.hasty], `seed ${seed}`).toEqual([0, 0, 0]);
      expect(ofAlice.pc.rollbacks, `seed ${seed}: the polite end waited with its first offer`).toBe(0);
    }
  });

  it("offers what was added long before the call, and offers nothing where there is nothing", async () => {
    const the = world();
    const pcs = [new FakeConnection(), new FakeConnection()] as const;
    pcs[0].addTrack("early");
    await pass(100);
    const ofAlice = new End(the.alice, BOB, { pc: pcs[0] });
    const ofBob = new End(the.bob, ALICE, { pc: pcs[1] });
    await pass(500);
    agree(pcs[0], pcs[1], ["early"]);
    expect([ofAlice.pc.made, ofBob.pc.made]).toEqual([{ offer: 1, answer: 0 }, { offer: 0, answer: 1 }]);

    const idle = pair(the);
    await pass(500);
    expect(idle.ofAlice.pc.made).toEqual({ offer: 0, answer: 0 });
    await idle.ofBob.begun;
  });

  it("offers channels that were made long before the call, with whatever comes meanwhile", async () => {
    for (let seed = 0; seed < 40; seed++) {
      const the = world(seed);
      const pcs = [the.connection(), the.connection()] as const;
      pcs[seed % 2]?.createDataChannel();
      await pass(50);
      const ofAlice = new End(the.alice, BOB, { pc: pcs[0] });
      const ofBob = new End(the.bob, ALICE, { pc: pcs[1] });
      await Promise.all([ofAlice.begun, ofBob.begun, pass(400)]);
      expect([...pcs[0].sections, ...pcs[1].sections], `seed ${seed}`).toContain("application");

      const busy = [the.connection(), the.connection()] as const;
      busy[seed % 2]?.createDataChannel();
      await pass(50);
      new End(the.alice, BOB, { pc: busy[0] });
      new End(the.bob, ALICE, { pc: busy[1] });
      for (let at = 0; at < 12; at++) {
        await pass(Math.floor(the.random() * 4));
        busy[at % 2]?.addTrack(`track ${at}`);
      }
      await pass(500);
      agree(busy[0], busy[1], ["application", ...Array.from({ length: 12 }, (_, at) => `track ${at}`)], `seed ${seed}`);
    }
  }, 20_000);

  it("goes on when one end alone has lost the stream, and looks for a way if there is none", async () => {
    const the = world();
    const { ofAlice, ofBob } = pair(the);
    ofAlice.pc.addTrack("a");
    await pass(500);
    for (const stream of the.bob.streams) stream.fail(new BittersError("LeaderLost", "the frame is gone"));
    ofAlice.pc.addTrack("b");
    await pass(500);
    agree(ofAlice.pc, ofBob.pc, ["a", "b"]);

    const offers = ofBob.pc.made.offer;
    ofBob.pc.connectionState = "disconnected";
    the.bob.reload();
    await pass(500);
    expect([ofBob.pc.made.offer, ofBob.pc.signalingState]).toEqual([offers + 1, "stable"]);
  });

  it("goes on when neither reaches the other for a while", async () => {
    const the = world();
    const { ofAlice, ofBob } = pair(the);
    await pass(100);
    the.alice.unreachable = true;
    the.bob.reload();
    await pass(500);
    the.alice.unreachable = false;
    ofBob.pc.addTrack("b");
    await pass(1500);
    agree(ofAlice.pc, ofBob.pc, ["b"]);
  });

  it("looks for a way anew when there is none, once for both", async () => {
    const { ofAlice, ofBob } = pair(world());
    ofAlice.pc.addTrack("a");
    await pass(500);
    const offers = [ofAlice.pc.made.offer, ofBob.pc.made.offer] as const;
    ofAlice.pc.fail();
    ofBob.pc.fail();
    await pass(500);
    agree(ofAlice.pc, ofBob.pc, ["a"]);
    expect([ofAlice.pc.made.offer, ofBob.pc.made.offer]).toEqual([offers[0], expect.toBeOneOf([offers[1] + 1, offers[1] + 2])]);
    await pass(20_000);
    expect([ofAlice.outcome, ofBob.outcome]).toEqual([undefined, undefined]);
  });
});

describe("a call ends", () => {
  async function called(seed = 1): Promise<ReturnType<typeof world> & { ofAlice: End; ofBob: End }> {
    const the = world(seed);
    const both = pair(the);
    both.ofAlice.pc.addTrack("a");
    await pass(500);
    return { ...the, ...both };
  }

  it.each(["ofAlice", "ofBob"] as const)("with the connection %s, which says so to nobody", async (which) => {
    const the = await called();
    the[which].pc.close();
    await pass(2000);
    expect([the.ofAlice.outcome, the.ofBob.outcome]).toEqual(["closed", "closed"]);
    nothingLeft(the.alice, the.bob);
  });

  it.each(["ofAlice", "ofBob"] as const)("with the signal of %s", async (which) => {
    const the = await called();
    the[which].abort();
    await pass(100);
    expect([the.ofAlice.outcome, the.ofBob.outcome]).toEqual(["closed", "closed"]);
    expect([the.ofAlice.cancelled, the.ofBob.cancelled]).toEqual([true, true]);
    nothingLeft(the.alice, the.bob);
  });

  it("with its node", async () => {
    const the = await called();
    the.ofAlice.end(new BittersError("Closed", "the node was closed"));
    await pass(100);
    expect(the.ofAlice.outcome).toBe("Closed");
  });

  it.each(["alice", "bob"] as const)("when the page of %s is gone and doesn't come back", async (which) => {
    const the = await called();
    const [gone, left] = which == "alice" ? [the.ofAlice, the.ofBob] : [the.ofBob, the.ofAlice];
    the[which].unreachable = true;
    the[which].answers.clear();
    the[which].servers.clear();
    the[which].reload();
    await pass(4900);
    expect(left.outcome).toBe(undefined);
    await pass(200);
    expect(left.outcome).toBe("PeerUnreachable");
    expect(gone.outcome).toBe("LeaderLost");
    nothingLeft(the.alice, the.bob);
  });

  it("and another one doesn't take its place, though its end wasn't heard", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const the = await called(seed);
      for (const stream of [...the.alice.streams, ...the.bob.streams]) stream.stalled = true;
      the.ofAlice.abort();
      const another = new End(the.alice, BOB, { pc: the.connection() });
      await pass(the.random() * 20);
      for (const stream of the.bob.streams) stream.fail(new BittersError("LeaderLost", "the frame is gone"));
      await pass(4000);
      expect([the.ofBob.outcome, another.outcome], `seed ${seed}`).toEqual([undefined, undefined]);
      await pass(2000);
      expect([the.ofBob.outcome, another.outcome], `seed ${seed}`).toEqual(["LeaderLost", undefined]);
      new End(the.bob, ALICE, { pc: the.connection() });
      await pass(100);
      await another.begun;
    }
  });

  it.each(["ofAlice", "ofBob"] as const)("when nobody is there, which %s learns of the connection before the node does", async (which) => {
    const the = await called();
    for (const stream of [...the.alice.streams, ...the.bob.streams]) stream.stalled = true;
    [the.alice, the.bob].forEach((node) => (node.unreachable = true));
    the[which].pc.fail();
    await pass(12_900);
    expect(the[which].outcome).toBe(undefined);
    await pass(200);
    expect(the[which].outcome).toBe("PeerUnreachable");
  });

  it("not when the connection failed and the peer is there", async () => {
    const the = await called();
    for (const which of ["ofAlice", "ofBob"] as const) {
      the[which].pc.fail();
      await pass(20_000);
      expect([the.ofAlice.outcome, the.ofBob.outcome]).toEqual([undefined, undefined]);
      expect(the[which].pc.isConnected, which).toBe(true);
    }
  });

  it("when its stream is lost too often", async () => {
    const the = await called();
    for (let at = 0; at < 9; at++) {
      the.alice.reload();
      await pass(100);
    }
    expect([the.ofAlice.outcome, the.ofBob.outcome]).toEqual(["LeaderLost", expect.stringMatching(/Remote|PeerUnreachable/)]);
    nothingLeft(the.alice, the.bob);
  });

  it("at any moment, and the next one with the same connection begins", async () => {
    const moments = new Set<string | undefined>();
    for (let at = 0; at < 60; at++) {
      for (const which of ["ofAlice", "ofBob"] as const) {
        const the = world(at);
        const both = pair(the);
        both.ofAlice.pc.addTrack("a");
        await pass(at);
        both[which].abort();
        await pass(100);
        moments.add(both[which].outcome);
        const other = which == "ofAlice" ? both.ofBob : both.ofAlice;
        other.abort();
        await pass(100);
        expect([both.ofAlice.outcome, both.ofBob.outcome], `${which} after ${at} ms`).not.toContain(undefined);
        nothingLeft(the.alice, the.bob);

        const again = [new End(the.alice, BOB, { pc: the.connection() }), new End(the.bob, ALICE, { pc: both.ofBob.pc })] as const;
        await pass(200);
        await Promise.all(again.map(({ begun }) => begun));
        for (const end of again) end.abort();
        await pass(100);
      }
    }
    expect(moments).toEqual(new Set(["Aborted", "closed"]));
  });
});
