// `node.signal`, loaded when it is first called: one call from its beginning to its end.

import type { Channel } from "./channel.js";
import type { BittersError, Fault } from "./error.js";
import { type Meets, type Seat, sit } from "./meeting.js";
import { Negotiation } from "./negotiation.js";
import type { SignalOptions } from "./node.js";

/** A call that both ends are in. */
export interface Signalling {
  /**
   * Resolves when it is over: the connection was closed, the signal aborted, or the peer ended it. Rejects when the peer is gone
   * (`PeerUnreachable`), the node was closed (`Closed`), or the peer broke the protocol (`Remote`). The connection is the site's
   * to close. Nobody need look at it.
   */
  readonly closed: Promise<void>;
}

/** What a call is about. */
export interface Call {
  node: Meets;
  pc: RTCPeerConnection;
  peer: string;
  options: SignalOptions;
  /** Its limits. */
  talk: Lives;
  /** The class of the errors. */
  fault: Fault;
}

/** What limits a call. */
export interface Lives {
  /** Rejects when the time is up, nothing more is wanted, or the node is closed. */
  answer: Promise<never>;
  limited?: { untime(): void } | undefined;
  /** It is over. */
  cancel(): void;
}

/** Characters of a label: with the rest it makes a protocol's name. */
const MAX_LABEL = 40;

/** A persona's id. */
const PERSONA = /^[13-9a-km-uw-z]{52}$/;

/** `close()` fires no event, so it is looked for this often, in milliseconds. */
const LOOK_EVERY = 1000;

/** How long a peer whose stream was lost may take to come back, in milliseconds: its frame loads again. */
const BACK_WITHIN = 5000;

/** Streams that one call may lose: a peer isn't to keep us busy. */
const MAX_LOST = 8;

/** Connections that are driven. */
const driven = new WeakSet<RTCPeerConnection>();

/** Resolves when both ends are there. Rejects with `BadArgument`, `Unsupported`, `Closed`, or what the node or the talk says. */
export async function drive(call: Call): Promise<Signalling> {
  const { node, pc, peer, talk, fault } = call;
  const { label = "" } = call.options;
  const hungUp = new fault("Closed", "the connection is closed");
  const over = new AbortController();
  talk.answer.catch((error) => over.abort(error));
  try {
    check(call, hungUp);
  } catch (error) {
    talk.cancel();
    throw error;
  }
  const look = setInterval(() => pc.signalingState == "closed" && over.abort(hungUp), LOOK_EVERY);
  driven.add(pc);
  const seat = sit(node, peer, label, fault);
  const negotiation = new Negotiation(pc, node.id > peer, fault);
  const stop = (): void => {
    negotiation.stop();
    seat.leave();
    driven.delete(pc);
    clearInterval(look);
    talk.cancel();
  };
  try {
    const channel = await seat.channel(over.signal);
    talk.limited?.untime();
    const closed = carry(negotiation, seat, channel, over.signal)
      .catch((error: BittersError) => {
        // Both were done by the site. That its node was closed may be news.
        if (error != hungUp && !(over.signal.aborted && error.code == "Aborted")) throw error;
      })
      .finally(stop);
    closed.catch(() => {});
    return { closed };
  } catch (error) {
    stop();
    throw error;
  }
}

/** Negotiates over one channel after another, until the peer is done or the signal is aborted, which rejects with its reason. */
async function carry(negotiation: Negotiation, seat: Seat, first: Channel, over: AbortSignal): Promise<void> {
  const ended = new Promise<never>((_, reject) => {
    over.addEventListener("abort", () => reject(over.reason));
    if (over.aborted) reject(over.reason);
  });
  let channel = first;
  for (let lost = 0; ; ) {
    try {
      await Promise.race([negotiation.run(channel), ended]);
      return channel.close();
    } catch (error) {
      if (over.aborted) channel.close();
      else channel.abort(String((error as Error).message));
      if (over.aborted || ++lost > MAX_LOST || !(seat.moved || isLoss(error as BittersError))) throw error;
      channel = await comeBack(seat, over, error);
    }
  }
}

/** The next channel, unless it takes too long: then it was no loss but the end. */
async function comeBack(seat: Seat, over: AbortSignal, error: unknown): Promise<Channel> {
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(error), BACK_WITHIN);
  const end = (): void => waiting.abort(over.reason);
  over.addEventListener("abort", end);
  try {
    return await seat.channel(waiting.signal);
  } finally {
    clearTimeout(timer);
    over.removeEventListener("abort", end);
  }
}

/** Our frame or theirs is gone. Anything else was said by the peer, or is final. */
function isLoss({ code }: BittersError): boolean {
  return code == "LeaderLost" || code == "PeerUnreachable";
}

function check({ node, pc, peer, options: { label = "" }, fault }: Call, hungUp: BittersError): void {
  if (!globalThis.RTCPeerConnection) throw new fault("Unsupported", "no RTCPeerConnection here");
  if (typeof pc?.setRemoteDescription != "function") throw new fault("BadArgument", "not an RTCPeerConnection");
  if (driven.has(pc)) throw new fault("BadArgument", "the connection is driven already");
  if (!PERSONA.test(peer)) throw new fault("BadArgument", "not a peer's id");
  if (peer == node.id) throw new fault("BadArgument", "the peer is this site itself");
  if (typeof label != "string" || label.length > MAX_LABEL) throw new fault("BadArgument", "a label has at most 40 characters");
  if (pc.signalingState == "closed") throw hungUp;
}
