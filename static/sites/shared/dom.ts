// Small helpers for the page. What peers say only ever becomes text, never markup.

/** The element with this id, which the page's HTML promises. */
export function find<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as E;
}

/** A new element with text, a class and data attributes. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { text = "", className = "", data = {} }: { text?: string; className?: string; data?: Record<string, string> } = {},
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (className) element.className = className;
  Object.assign(element.dataset, data);
  return element;
}

/** An id in a form that people can tell apart. */
export const short = (id: string): string => `${id.slice(0, 4)}…${id.slice(-4)}`;

/** The colour that stands for a name everywhere in the demo: a hue of 0 to 359, by FNV-1a. */
export function hueOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193) >>> 0;
  return hash % 360;
}
