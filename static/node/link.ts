// What a link of the overlay's scheme leads to, on the node's own page: a topic to talk in, or somebody to be connected with. The page is
// a site like any other here: it embeds its own node. All that links and people say is text.
//
// Any site can open this page at any link, unasked. Whoever is met by a link learns an id that is the same for all links, so that two sites
// could tell by it that they have the same visitor: nothing is joined or dialled before the person says so.

import { type BittersNode, type Received, type Topic, connect } from "@bitters/host-sdk";

import { guard } from "../../frame/consent.ts";

/** What the node made of the link. */
export interface Link {
  kind: "address" | "persona" | "topic" | "unknown";
  /** The address, the persona's id, the topic's name, or why it is unknown. */
  value: string;
}

/** Older ones fall off the page. */
const MAX_SHOWN = 200;

/** People who are listed by name; the others are counted. */
const MAX_PEOPLE = 50;

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
      await agreed(place, "Join");
      await talk(place, state, value);
    } else {
      title.textContent = "Somebody’s node";
      await agreed(place, "Connect");
      await reach(place, state, value);
    }
  } catch (error) {
    state.textContent = explain(error);
  }
}

/** Waits until the person wants it: by a click on what they have seen for a moment. */
function agreed(place: HTMLElement, act: string): Promise<void> {
  const button = make("button", { class: "first", "data-do": "follow", type: "button" }, act);
  const hint = "Whoever is there meets you under one id, the same for all links that you follow here.";
  const asking = make("div", { class: "follow" }, make("p", { class: "hint" }, hint), make("p", { class: "acts" }, button));
  place.append(asking);
  const counts = guard(place);
  return new Promise((resolve) => {
    button.addEventListener("click", () => {
      if (!counts()) return;
      asking.remove();
      resolve();
    });
  });
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
  const said: { from: string; text: string }[] = [];
  const draw = onceAFrame(() => {
    if (!box.isConnected) return;
    state.textContent = topic.peers.length === 0 ? "Nobody else is there yet." : "";
    const present = [node.id, ...topic.peers].map((id) => make("li", {}, nameOf(node, id)));
    const more = present.length - MAX_PEOPLE;
    people.replaceChildren(...present.slice(0, MAX_PEOPLE), ...(more > 0 ? [make("li", {}, `and ${more} more`)] : []));
    if (said.length === 0) return;
    for (const { from, text } of said.splice(0)) words.append(make("li", {}, make("strong", {}, nameOf(node, from)), " ", make("bdi", {}, text)));
    while (words.children.length > MAX_SHOWN) words.firstChild?.remove();
    words.scrollTop = words.scrollHeight;
  });
  for (const news of ["peerjoin", "peerleave"]) topic.addEventListener(news, draw);
  draw();
  const say = (from: string, text: string): void => {
    said.push({ from, text });
    if (said.length > MAX_SHOWN) said.shift();
    draw();
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

/** Does it with the next picture, however often it is asked for until then: a loud peer doesn't keep the page busy. */
function onceAFrame(work: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      work();
    });
  };
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
  const peer = await node.dial(where, { timeout: DIAL_WITHIN });
  const path = make("p", { class: "hint" });
  place.append(make("p", {}, make("code", {}, peer)), path);
  // This page sees the whole node: other personas may be linked to the same peer.
  for await (const { peers } of node.watch()) {
    const link = peers.find(({ id, persona }) => id === peer && persona === node.id);
    state.textContent = link ? "Connected." : "They were reached, and are no longer.";
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
