// Has the browser keep the node for offline use: in every partition, since each has service workers of its own.

/** How often a page that stays open asks for a new build, at most. */
const HOUR = 60 * 60 * 1000;

/** Registers the service worker once the node is up, so that the first visit waits for nothing more. Nothing depends on it. */
export async function keepOffline(): Promise<void> {
  await isUp();
  try {
    const url = "SharedWorker" in globalThis ? "/sw.js?shared" : "/sw.js";
    const registration = await navigator.serviceWorker.register(url, { scope: "/", updateViaCache: "none" });
    askForUpdates(registration);
  } catch (error) {
    console.debug("bitters: not kept for offline use:", error);
  }
}

/** Resolves when the frame runs, or can't. The module says so on the document. */
function isUp(): Promise<void> {
  const root = document.documentElement;
  return new Promise((resolve) => {
    const look = (): void => {
      if (root.dataset["state"] === "starting") return;
      observer.disconnect();
      resolve();
    };
    const observer = new MutationObserver(look);
    observer.observe(root, { attributeFilter: ["data-state"] });
    look();
  });
}

/** Asks when somebody looks at the page again; a page that nobody looks at is left to sleep. The load itself has asked. */
function askForUpdates(registration: ServiceWorkerRegistration): void {
  let asked = Date.now();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || Date.now() - asked < HOUR) return;
    asked = Date.now();
    registration.update().catch(() => {});
  });
}
