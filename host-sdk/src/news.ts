/** An event that has one thing to say at most. */
export function tellOf(target: EventTarget, type: string, detail?: string): void {
  target.dispatchEvent(new CustomEvent(type, { detail }));
}
