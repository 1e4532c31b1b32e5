// How many listen to a signal: one that is forgotten there lives as long as the signal.
import type { Scripted } from "./scripted.ts";

declare global {
  interface Window {
    /** `listenersOf` of this module, in a page that was taught it. */
    listenersOf: typeof listenersOf;
  }
}

/** Gives the page `window.listenersOf`. */
export async function teachListeners(page: Scripted): Promise<void> {
  await page.evaluate((listenersOf) => {
    window.listenersOf = new Function(`return ${listenersOf}`)();
  }, String(listenersOf));
}

/** Counts those that come to listen to a signal from now on and haven't gone; runs in pages. */
function listenersOf(signal: AbortSignal): () => number {
  const listeners = new Set<unknown>();
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (type: string, listener: EventListenerOrEventListenerObject, options?: AddEventListenerOptions | boolean): void => {
    listeners.add(listener);
    const { once = false, signal: until } = typeof options === "object" ? options : {};
    if (once) add(type, () => listeners.delete(listener), { once });
    until?.addEventListener("abort", () => listeners.delete(listener), { once: true });
    add(type, listener, options);
  };
  signal.removeEventListener = (type: string, listener: EventListenerOrEventListenerObject, options?: EventListenerOptions | boolean): void => {
    listeners.delete(listener);
    remove(type, listener, options);
  };
  return () => listeners.size;
}
