// What is only of use on the node's own page: the list of sites, hiding the network address, and making it the person's node.
export { showHides } from "./hides.ts";
export { showSites } from "./sites.ts";

/** Links and sites that leave the choice of a node to the person name it by this scheme. */
const SCHEME = "web+overlay";

/** No browser tells whether the node is the person's, or what they answer; so nothing here says that it is. */
export function offerPreference(): void {
  const place = document.querySelector("[data-prefer]");
  if (!place) return;
  const browser = navigator as Partial<ProtocolHandlers>;
  const url = new URL("./?uri=%s", location.href).href;
  document.documentElement.dataset["prefer"] = browser.registerProtocolHandler ? "can" : "cannot";

  const on = (name: string, note: string, work: (() => void) | undefined): void => {
    const button = place.querySelector<HTMLButtonElement>(`[data-do=${name}]`);
    if (!button) return;
    button.hidden = !work;
    // Until now a click would have come to nothing.
    button.disabled = false;
    button.addEventListener("click", () => {
      work?.();
      for (const other of place.querySelectorAll<HTMLElement>(".asked, .forgotten")) other.hidden = !other.classList.contains(note);
    });
  };
  on("prefer", "asked", browser.registerProtocolHandler && (() => browser.registerProtocolHandler?.(SCHEME, url)));
  // Firefox leaves that to its settings.
  on("forget", "forgotten", browser.unregisterProtocolHandler && (() => browser.unregisterProtocolHandler?.(SCHEME, url)));
}

/** Of the platform, where it is there (HTML, section 8.7.1.3). */
interface ProtocolHandlers {
  registerProtocolHandler(scheme: string, url: string): void;
  unregisterProtocolHandler(scheme: string, url: string): void;
}
