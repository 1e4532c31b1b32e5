// The list of sites on the node's own page: what each may do, to be seen and to be changed.
import { counts } from "./still.ts";

type Permission = "join" | "observe" | "person";
type Answer = "ask" | "no" | "yes";

interface SiteStatus {
  origin: string;
  frames: number;
  permissions: Record<Permission, Answer>;
  refused: number;
}

interface Choice {
  origin: string;
  permission: Permission;
  answer: Answer;
}

/** Controls by which the person has just answered: from then on they show what is in force, until they are used again. */
const answered = new WeakSet<HTMLSelectElement>();

/** Fills the list from its template. `choose` hears what the person changes. */
export function showSites(sites: SiteStatus[], choose: (choice: Choice) => void): void {
  const list = document.querySelector<HTMLElement>("[data-list=sites]");
  const template = document.querySelector<HTMLTemplateElement>("template[data-template=site]");
  if (!list || !template) return;
  const shown = new Map([...list.children].map((item) => [(item as HTMLElement).dataset["origin"], item as HTMLElement]));
  const items = sites.map((site) => {
    const item = shown.get(site.origin) ?? itemOf(template, site.origin);
    fill(item, site, choose);
    return item;
  });
  // What stays is left in place, so that a list that is being used keeps its focus.
  for (const [, item] of shown) if (!items.includes(item)) item.remove();
  items.forEach((item, at) => list.children[at] !== item && list.insertBefore(item, list.children[at] ?? null));
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
