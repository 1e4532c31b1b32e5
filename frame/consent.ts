// What is loaded only when the person is asked, or when the node's own page answers a badge: clicks that count, the way between a badge and
// the page that it opened, and the bridge by which a frame reaches the island of that page.
//
// The two documents are of one origin and know each other by their windows; each message is held against both. A site can open the
// node's page as well, but is no origin that it answers.

import { still } from "./still.ts";

/** CSS pixels: less room than that shows buttons and hardly what they answer. */
const MIN_WIDTH = 240;
const MIN_HEIGHT = 120;

/** How often the page that was opened, or that opened this one, is looked for: a window tells nobody that it closes. */
const LOOK_MS = 500;

/** The page at the other end answers within milliseconds, if it is there. */
const ANSWER_MS = 3000;

/** Bytes of an announcement, and of a name; more is of no frame of ours. */
const MAX_BYTES = 1024;

type Permission = "join" | "observe" | "person";

/**
 * Tells whether a click inside `root` counts: only while that has been in sight as a whole, uncovered where the browser tells (Intersection
 * Observer v2), with room, of one size, with one question, and before the person for a while ({@link still}). What the person didn't see, they
 * didn't click. The document says it, too (`data-guard`), so that its buttons look like it, and whether a click came too early (`data-early`).
 */
export function guard(root: Element): () => boolean {
  const page = document.documentElement;
  let seen = false;
  const { counts, restart } = still("guard", () => seen && page.clientWidth >= MIN_WIDTH && page.clientHeight >= MIN_HEIGHT);
  const options: IntersectionObserverInit & { trackVisibility: boolean; delay: number } = { threshold: [0, 0.99, 1], trackVisibility: true, delay: 100 };
  const sight = new IntersectionObserver((entries) => {
    const entry = entries.at(-1) as (IntersectionObserverEntry & { isVisible?: boolean }) | undefined;
    const sees = entry !== undefined && entry.intersectionRatio >= 0.99 && (entry.isVisible ?? true);
    if (sees === seen) return;
    seen = sees;
    restart();
  }, options);
  sight.observe(root);
  new ResizeObserver(restart).observe(root);
  // The second half of a double click doesn't answer the next question.
  const anew = (): void => {
    delete page.dataset["early"];
    restart();
  };
  new MutationObserver(anew).observe(page, { attributeFilter: ["data-question", "data-petition"] });
  // A button that was pressed too early and held isn't clicked on.
  let pressed = true;
  page.addEventListener("pointerdown", () => (pressed = counts()), true);
  page.addEventListener("keydown", () => (pressed = true), true);
  return () => {
    const meant = counts() && pressed;
    if (meant) delete page.dataset["early"];
    else page.dataset["early"] = "";
    return meant;
  };
}

/**
 * Opens the node's own page to ask for `permission` for a site, and gives ports of the bridge to other frames by the worker `exchange`. `tell` hears `unopened`, `closed`, `no`, or `yes` and, for a site that joins,
 * its bridge. The result closes the page.
 */
export function petition(url: string, exchange: string, permission: Permission, site: string, tell: (outcome: string, bridge?: Bridge) => void): (() => void) | undefined {
  const page = opened(url);
  if (!page) {
    tell("unopened");
    return undefined;
  }
  let port: MessagePort | undefined;
  const end = (outcome: string, bridge?: Bridge): void => {
    removeEventListener("message", onMessage);
    forget();
    tell(outcome, bridge);
  };
  const onMessage = ({ data, origin, source }: MessageEvent): void => {
    if (source !== page || origin !== location.origin || data?.bitters !== "petition?") return;
    // A page that is loaded again asks again.
    port?.close();
    const ends = new MessageChannel();
    port = ends.port1;
    port.onmessage = ({ data, ports }) => {
      const [announcements] = ports;
      if (data !== "yes") end("no");
      else if (permission !== "join") end("yes");
      else if (port && announcements) {
        const bridge = new Bridge(port, announcements, page);
        give(bridge, exchange);
        end("yes", bridge);
      }
    };
    page.postMessage({ bitters: "petition", permission, site }, location.origin, [ends.port2]);
  };
  const forget = whenClosed(page, () => end("closed"));
  addEventListener("message", onMessage);
  return () => {
    page.close();
    end("closed");
  };
}

/** Firefox throws in a sandbox that allows no windows. */
function opened(url: string): Window | null {
  try {
    return open(url, "_blank", "popup,width=560,height=720");
  } catch {
    return null;
  }
}

/** A bridge from another frame of this site, if one has it. */
export function take(exchange: string): Promise<Bridge | undefined> {
  const { port } = new SharedWorker(exchange, { type: "module" });
  return new Promise((resolve) => {
    setTimeout(() => {
      // What comes now nobody takes.
      port.close();
      resolve(undefined);
    }, ANSWER_MS);
    port.onmessage = ({ ports: [end] }) => {
      if (!end) return;
      end.onmessage = ({ data, ports: [announcements] }) => {
        if (data !== "yes" || !announcements) return;
        const bridge = new Bridge(end, announcements);
        give(bridge, exchange);
        resolve(bridge);
      };
    };
    port.postMessage({ take: true });
  });
}

