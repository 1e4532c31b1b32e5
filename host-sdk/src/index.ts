/**
 * One peer-to-peer node per person, shared by every website they open.
 *
 * ```ts
 * const node = await connect({ node: "https://node.example.org" });
 * const lobby = await node.join("lobby");
 * for await (const { from, data } of lobby) show(from, data);
 * ```
 */

export { type ConnectOptions, connect } from "./connect.js";
export type { Data, Json, Received } from "./data.js";
export { BittersError, type Code, type Executed } from "./error.js";
export type { Abortable, BittersNode, CallContext, CallOptions, JoinOptions, Serving, SignalOptions } from "./node.js";
export type { Limits } from "./limits.js";
export type { Badge } from "./place.js";
export type { Returned, Service } from "./service.js";
export type { FrameStatus, LeaderStatus, PeerStatus, Scope, Status } from "./status.js";
export type { Signalling } from "./signal.js";
export type { Stream } from "./stream.js";
export type { Message, Topic } from "./topic.js";
