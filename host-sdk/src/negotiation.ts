// Perfect negotiation (WebRTC 1.0, section 10.7): both ends may offer whenever their connection needs it. When two offers meet,
// the impolite end ignores the other's, and the polite end takes its own back by setting the other's.

import { type Channel, type Step, stepOf } from "./channel.js";
import type { BittersError, Fault } from "./error.js";

/**
 * How long a connection may have failed without a word of the peer's, in milliseconds. A browser says that it failed 15 to 30 s after
 * the last answer; then a peer that lives needs a few round trips.
 */
const SILENT_FOR = 8000;

/** How long a first offer may be without a candidate before it is taken back all the same, in milliseconds. */
const GATHERS_WITHIN = 1000;

/** How long the polite end keeps its very first offer back for the peer's, in milliseconds: in a call that both begin, that is there by then. */
const YIELDS_FOR = 300;

type Description = Extract<Step, { description: unknown }>["description"];

/** Negotiates for one connection, over one channel at a time. */
export class Negotiation {
  readonly #pc: RTCPeerConnection;
  readonly #polite: boolean;
  readonly #fault: Fault;
  readonly #stopped = new AbortController();
  #channel: Channel | undefined;
  /** What ended the channel, if it was us. */
  #failure: BittersError | undefined;
  /** An offer of ours is being made. */
  #offering = false;
  /** The connection wanted an offer while there was no channel. */
  #wanted = false;
  /** The peer's last offer was ignored, and so are its candidates. */
  #ignoring = false;
  #begun = false;
  /** The browser has found a way for our end, or none. */
  #gathered = false;
  #onGathered = (): void => {};
  #silence: ReturnType<typeof setTimeout> | undefined;

