// Checked by `tsc`, never run: what a site may and may not write.

import { BittersError, type BittersNode, type Code, type Executed, type Json, type Returned, type Scope, type Status, type Stream, type Topic, connect } from "../src/index.js";

declare function is<T>(value: T): void;

export async function site(element: HTMLElement, signal: AbortSignal): Promise<void> {
  const node = await connect({ node: "https://node.example", badge: element, identity: "person", signal, timeout: 10_000 });
  await connect();
  await connect({ fallback: new URL("https://node.example"), badge: "hidden" });
  // @ts-expect-error: not a badge
  await connect({ badge: "loud" });
  // @ts-expect-error: not an identity
  await connect({ identity: "other" });

  is<BittersNode>(node);
  is<string>(node.id);
  is<Scope>(node.scope);
  // @ts-expect-error: the node's to change
  node.id = "other";
  node.addEventListener("scope", ({ detail }) => is<Scope>(detail));
  node.addEventListener("identity", ({ detail }) => is<string>(detail), { signal });

  node.addEventListener("gone", ({ type }) => is<string>(type));
  node.addEventListener("back", () => {}, { once: true });
  is<void>(node.revive());
  node.revive(element);
  node.revive("hidden");
  // @ts-expect-error: not a badge
  node.revive("loud");

  is<Status>(await node.status({ signal }));
  for await (const { leader } of node.watch({ signal })) is<number | undefined>(leader?.epoch);
  is<Scope>(await node.unify({ signal }));
  is<string>(await node.address({ signal }));
  is<string>(await node.dial(node.id, { signal }));

  const { closed } = await node.signal(new RTCPeerConnection(), node.id, { signal, timeout: 60_000, label: "screen" });
  is<void>(await closed);
  // @ts-expect-error: not a connection
  await node.signal({}, node.id);

  await topics(await node.join("lobby", { signal }));
  const typed = await node.join<{ n: number }>("numbers", { secret: new Uint8Array(16) });
  for await (const { data } of typed) is<number>(data.n);

  await streams(await node.open(node.id, "file", { signal }));
  await node.serve("file", async (stream) => is<Stream>(stream), { signal });
  // @ts-expect-error: somebody must handle it
  await node.serve("file");

  is<Json | Uint8Array>(await node.call(node.id, "add", [1, 2], { signal, timeout: 5, idempotent: true }));
  is<number>(await node.call<number>(node.id, "add", { a: 1 }));
  // @ts-expect-error: not data
  await node.call(node.id, "add", () => 1);
  await node.answer("add", async (data: number[], { from, signal }) => (is<string>(from), is<AbortSignal>(signal), data.length), { signal });
  // @ts-expect-error: not data
  await node.answer("add", () => 1n);
  await node.answer("echo", (data) => data, { signal });

  interface Guestbook {
    sign(name: string): Returned<boolean>;
    entries(): Returned<{ name: string }>;
  }
  const guestbook = node.service<Guestbook>("guestbook");
  is<boolean>(await guestbook.sign("hello"));
  for await (const { name } of guestbook.entries()) is<string>(name);
  // @ts-expect-error: no such method
  guestbook.burn();
  // @ts-expect-error: not its argument
  guestbook.sign(5);

  await node.close();
  await using closing = node;
  is<AsyncDisposable>(closing);
}

async function topics(topic: Topic): Promise<void> {
  for await (const { from, data, id } of topic) is<[string, Json | Uint8Array, string]>([from, data, id]);
  await topic.publish("text");
  await topic.publish({ n: [1, null, "x"] });
  await topic.publish(new ArrayBuffer(1));
  await topic.publish(new Uint8Array(1));
  // @ts-expect-error: not data
  await topic.publish(undefined);
  // @ts-expect-error: not data
  await topic.publish(() => 1);
  is<string[]>(topic.peers);
  topic.addEventListener("peerjoin", ({ detail }) => is<string>(detail));
  topic.leave();
}

async function streams(stream: Stream): Promise<void> {
  is<string>(stream.peer + stream.protocol);
  await new Blob(["file"]).stream().pipeTo(stream.writable);
  for await (const chunk of stream.readable) is<BlobPart>(chunk);
  await stream.close();
  stream.abort("changed my mind");
}

export function failed(error: unknown): boolean {
  if (!(error instanceof BittersError)) return false;
  is<Executed | undefined>(error.executed);
  is<Code>(error.code);
  // @ts-expect-error: no such code
  if (error.code == "Unknown") return false;
  return error.retryable;
}
