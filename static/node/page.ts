// What is only of use on the node's own page: making it the person's node.

/** Links and sites that leave the choice of a node to the person name it by this scheme. */
const SCHEME = "web+overlay";

/** No browser tells whether the node is the person's, or what they answer; so nothing here says that it is. */
export function offerPreference(): void {
  const place = document.querySelector("[data-prefer]");
  if (!place) return;
  const browser = navigator as Partial<ProtocolHandlers>;
  const url = new URL("./?uri=%s", location.href).href;
  document.documentElement.dataset["prefer"] = browser.registerProtocolHandler ? "can" : "cannot";

  const show = (which: "asked" | "forgotten"): void => {
    for (const note of place.querySelectorAll<HTMLElement>(".asked, .forgotten")) note.hidden = !note.classList.contains(which);
  };
  const on = (name: string, work: (button: HTMLButtonElement) => void): void => {
    const button = place.querySelector<HTMLButtonElement>(`[data-do=${name}]`);
    button?.addEventListener("click", () => work(button));
  };
  on("prefer", () => {
    browser.registerProtocolHandler?.(SCHEME, url);
    show("asked");
    for (const button of place.querySelectorAll<HTMLElement>("[data-do=forget]")) button.hidden = !browser.unregisterProtocolHandler;
  });
  on("forget", (button) => {
    browser.unregisterProtocolHandler?.(SCHEME, url);
    show("forgotten");
    button.hidden = true;
  });
}

/** Of the platform, where it is there (HTML, section 8.7.1.3). */
interface ProtocolHandlers {
  registerProtocolHandler(scheme: string, url: string): void;
  unregisterProtocolHandler(scheme: string, url: string): void;
}
