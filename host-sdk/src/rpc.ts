// What the SDK and a frame say to each other: `wire/src/rpc.rs`, as serde-wasm-bindgen writes it. `tests/vectors/rpc.json` has
// one of each and is read by both sides.

import type { Code, Executed } from "./error.js";
import type { Scope, Status } from "./status.js";

/** Versions of the wire that this SDK speaks. */
export const VERSIONS = { min: 1, max: 2 };

/** A variant without content is a string, one with content an object of one key. */
type Variant<T> = { [K in keyof T]: T[K] extends undefined ? K : { [P in K]: T[K] } }[keyof T];

export type WireData = { bytes: Uint8Array<ArrayBuffer> } | { json: string } | { text: string };

export type Identity = "person" | "site";

export interface Begun {
  bitters: "begun";
}

export interface Ready {
  bitters: "ready";
  nonce: string;
}

export interface HostHello {
  bitters: "hello";
  nonce: string;
  versions: { min: number; max: number };
  identity: Identity;
}

export interface Asks {
  address: undefined;
  answer: { method: string; direct?: boolean | undefined };
  call: { peer: string; method: string; data: WireData; timeout: number; idempotent: boolean };
  cancel: undefined;
  credit: { limit: number };
  dial: { to: string };
  finish: undefined;
  hangUp: { peer: string };
  join: { name: string };
  joinSecret: { name: string; secret: WireData };
  open: { peer: string; protocol: string };
  presence: { topic: number; value?: string | undefined };
  publish: { topic: number; data: WireData };
  reply: { outcome: { err: string } | { ok: WireData } };
  reset: { reason: string };
  serve: { protocol: string; direct?: boolean | undefined };
  service: { name: string; method: string; args: string };
  status: undefined;
  stop: undefined;
  unify: undefined;
  watch: undefined;
  write: { bytes: Uint8Array };
}

export type Ask = Variant<Asks>;

/** From the SDK. */
export interface Request {
  id: number;
  ask: Ask;
}

export interface Failure {
  code: Code;
  message: string;
  retryable: boolean;
  executed?: Executed | undefined;
}

/** CSS pixels that the badge wants; 0 by 0 for what the site gave it. */
export interface Room {
  width: number;
  height: number;
}

export interface SiteWelcome {
  id: string;
  version: string;
  scope: Scope;
  rpc: number;
}

export interface Tells {
  address: string;
  badge: Room;
  bytes: Uint8Array<ArrayBuffer>;
  cancelled: undefined;
  credit: number;
  done: undefined;
  end: undefined;
  failed: Failure;
  finished: undefined;
  identity: string;
  incomingCall: { call: number; from: string; data: WireData };
  incomingStream: { stream: number; peer: string };
  message: { from: string; data: WireData; id: string };
  next: string;
  peer: string;
  more: boolean;
  peerJoin: string;
  peerLeave: string;
  presence: { peer: string; value?: string | undefined };
  reply: WireData;
  scope: Scope;
  status: Status;
  value: string;
  welcome: SiteWelcome;
}

export type Tell = Variant<Tells>;

/** From the frame. */
export interface Event {
  id: number;
  tell: Tell;
}