  /** It hears from now on what the connection needs. */
  constructor(pc: RTCPeerConnection, polite: boolean, fault: Fault) {
    this.#pc = pc;
    this.#polite = polite;
    this.#fault = fault;
    const { signal } = this.#stopped;
    pc.addEventListener("negotiationneeded", () => this.#onNeeded(), { signal });
    pc.addEventListener("icecandidate", ({ candidate }) => this.#onCandidate(candidate), { signal });
    pc.addEventListener("connectionstatechange", () => this.#onState(), { signal });
  }

  /**
   * Negotiates until the peer says that it is done. On a connection that is closed meanwhile it may wait for ever, as the
   * browser's promises do.
   *
   * @throws the stream's error when it is lost, `PeerUnreachable` when nobody seems to be there, `Remote` for what breaks the protocol, `TooLarge` or `Unsupported` for an offer
   * of ours that can't be.
   */
  async run(channel: Channel): Promise<void> {
    this.#channel = channel;
    this.#failure = undefined;
    try {
      await (this.#begun ? this.#resume() : this.#begin());
      for (let step: Step | undefined; (step = await channel.next(stepOf)); ) {
        this.#heard();
        // One after another: no answer of the peer's is being set when its next offer comes.
        if ("description" in step) await this.#describe(step.description);
        else if ("candidate" in step) await this.#add(step.candidate);
        else this.#restart();
      }
    } catch (error) {
      throw this.#failure ?? error;
    } finally {
      this.#channel = undefined;
    }
  }

  /** Hears nothing more. */
  stop(): void {
    this.#stopped.abort();
    this.#heard();
  }

  /** What was added before anybody listened is offered, too. */
  async #begin(): Promise<void> {
    this.#begun = true;
    // Nothing comes in between: the browser asks for offers when its operations are done.
    if (this.#wanted || (await this.#isUntold())) void this.#offer();
  }

  /** Whether the connection has something that no description has told. */
  async #isUntold(): Promise<boolean> {
    const pc = this.#pc;
    if (pc.signalingState != "stable") return false;
    if (pc.getTransceivers().some(({ mid }) => mid === null)) return true;
    // Nobody can be asked for data channels, but the offer that the browser would make has them.
    return !pc.localDescription && /^m=/m.test((await pc.createOffer()).sdp ?? "");
  }

  /** What was on its way is lost: an offer is said again, and a connection without a way looks for one anew. */
  async #resume(): Promise<void> {
    const { connectionState, localDescription, remoteDescription, signalingState } = this.#pc;
    if (signalingState == "have-local-offer" && localDescription) this.#describeTo(localDescription);
    else if (this.#wanted) await this.#offer();
    else if (remoteDescription && connectionState != "connected") this.#restart();
  }

  #onNeeded(): void {
    if (this.#channel && this.#begun) void this.#offer();
    else this.#wanted = true;
  }

  async #offer(): Promise<void> {
    this.#wanted = false;
    try {
      if (await this.#yields()) return;
      this.#offering = true;
      await this.#pc.setLocalDescription();
      this.#describeTo(this.#pc.localDescription);
    } catch (cause) {
      this.#fail(new this.#fault("Unsupported", "the browser makes no offer", { cause }));
    } finally {
      this.#offering = false;
    }
  }

  /**
   * Whether no offer is needed any longer, as the peer offered first, or the call is over. Chromium (156), once it took its very first offer
   * back, fails to answer in 2 to 3 of 100 cases where all cores are busy ("Failed to start SCTP transport"), and in any later try: so the end that
   * would take its offer back waits with that one.
   */
  async #yields(): Promise<boolean> {
    const pc = this.#pc;
    if (!this.#polite || pc.localDescription || pc.remoteDescription) return false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, YIELDS_FOR);
      this.#stopped.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    if (!this.#channel) this.#wanted = true;
    if (!this.#channel || pc.signalingState != "stable") return true;
    const parts = (sdp = ""): number => (sdp.match(/^m=/gm) ?? []).length;
    const local = pc.localDescription as RTCSessionDescription | null;
    return !!local && parts((await pc.createOffer()).sdp) <= parts(local.sdp);
  }

  async #describe(description: Description): Promise<void> {
    const pc = this.#pc;
    const offer = description.type == "offer";
    const { signalingState } = pc;
    this.#ignoring = offer && !this.#polite && (this.#offering || signalingState != "stable");
    // An answer to nothing is one to an offer that was said twice.
    if (this.#ignoring || !(offer || signalingState == "have-local-offer")) return;
    if (offer && (this.#offering || signalingState != "stable")) await this.#gathers();
    try {
      await pc.setRemoteDescription(description);
      if (offer) await pc.setLocalDescription();
    } catch (cause) {
      throw this.#fail(new this.#fault("Remote", "the browser doesn't take the peer's description", { cause }));
    }
    if (offer) this.#describeTo(pc.localDescription);
  }

  /**
   * Chromium (156), if it takes its very first offer back before that has a candidate, now and then gathers none ever after: in 1 to 2 of
   * 100 cases, where all cores are busy; a restart of ICE doesn't help. Later offers use what is there.
   */
  async #gathers(): Promise<void> {
    if (this.#gathered || this.#pc.remoteDescription) return;
    await new Promise<void>((resolve) => {
      this.#onGathered = resolve;
      setTimeout(resolve, GATHERS_WITHIN);
    });
  }

  #onCandidate(candidate: RTCIceCandidate | null): void {
    this.#gathered = true;
    this.#onGathered();
    if (candidate) this.#tell({ candidate });
  }

  /** One that can't be used is one way less. */
  async #add(candidate: RTCIceCandidateInit): Promise<void> {
    if (!this.#ignoring) await this.#pc.addIceCandidate(candidate).catch(() => {});
  }

  /**
   * A peer whose whole browser is gone is missed by the connection first: a stream waits for it for a minute. (Chromium's
   * `iceConnectionState` may stay `disconnected` then.)
   */
  #onState(): void {
    const { connectionState } = this.#pc;
    if (connectionState == "connected") this.#heard();
    if (connectionState != "failed") return;
    this.#silence ??= setTimeout(() => this.#fail(new this.#fault("PeerUnreachable", "the peer is silent")), SILENT_FOR);
    this.#restart();
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }

  /** One end begins anew, for both. */
  #restart(): void {
    if (this.#polite) this.#channel?.send({ restart: true });
    else this.#pc.restartIce();
  }

  #describeTo(local: RTCSessionDescription | null): void {
    if (local && !this.#tell({ description: { type: local.type, sdp: local.sdp } })) {
      this.#fail(new this.#fault("TooLarge", "the description has over 64 KiB"));
    }
  }

  /** Whether it can be said. Without a channel it is forgotten: what matters is said again with the next. */
  #tell(message: { candidate: RTCIceCandidate } | { description: RTCSessionDescriptionInit }): boolean {
    const step = stepOf(message);
    if (step) this.#channel?.send(step);
    return !!step;
  }

  /** `run` rejects with it. */
  #fail(error: BittersError): BittersError {
    this.#failure ??= error;
    this.#channel?.abort(error.message);
    return error;
  }
}
