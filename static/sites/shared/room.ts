// The room: a topic's messages, and who is there.

import type { BittersNode, Topic } from "@bitters/host-sdk";
import { find, hueOf, make, short } from "./dom.js";
import { explain } from "./status.js";

/** Older ones fall off the page. */
const MAX_SHOWN = 200;
const MAX_NAME = 24;
const MAX_TEXT = 2000;

interface Said {
  name: string;
  text: string;
}

/** Shows the room for as long as the topic lasts. */
export async function showRoom(node: BittersNode, topic: Topic, name: string): Promise<void> {
  const names = new Map<string, string>();
  const list = (): void => listPeers(topic.peers, names);
  topic.addEventListener("peerjoin", list);
  topic.addEventListener("peerleave", list);
  list();
  takeWords(async (text) => {
    await topic.publish({ name, text });
    showMessage(node.id, crypto.randomUUID(), { name, text }, true);
  });

  for await (const { from, data, id } of topic) {
    const said = parse(data);
    if (!said) continue;
    names.set(from, said.name);
    showMessage(from, id, said, false);
    list();
  }
}

/** Anybody may publish anything: what isn't a message of ours is text at most, else nothing. */
function parse(data: unknown): Said | undefined {
  const { name, text } = typeof data === "object" && data ? (data as Record<string, unknown>) : { name: "", text: data };
  if (typeof text !== "string" || !text.trim()) return undefined;
  return { name: typeof name === "string" ? name.trim().slice(0, MAX_NAME) : "", text: text.slice(0, MAX_TEXT) };
}

/** Sends what is typed; it stays in the field if that fails. */
function takeWords(publish: (text: string) => Promise<void>): void {
  const form = find<HTMLFormElement>("say");
  const input = find<HTMLInputElement>("text");
  const problem = find("problem");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    try {
      await publish(text);
      problem.textContent = "";
    } catch (error) {
      problem.textContent = explain(error);
      input.value ||= text;
    }
  });
  find<HTMLFieldSetElement>("words").disabled = false;
}

function showMessage(from: string, id: string, said: Said, own: boolean): void {
  const messages = find("messages");
  const item = make("li", { className: own ? "own" : "", data: { from, id } });
  item.style.setProperty("--hue", String(hueOf(from)));
  const author = own ? "you" : said.name || "somebody";
  item.append(
    make("span", { className: "author", text: author }),
    " ",
    make("span", { className: "text", text: said.text }),
  );
  item.title = from;
  messages.append(item);
  while (messages.childElementCount > MAX_SHOWN) messages.firstElementChild?.remove();
  messages.scrollTop = messages.scrollHeight;
}

/** Those who stay keep their place on the page, and with it the focus. */
function listPeers(peers: Iterable<string>, names: ReadonlyMap<string, string>): void {
  const list = find("peers");
  const here = new Set(peers);
  for (const item of list.querySelectorAll<HTMLElement>("li")) if (!here.delete(item.dataset["id"] ?? "")) item.remove();
  for (const id of here) list.append(peerItem(id));
  for (const item of list.querySelectorAll<HTMLElement>("li")) {
    const name = names.get(item.dataset["id"] ?? "") || "somebody";
    const [strong, button] = [item.querySelector("strong"), item.querySelector("button")];
    if (strong) strong.textContent = name;
    button?.setAttribute("aria-label", `Call ${name}`);
  }
}

function peerItem(id: string): HTMLLIElement {
  const item = make("li", { data: { id } });
  item.style.setProperty("--hue", String(hueOf(id)));
  item.title = id;
  const call = make("button", { className: "ring", text: "Call" });
  item.append(make("strong"), " ", make("code", { text: short(id) }), call);
  return item;
}
