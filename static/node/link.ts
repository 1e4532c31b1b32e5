// What a link of the overlay's scheme leads to, on the node's own page: a topic to talk in, or somebody to be connected with. The page is
// a site like any other here: it embeds its own node. All that links and people say is text.

import { type BittersNode, type Received, type Topic, connect } from "@bitters/host-sdk";

/** What the node made of the link. */
export interface Link {
  kind: "address" | "persona" | "topic" | "unknown";
  /** The address, the persona's id, the topic's name, or why it is unknown. */
  value: string;
}

/** Older ones fall off the page. */
const MAX_SHOWN = 200;

/** Characters of a message. */
const MAX_TEXT = 2000;

/** Milliseconds: to somebody who isn't there, all ways are tried. */
const DIAL_WITHIN = 30_000;

/** Shows it. */
export async function show({ kind, value }: Link): Promise<void> {
  const place = document.querySelector<HTMLElement>("[data-link]");
  const title = place?.querySelector("h2");
  if (!place || !title) return;
  place.hidden = false;
  const state = make("p", { role: "status" });
  place.append(state);
  try {
    if (kind === "unknown") {
      title.textContent = "This link isn’t one that your node understands";
      state.textContent = `Why: ${value}.`;
    } else if (kind === "topic") {
      title.append("Topic ", make("bdi", {}, `“${value}”`));
      await talk(place, state, value);
    } else {
      title.textContent = "Somebody’s node";
      await reach(place, state, value);
    }
  } catch (error) {
    state.textContent = explain(error);
  }
}

async function embedded(state: HTMLElement): Promise<BittersNode> {
  state.textContent = "Connecting…";
  return connect({ node: location.origin, badge: "hidden" });
}

async function talk(place: HTMLElement, state: HTMLElement, name: string): Promise<void> {
  const node = await embedded(state);
  const topic = await node.join(name);
  const people = make("ul", { "aria-label": "Who is there" });
  const words = make("ul", { "aria-label": "What is said", role: "log" });
  const list = (): void => {
    state.textContent = topic.peers.length === 0 ? "Nobody else is there yet." : "";
    people.replaceChildren(...[node.id, ...topic.peers].map((id) => make("li", {}, nameOf(node, id))));
  };
  for (const news of ["peerjoin", "peerleave"]) topic.addEventListener(news, list);
  list();
  const say = (from: string, text: string): void => {
    words.append(make("li", {}, make("strong", {}, nameOf(node, from)), " ", make("bdi", {}, text)));
    while (words.children.length > MAX_SHOWN) words.firstChild?.remove();
    words.scrollTop = words.scrollHeight;
  };
  const leave = make("button", { type: "button" }, "Leave");
  const box = make("div", { class: "talk" }, people, words, field(topic, state, (text) => say(node.id, text)), make("p", { class: "acts" }, leave));
  leave.addEventListener("click", () => {
    topic.leave();
    void node.close();
    box.remove();
    state.textContent = "You left.";
  });
  place.append(box);
  for await (const { from, data } of topic) say(from, textOf(data));
}

/** What is typed stays in the field if it can't be said. */
function field(topic: Topic, state: HTMLElement, said: (text: string) => void): HTMLElement {
  const input = make("input", { "aria-label": "Say something", autocomplete: "off", maxlength: String(MAX_TEXT), placeholder: "Say something" });
  const form = make("form", {}, input, make("button", { class: "first" }, "Say"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    try {
      await topic.publish(text);
      said(text);
      input.value = "";
    } catch (error) {
      state.textContent = explain(error);
    }
  });
  return form;
}

async function reach(place: HTMLElement, state: HTMLElement, where: string): Promise<void> {
  const node = await embedded(state);
  const before = new Set((await node.status()).peers.map(({ id }) => id));
  const peer = await node.dial(where, { timeout: DIAL_WITHIN });
  const path = make("p", { class: "hint" });
  place.append(make("p", {}, make("code", {}, peer)), path);
  // This page sees the whole node, hence linked nodes rather than whose personas they are: it is the one that has just come, or the only one.
  const linked = (await node.status()).peers;
  const come = linked.filter(({ id }) => !before.has(id));
  const meant = [come, linked].find(({ length }) => length === 1)?.[0]?.id;
  state.textContent = "Connected.";
  for await (const { peers } of node.watch()) {
    const link = peers.find(({ id }) => id === meant);
    if (meant && !link) state.textContent = "They were reached, and are no longer.";
    path.textContent = link ? PATHS[link.path] : "";
  }
}

const PATHS = {
  direct: "Directly: your browsers talk with each other.",
  proxied: "By a server, until a direct way is found. It can’t read what you say.",
  relayed: "By a server, as there is no direct way. It can’t read what you say.",
};

/** Sites say anything: a string, or an object with a text, as the demo's do. */
function textOf(data: Received): string {
  if (data instanceof Uint8Array) return `(${data.length} bytes)`;
  const text = typeof data === "object" && data && "text" in data ? data.text : data;
  return (typeof text === "string" ? text : JSON.stringify(data)).slice(0, MAX_TEXT);
}

function nameOf(node: BittersNode, id: string): string {
  return id === node.id ? "you" : id.slice(0, 8);
}

function explain(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  const why: Record<string, string> = {
    NotFound: "Nobody is there.",
    PeerUnreachable: "There is no way to them now. They may be offline.",
    Timeout: "Nobody answered in time. They may be offline.",
  };
  return why[code ?? ""] ?? `It didn’t work: ${message ?? error}.`;
}

function make<K extends keyof HTMLElementTagNameMap>(name: K, attributes: Record<string, string>, ...content: (Node | string)[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...content);
  return element;
}
