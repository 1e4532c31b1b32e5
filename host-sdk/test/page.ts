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

export class FakeElement {
  children: FakeElement[] = [];
  parent: FakeElement | undefined;
  style = new FakeStyle();
  [attribute: string]: unknown;

  append(child: FakeElement): void {
    child.remove();
    child.parent = this;
    this.children.push(child);
    mutated();
  }

  remove(): void {
    if (!this.parent) return;
    this.parent.children = this.parent.children.filter((child) => child != this);
    this.parent = undefined;
    mutated();
  }

  get isConnected(): boolean {
    return this.getRootNode() == page.root;
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

/** An iframe: its window stays the same when its document changes. */
export class FakeIframe extends FakeElement {
  posted: Posted[] = [];

  constructor() {
    super();
    created.push(this);
  }

  sandbox = new FakeTokens();

  readonly #window = {
    postMessage: (data: unknown, targetOrigin: string, ports: MessagePort[]) => {
      this.posted.push({ data, targetOrigin, ports });
    },
  };

  get contentWindow(): object | null {
    return this.isConnected ? this.#window : null;
  }
}

interface Page {
  root: FakeElement;
  body: FakeElement;
  window: EventTarget;
  /** Those in the page, oldest first. */
  iframes(): FakeIframe[];
  /** This page's headers forbid something. */
  forbid(violation: Partial<SecurityPolicyViolationEvent>): void;
  /** What a window posts to the page's. */
  post(data: unknown, origin: string, source: unknown): void;
}

const created: FakeIframe[] = [];
const observers = new Set<() => void>();

function mutated(): void {
  for (const observer of observers) queueMicrotask(observer);
}

export const page: Page = {
  root: new FakeElement(),
  body: new FakeElement(),
  window: new EventTarget(),

  iframes: () => created.filter((iframe) => iframe.isConnected),
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

vi.stubGlobal("document", {
  body: page.body,
  createElement: (name: string) => (name == "iframe" ? new FakeIframe() : new FakeElement()),
});
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
    observe(): void {
      observers.add(this.#run);
    }
    disconnect(): void {
      observers.delete(this.#run);
    }
  },
);
