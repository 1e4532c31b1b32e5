// The list of sites on the node's own page: what each may do, to be seen and to be changed.
import { counts, restart } from "./still.ts";

type Permission = "join" | "observe" | "person";
type Answer = "ask" | "no" | "yes";

interface SiteStatus {
  origin: string;
  frames: number;
  permissions: Record<Permission, Answer>;
  refused: number;
  /** Ids of peers that it is linked to, and of those that the person blocked for it. */
  peers: string[];
  blocked: string[];
}

type Block = (origin: string, peer: string, blocked: boolean) => void;

interface Choice {
  origin: string;
  permission: Permission;
  answer: Answer;
}

/** Controls by which the person has just answered: from then on they show what is in force, until they are used again. */
const answered = new WeakSet<HTMLSelectElement>();

/** Fills the list from its template. `choose` and `block` hear what the person changes. */
export function showSites(sites: SiteStatus[], choose: (choice: Choice) => void, block: Block): void {
  const list = document.querySelector<HTMLElement>("[data-list=sites]");
  const template = document.querySelector<HTMLTemplateElement>("template[data-template=site]");
  if (!list || !template) return;
  const shown = new Map([...list.children].map((item) => [(item as HTMLElement).dataset["origin"], item as HTMLElement]));
  const items = sites.map((site) => {
    const item = shown.get(site.origin) ?? itemOf(template, site.origin);
    fill(item, site, choose);
    showPeers(item.querySelector("[data-list=blocks]"), site, block);
    return item;
  });
  arrange(list, items);
}

/**
 * What stays is left in place, so that a list that is being used keeps its focus. Where something else may be under the pointer now, clicks
 * count no longer for a moment.
 */
function arrange(list: HTMLElement, items: HTMLElement[]): void {
  const before = [...list.children];
  for (const item of before) if (!items.includes(item as HTMLElement)) item.remove();
  items.forEach((item, at) => list.children[at] !== item && list.insertBefore(item, list.children[at] ?? null));
  if (before.some((item, at) => item !== list.children[at])) restart();
}

/** Each peer with a button: blocked peers last. */
function showPeers(list: HTMLElement | null, { origin, peers, blocked }: SiteStatus, block: Block): void {
  if (!list) return;
  const shown = new Map([...list.children].map((item) => [(item as HTMLElement).dataset["peer"], item as HTMLElement]));
  const others = peers.filter((peer) => !blocked.includes(peer));
  const items = [...others, ...blocked].map((peer) => {
    const item = shown.get(peer) ?? peerItem(peer);
    const button = item.querySelector("button") as HTMLButtonElement;
    const isBlocked = blocked.includes(peer);
    button.textContent = isBlocked ? "Unblock" : "Block";
    button.onclick = () => counts() && block(origin, peer, !isBlocked);
    return item;
  });
  arrange(list, items);
}

function peerItem(peer: string): HTMLElement {
  const item = document.createElement("li");
  item.dataset["peer"] = peer;
  const [name, button] = [document.createElement("code"), document.createElement("button")];
  name.textContent = peer;
  button.type = "button";
  item.append(name, " ", button);
  return item;
}

function itemOf(template: HTMLTemplateElement, origin: string): HTMLElement {
  const item = template.content.firstElementChild?.cloneNode(true) as HTMLElement;
  item.dataset["origin"] = origin;
  return item;
}

function fill(item: HTMLElement, site: SiteStatus, choose: (choice: Choice) => void): void {
  const { origin, frames, permissions, refused } = site;
  const texts: Record<string, string> = {
    site: origin,
    open: frames === 0 ? "not open" : `${frames} open`,
    refused: refused === 0 ? "" : `${refused} requests refused: it asked for too much`,
  };
  for (const [name, text] of Object.entries(texts))
    for (const place of item.querySelectorAll<HTMLElement>(`[data-text=${name}]`)) {
      if (place.textContent !== text) place.textContent = text;
      place.hidden = text === "";
    }
  for (const control of item.querySelectorAll<HTMLSelectElement>("select[data-permission]")) {
    const permission = control.dataset["permission"] as Permission;
    if (control !== document.activeElement || answered.has(control)) control.value = permissions[permission];
    // What was begun before it counts isn't begun: the list doesn't open.
    control.onkeydown = control.onmousedown = (event: Event) => void (counts() || event.preventDefault());
    control.onblur = () => answered.delete(control);
    control.onchange = () => {
      answered.add(control);
      choose({ origin, permission, answer: control.value as Answer });
    };
  }
}
