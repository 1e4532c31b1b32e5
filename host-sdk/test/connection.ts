// An RTCPeerConnection as far as negotiation goes: descriptions, states, rollback, the chain of operations and the event that asks
// for an offer (WebRTC 1.0, sections 4.4.1.2, 4.4.1.5 and 4.7). Tracks are names; a description lists them as media sections.

interface Description {
  type: "answer" | "offer";
  sdp: string;
}

/** How long an operation takes: 0 or more milliseconds. */
export type Delay = () => number;

let made = 0;

export class FakeConnection extends EventTarget {
  signalingState: RTCSignalingState = "stable";
  iceConnectionState: RTCIceConnectionState = "new";
  connectionState: RTCPeerConnectionState = "new";
  /** Candidates that came for a description which isn't set. */
  refused = 0;
  /** Offers and answers that were made. */
  made = { answer: 0, offer: 0 };
  /** Offers of its own that it took back. */
  rollbacks = 0;
  /** First offers among them that had no candidate yet. */
  hasty = 0;
  #gathered = false;
  readonly #delay: Delay;
  #current: { local: Description; remote: Description } | undefined;
  #local: Description | undefined;
  #remote: Description | undefined;
  #tracks: string[] = [];
  #channels = false;
  #needed = false;
  #restart = false;
  #chain: Promise<unknown> = Promise.resolve();
  /** Of the peer's candidates: whose the last one was. */
  #heard: string | undefined;
  #busy = 0;
  #ufrag = "";

  constructor(delay: Delay = () => 0) {
    super();
    this.#delay = delay;
  }

  get localDescription(): Description | null {
    return this.#local ?? this.#current?.local ?? null;
  }

  get remoteDescription(): Description | null {
    return this.#remote ?? this.#current?.remote ?? null;
  }

  /** What both ends agreed on. */
  get sections(): string[] {
    return this.#current ? sectionsOf(this.#current.local.sdp) : [];
  }

  get isConnected(): boolean {
    return this.iceConnectionState == "connected";
  }

  addTrack(name: string): void {
    this.#tracks.push(name);
    this.#update();
  }

  /** Channels share one media section, and nobody can ask for them. */
  createDataChannel(): void {
    this.#channels = true;
    this.#update();
  }

  getTransceivers(): { mid: string | null }[] {
    return this.#tracks.map((name) => ({ mid: this.sections.includes(name) ? name : null }));
  }

  restartIce(): void {
    this.#restart = true;
    this.#update();
  }

  close(): void {
    this.signalingState = "closed";
    this.connectionState = "closed";
  }

  /** No way carries anything any longer. */
  fail(): void {
    this.#state("failed");
  }

  createOffer(): Promise<Description> {
    return this.#operate(async () => ({ type: "offer", sdp: this.#text(`offer ${++made}`, this.#wanted(), "none") }));
  }

