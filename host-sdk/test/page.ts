// As much of a page as the SDK touches: a window that hears messages, elements that hold iframes, and who watches them come and go.

import { setMaxListeners } from "node:events";
import { vi } from "vitest";

/** As much of a style as is asked for. */
class FakeStyle {
  cssText = "";

  get position(): string {
    return /position:(\w+)/.exec(this.cssText)?.[1] ?? "";
  }
}

/** What a sandbox allows. */
class FakeTokens {
  tokens: string[] = [];

  get length(): number {
    return this.tokens.length;
  }

  contains(token: string): boolean {
    return this.tokens.includes(token);
  }
}

export class FakeElement extends EventTarget {
  children: FakeElement[] = [];
  parent: FakeElement | undefined;
  style = new FakeStyle();
  [attribute: string]: unknown;

  append(child: FakeElement): void {
    child.remove();
    child.parent = this;
    this.children.push(child);
    mutated(this);
  }

  remove(): void {
    const { parent } = this;
    if (!parent) return;
    parent.children = parent.children.filter((child) => child != this);
    this.parent = undefined;
    mutated(parent);
  }

  /** A tree of its own. */
  attachShadow(): FakeElement {
    const shadow = Object.assign(new FakeElement(), { host: this });
    this["shadow"] = shadow;
    return shadow;
  }

  get parentNode(): FakeElement | undefined {
    return this.parent;
  }

  get isConnected(): boolean {
    const root = this.getRootNode();
    return root == page.root || Boolean((root["host"] as FakeElement | undefined)?.isConnected);
  }

  getRootNode(): FakeElement {
    return this.parent?.getRootNode() ?? this;
  }
}

/** What the iframe's document hears of `postMessage`. */
export interface Posted {
  data: unknown;
  targetOrigin: string;
  ports: MessagePort[];
}

/** An iframe: its window stays the same when its document changes, and is another when it was out of the page. */
export class FakeIframe extends FakeElement {
  posted: Posted[] = [];

  constructor() {
    super();
    created.push(this);
  }

  sandbox = new FakeTokens();

  #window: object | undefined;

  get contentWindow(): object | null {
    if (!this.isConnected) return null;
    return (this.#window ??= {
      postMessage: (data: unknown, targetOrigin: string, ports: MessagePort[]) => {
        this.posted.push({ data, targetOrigin, ports });
      },
    });
  }

  /** Its window is gone. */
  unload(): void {
    this.#window = undefined;
  }
}

interface Page {
  root: FakeElement;
  body: FakeElement;
  window: EventTarget;
  /** Takes away what tests left, and nobody puts it back. */
  clear(): void;
  /** Those in the page, oldest first. */
  iframes(): FakeIframe[];
  /** This page's headers forbid something. */
  forbid(violation: Partial<SecurityPolicyViolationEvent>): void;
  /** What a window posts to the page's. */
  post(data: unknown, origin: string, source: unknown): void;
}

const created: FakeIframe[] = [];
const observers = new Map<() => void, Set<FakeElement>>();

/** Who watches this element, or what it is in, is told; another tree's isn't. */
function mutated(element: FakeElement): void {
  for (const iframe of created) if (!iframe.isConnected) iframe.unload();
  for (const [run, watched] of observers) {
    for (let at: FakeElement | undefined = element; at; at = at.parent) {
      if (watched.has(at)) queueMicrotask(() => observers.has(run) && run());
    }
  }
}

export const page: Page = {
  root: new FakeElement(),
  body: new FakeElement(),
  window: new EventTarget(),

  iframes: () => created.filter((iframe) => iframe.isConnected),
  clear(): void {
    observers.clear();
    for (const iframe of page.iframes()) iframe.remove();
  },
  forbid(violation): void {
    const enforced = { disposition: "enforce", effectiveDirective: "frame-src" };
    page.window.dispatchEvent(Object.assign(new Event("securitypolicyviolation"), enforced, violation));
  },
  post(data: unknown, origin: string, source: unknown): void {
    page.window.dispatchEvent(Object.assign(new Event("message"), { data, origin, source }));
  },
};

page.root.append(page.body);
setMaxListeners(0, page.window);

Object.defineProperty(page.root, "body", { get: () => page.body });
page.root["createElement"] = (name: string) => (name == "iframe" ? new FakeIframe() : new FakeElement());
vi.stubGlobal("document", page.root);
vi.stubGlobal("origin", "https://site.example");
vi.stubGlobal("navigator", { registerProtocolHandler: () => {} });
vi.stubGlobal("HTMLElement", FakeElement);
vi.stubGlobal("addEventListener", page.window.addEventListener.bind(page.window));
vi.stubGlobal("removeEventListener", page.window.removeEventListener.bind(page.window));
vi.stubGlobal(
  "MutationObserver",
  class {
    readonly #run: () => void;
    constructor(run: () => void) {
      this.#run = run;
    }
    observe(target: FakeElement): void {
      observers.set(this.#run, (observers.get(this.#run) ?? new Set()).add(target));
    }
    disconnect(): void {
      observers.delete(this.#run);
    }
  },
);