function give(bridge: Bridge, exchange: string): void {
  const { port } = new SharedWorker(exchange, { type: "module" });
  port.onmessage = ({ data }) => {
    // A bridge whose page is gone gives none.
    if (data?.wanted) bridge.again().then((end) => port.postMessage({ given: data.wanted }, [end]), () => {});
  };
  port.postMessage({ give: true });
}

/** What a frame reaches through the node's own page: announcements, ports of workers, and who is gone. */
export class Bridge {
  readonly announcements: MessagePort;
  readonly #port: MessagePort;
  readonly #page: WindowProxy | undefined;
  readonly #waiting = new Map<number, (event: MessageEvent) => void>();
  #next = 0;

  constructor(port: MessagePort, announcements: MessagePort, page?: WindowProxy) {
    this.#port = port;
    this.#page = page;
    this.announcements = announcements;
    port.onmessage = (event) => {
      this.#waiting.get(event.data?.id)?.(event);
      this.#waiting.delete(event.data?.id);
    };
  }

  /** A port of the island's worker of this URL and name. */
  async worker([url, name]: [string, string]): Promise<MessagePort> {
    const { ports } = await this.#ask({ worker: { url, name } }, ANSWER_MS);
    if (!ports[0]) throw new Error("no such worker beyond the bridge");
    return ports[0];
  }

  /** Waits until nobody in the island holds this lock any longer, however long that takes; tells whether anybody was seen to hold it. */
  async gone(lock: string): Promise<boolean> {
    const { data } = await this.#ask({ gone: lock });
    return data.seen === true;
  }

  /** A bridge like this one, for another frame. */
  async again(): Promise<MessagePort> {
    const { ports } = await this.#ask({ again: true }, ANSWER_MS);
    if (!ports[0]) throw new Error("no second bridge");
    return ports[0];
  }

  /** Calls back when the page is closed, in the frame that opened it. */
  watch(closed: () => void): void {
    if (this.#page) whenClosed(this.#page, closed);
  }

  #ask(what: object, within?: number): Promise<MessageEvent> {
    const id = ++this.#next;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve);
      this.#port.postMessage({ id, ...what });
      if (within === undefined) return;
      setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error("the bridge doesn't answer"));
      }, within);
    });
  }
}

/**
 * On the node's own page: hears what the badge that opened it asks for, if one did. `tell` hears `asked` with permission and site, and
 * `gone` when that frame is. The result answers; a site that joins is served from then on.
 */
export function hear(channel: string, tell: (what: string, permission?: string, site?: string) => void): (yes: boolean) => void {
  const badge = opener as WindowProxy | null;
  let port: MessagePort | undefined;
  let permission: unknown;
  if (!badge) return () => {};
  addEventListener("message", ({ data, origin, ports, source }) => {
    if (port || source !== badge || origin !== location.origin || data?.bitters !== "petition" || !ports[0]) return;
    if (!["join", "person"].includes(data.permission) || typeof data.site !== "string") return;
    port = ports[0];
    permission = data.permission;
    tell("asked", data.permission, data.site);
    whenClosed(badge, () => tell("gone"));
  });
  badge.postMessage({ bitters: "petition?" }, location.origin);
  return (yes) => {
    if (!port) return;
    if (yes && permission === "join") serve(port, channel);
    else port.postMessage(yes ? "yes" : "no");
  };
}

/** Calls back once when a window is closed, unless what is returned is called before. */
function whenClosed(window: WindowProxy, closed: () => void): () => void {
  const looking = setInterval(() => {
    if (!window.closed) return;
    clearInterval(looking);
    closed();
  }, LOOK_MS);
  return () => clearInterval(looking);
}

/** Waits until nobody holds a lock; tells whether anybody was seen to hold it: if not, that it is free proves nothing. */
async function whenFree(lock: string): Promise<boolean> {
  const seen = await navigator.locks.request(lock, { mode: "shared", ifAvailable: true }, (held) => held === null);
  if (seen) await navigator.locks.request(lock, { mode: "shared" }, () => {});
  return seen;
}

function serve(port: MessagePort, name: string): void {
  const { port1, port2 } = new MessageChannel();
  const channel = new BroadcastChannel(name);
  const isAnnouncement = (data: unknown): data is ArrayBuffer | Uint8Array =>
    (data instanceof ArrayBuffer || data instanceof Uint8Array) && data.byteLength <= MAX_BYTES;
  port1.onmessage = ({ data }) => isAnnouncement(data) && channel.postMessage(new Uint8Array(data));
  channel.onmessage = ({ data }) => isAnnouncement(data) && port1.postMessage(data);
  port.onmessage = ({ data }) => {
    const { id, again, worker, gone } = data ?? {};
    if (again) {
      const ends = new MessageChannel();
      serve(ends.port1, name);
      port.postMessage({ id }, [ends.port2]);
    }
    if (worker) {
      const opened = new SharedWorker(worker.url, { name: worker.name, type: "module", sameSiteCookies: "none" } as WorkerOptions);
      port.postMessage({ id }, [opened.port]);
    }
    if (gone) void whenFree(gone).then((seen) => port.postMessage({ id, seen }));
  };
  port.postMessage("yes", [port2]);
}