  setLocalDescription(): Promise<void> {
    return this.#operate(async () => {
      const answering = this.signalingState == "have-remote-offer";
      const type = answering ? "answer" : "offer";
      const restart = answering ? this.#remoteUfrag() != this.#currentRemoteUfrag() : this.#restart;
      if (restart || !this.#ufrag) this.#ufrag = `u${++made}`;
      const remote = this.#remote?.sdp ?? "";
      const sections = answering ? sectionsOf(remote) : this.#wanted();
      this.#local = { type, sdp: this.#text(answering ? `to ${nameOf(remote)}` : `offer ${++made}`, sections, this.#ufrag) };
      this.made[type]++;
      if (answering) this.#agree();
      else {
        this.signalingState = "have-local-offer";
        // A browser looks for ways as soon as it has credentials of its own.
        if (this.connectionState == "failed") this.#state("checking");
      }
      this.#trickle(this.#ufrag);
    });
  }

  setRemoteDescription({ type, sdp }: Description): Promise<void> {
    return this.#operate(async () => {
      if (!sdp.startsWith("v=0\n")) throw new DOMException("no description", "OperationError");
      if (type == "answer") {
        if (this.signalingState != "have-local-offer") throw new DOMException("no answer is wanted", "InvalidStateError");
        if (nameOf(sdp) != `to ${nameOf(this.#local?.sdp ?? "")}`) throw new DOMException("another offer's answer", "InvalidAccessError");
      } else if (this.signalingState == "have-local-offer") {
        this.rollbacks++;
        if (!this.#current && !this.#gathered) this.hasty++;
        this.#local = undefined;
        this.#ufrag = ufragOf(this.#current?.local.sdp ?? "");
      }
      this.#remote = { type, sdp };
      if (type == "answer") this.#agree();
      else this.signalingState = "have-remote-offer";
    });
  }

  addIceCandidate({ usernameFragment }: RTCIceCandidateInit): Promise<void> {
    return this.#operate(async () => {
      if (usernameFragment != this.#remoteUfrag()) {
        this.refused++;
        throw new DOMException("whose candidate?", "OperationError");
      }
      this.#heard = usernameFragment;
      this.#look();
    });
  }

  #agree(): void {
    if (ufragOf(this.#local?.sdp ?? "") != ufragOf(this.#current?.local.sdp ?? "")) this.#restart = false;
    this.#current = { local: this.#local as Description, remote: this.#remote as Description };
    this.#local = undefined;
    this.#remote = undefined;
    this.signalingState = "stable";
    this.#needed = false;
    if (this.connectionState == "failed") this.#state("checking");
    this.#look();
    this.#update();
  }

  #look(): void {
    if (this.signalingState == "stable" && this.#heard && this.#heard == this.#remoteUfrag() && !this.isConnected) this.#state("connected");
  }

  /** As Chromium tells it. */
  #state(state: "checking" | "connected" | "failed"): void {
    if (state == "failed") this.#heard = undefined;
    this.iceConnectionState = state == "failed" ? "disconnected" : state;
    this.connectionState = state == "checking" ? "connecting" : state;
    this.dispatchEvent(new Event("iceconnectionstatechange"));
    this.dispatchEvent(new Event("connectionstatechange"));
  }

  #remoteUfrag(): string | undefined {
    return this.remoteDescription ? ufragOf(this.remoteDescription.sdp) : undefined;
  }

  #currentRemoteUfrag(): string | undefined {
    return this.#current && ufragOf(this.#current.remote.sdp);
  }

  #wanted(): string[] {
    return [...new Set([...this.sections, ...(this.#channels ? ["application"] : []), ...this.#tracks])];
  }

  #text(name: string, sections: string[], ufrag: string): string {
    return ["v=0", `s=${name}`, `a=ice-ufrag:${ufrag}`, ...sections.map((section) => `m=${section}`), ""].join("\n");
  }

  #trickle(ufrag: string): void {
    for (const candidate of ["a", "b"]) {
      setTimeout(() => {
        if (this.signalingState == "closed" || ufrag != this.#ufrag) return;
        this.#gathered = true;
        const detail = { candidate, sdpMid: "0", sdpMLineIndex: 0, usernameFragment: ufrag };
        this.dispatchEvent(Object.assign(new Event("icecandidate"), { candidate: detail }));
        // They may be the last to come.
      }, 4 * this.#delay());
    }
  }

  /** One after another. On a closed connection nothing settles. */
  #operate<T>(operation: () => Promise<T>): Promise<T> {
    this.#busy++;
    const result = this.#chain.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, this.#delay()));
      if (this.signalingState == "closed") await new Promise(() => {});
      return operation();
    });
    const done = (): void => {
      if (!--this.#busy) this.#ask();
    };
    this.#chain = result.then(done, done);
    return result;
  }

  #update(): void {
    if (this.#needed || this.signalingState != "stable") return;
    if (!this.#restart && this.#wanted().length == this.sections.length) return;
    this.#needed = true;
    this.#ask();
  }

  #ask(): void {
    setTimeout(() => {
      if (this.#busy || !this.#needed || this.signalingState != "stable") return;
      this.dispatchEvent(new Event("negotiationneeded"));
    }, 0);
  }
}

function sectionsOf(sdp: string): string[] {
  return [...sdp.matchAll(/^m=(.*)$/gm)].map(([, name]) => name as string);
}

function nameOf(sdp: string): string {
  return /^s=(.*)$/m.exec(sdp)?.[1] ?? "";
}

function ufragOf(sdp: string): string {
  return /^a=ice-ufrag:(.*)$/m.exec(sdp)?.[1] ?? "";
}
