// A live picture of the node: its frames as circles; its leader in the middle; its links as lines from the frames that hold them to
// the peers outside, dashed where they stand by. One colour a persona: its frames, its links and, at other personas' links, itself.
// Two sites of one browser are strangers to each other, so each is outside for the other.

import type { BittersNode, FrameStatus, PeerStatus, Status } from "@bitters/host-sdk";
import { find, hueOf, short } from "./dom.js";
import { LEADER, type Line, lines, type Place, places } from "./layout.js";

/** More would be a blot; the words below tell the numbers. */
const MAX_DRAWN = 40;
/** The share of its way that a thing goes in one drawing: most of it within a third of a second. */
const EASE = 0.16;

/** Redraws at each change of the node, for as long as it lasts. */
export async function showPicture(node: BittersNode): Promise<void> {
  const picture = new Picture(find("picture"));
  for await (const status of node.watch()) {
    picture.draw(status);
    find("in-words").textContent = inWords(status);
  }
}

function inWords({ frames, peers, warnings }: Status): string {
  const links = peers.reduce((sum, peer) => sum + peer.links, 0);
  const standbys = peers.reduce((sum, { frames }) => sum + Math.max(0, frames.length - 1), 0);
  // A peer comes once for each persona of ours that is linked to it.
  const ids = new Set(peers.map(({ id }) => id));
  const counts = [count(frames.length, "frame"), count(ids.size, "peer"), count(links, "link")].join(" · ");
  return [standbys ? `${counts}, ${standbys} standing by` : counts, ...warnings].join(". ");
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

/** Keeps one element for each thing, so that things move rather than jump. */
class Picture {
  readonly #svg = svg("svg", { viewBox: "-215 -140 430 296", role: "img" });
  readonly #below = svg("g");
  readonly #above = svg("g");
  readonly #things = new Map<string, Thing>();
  readonly #strokes = new Map<string, { line: SVGElement; from: string; to: string }>();
  #moving = 0;

  constructor(parent: HTMLElement) {
    this.#svg.append(this.#below, this.#above);
    parent.replaceChildren(this.#svg);
  }

  draw(status: Status): void {
    const frames = status.frames.slice(0, MAX_DRAWN);
    const peers = status.peers.slice(0, MAX_DRAWN);
    const shape = { frames, peers };
    this.#svg.setAttribute("aria-label", `The node: a leader, ${inWords(status)}`);

    const wanted = places(shape);
    this.#keep(this.#things, wanted, (thing) => thing.group.remove());
    this.#thing(LEADER, wanted, leaderGroup).group.dataset["leader"] = status.leader?.kind ?? "";
    for (const frame of frames) dressFrame(this.#thing(frame.id, wanted, frameGroup).group, frame);
    for (const { id } of peers) dressPeer(this.#thing(id, wanted, peerGroup).group, id, peers.filter((peer) => peer.id === id));

    const links = new Map(lines(shape).map((link) => [link.key, link]));
    const spokes = new Map(frames.map(({ id }) => [`${LEADER} ${id}`, { from: LEADER, to: id }]));
    this.#keep(this.#strokes, new Map([...links, ...spokes]), ({ line }) => line.remove());
    for (const [key, { from, to }] of spokes) this.#stroke(key, from, to, () => svg("path", { class: "spoke" }));
    for (const [key, link] of links) dressLink(this.#stroke(key, link.from, link.to, linkLine), link);
    this.#start();
  }

  /** Drops what isn't wanted any longer. */
  #keep<T>(have: Map<string, T>, wanted: ReadonlyMap<string, unknown>, drop: (gone: T) => void): void {
    for (const [key, value] of have) {
      if (wanted.has(key)) continue;
      drop(value);
      have.delete(key);
    }
  }

  /** The thing of this key, newly made in the middle if need be, on its way to its place. */
  #thing(key: string, wanted: ReadonlyMap<string, Place>, dress: () => SVGGElement): Thing {
    const goal = wanted.get(key) ?? { x: 0, y: 0 };
    const thing = this.#things.get(key) ?? { group: dress(), at: { x: goal.x / 2, y: goal.y / 2 }, goal };
    if (!this.#things.has(key)) this.#above.append(thing.group);
    this.#things.set(key, thing);
    thing.goal = goal;
    return thing;
  }

  #stroke(key: string, from: string, to: string, make: () => SVGElement): SVGElement {
    const line = this.#strokes.get(key)?.line ?? make();
    if (!this.#strokes.has(key)) this.#below.append(line);
    this.#strokes.set(key, { line, from, to });
    return line;
  }

  /** Places everything at once, then lets it glide; where motion isn't wanted or seen, it is there already. */
  #start(): void {
    const still = document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (still) for (const thing of this.#things.values()) thing.at = { ...thing.goal };
    this.#place();
    this.#moving ||= requestAnimationFrame(this.#step);
  }

  readonly #step = (): void => {
    let far = 0;
    for (const { at, goal } of this.#things.values()) {
      far = Math.max(far, Math.hypot(goal.x - at.x, goal.y - at.y));
      at.x += (goal.x - at.x) * EASE;
      at.y += (goal.y - at.y) * EASE;
    }
    this.#place();
    this.#moving = far > 0.1 ? requestAnimationFrame(this.#step) : 0;
  };

  #place(): void {
    for (const { group, at } of this.#things.values()) group.setAttribute("transform", `translate(${at.x} ${at.y})`);
    for (const { line, from, to } of this.#strokes.values()) {
      const a = this.#things.get(from)?.at;
      const b = this.#things.get(to)?.at;
      if (a && b) stretch(line, a, b);
    }
  }
}

interface Thing {
  readonly group: SVGGElement;
  at: Place;
  goal: Place;
}

function leaderGroup(): SVGGElement {
  const group = svg("g", { class: "leader" });
  // A drop, as in the badge.
  const drop = svg("path", { d: "M0-22C7-13 13-6 13 2A13 13 0 0 1-13 2C-13-6-7-13 0-22Z" });
  group.append(title("the leader: it routes for all frames"), drop, svg("circle", { r: "5", cy: "2" }));
  return group;
}

function frameGroup(): SVGGElement {
  const group = svg("g", { class: "frame" });
  group.append(title(""), svg("circle", { r: "13" }), svg("text", { y: "28" }));
  return group;
}

function dressFrame(group: SVGGElement, { id, origin, persona, links, visible }: FrameStatus): void {
  const host = URL.canParse(origin) ? new URL(origin).hostname : origin;
  group.style.setProperty("--hue", String(hueOf(persona ?? host)));
  group.dataset["visible"] = String(visible);
  group.querySelector("circle")?.setAttribute("data-frame", id);
  write(group, `${origin}: ${count(links, "link")}`, host.split(".")[0] ?? "");
}

function peerGroup(): SVGGElement {
  const group = svg("g", { class: "peer" });
  group.append(title(""), svg("rect", { x: "-9", y: "-9", width: "18", height: "18", rx: "5" }), svg("text", { y: "24" }));
  return group;
}

/** A peer, and how each persona of ours reaches it. */
function dressPeer(group: SVGGElement, id: string, ways: readonly PeerStatus[]): void {
  group.style.setProperty("--hue", String(hueOf(id)));
  group.dataset["peer"] = id;
  const told = ways.map(({ path, rtt }) => `${path}${rtt === undefined || rtt === null ? "" : `, ${Math.round(rtt)} ms`}`);
  write(group, `${id} (${told.join("; ")})`, short(id));
}

function linkLine(): SVGElement {
  return svg("line", { class: "link" });
}

function dressLink(line: SVGElement, { key, persona, linked, standby }: Line): void {
  if (persona) line.style.setProperty("--hue", String(hueOf(persona)));
  // It stood by and is used now: shown for a moment.
  line.classList.toggle("moved", !standby && /standby|moved/.test(line.getAttribute("class") ?? ""));
  line.classList.toggle("indirect", !linked);
  line.classList.toggle("standby", standby);
  if (linked) line.setAttribute("data-link", key);
  else line.removeAttribute("data-link");
}

function stretch(line: SVGElement, a: Place, b: Place): void {
  if (line instanceof SVGLineElement) {
    for (const [name, value] of Object.entries({ x1: a.x, y1: a.y, x2: b.x, y2: b.y })) line.setAttribute(name, String(value));
  } else {
    line.setAttribute("d", `M${a.x} ${a.y}L${b.x} ${b.y}`);
  }
}

function write(group: SVGGElement, hint: string, label: string): void {
  const [titled, text] = [group.querySelector("title"), group.querySelector("text")];
  if (titled) titled.textContent = hint;
  if (text) text.textContent = label;
}

function title(text: string): SVGElement {
  const element = svg("title");
  element.textContent = text;
  return element;
}

function svg<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Record<string, string> = {}): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
