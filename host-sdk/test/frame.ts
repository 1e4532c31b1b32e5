// A frame that speaks `rpc.rs`, played by the test: it hears what the SDK asks and tells what the test says.

import { expect, vi } from "vitest";
import { type ConnectOptions, connect } from "../src/index.js";
import type { BittersNode } from "../src/index.js";
import type { Ask, HostHello, Request, SiteWelcome, Tell } from "../src/rpc.js";
import { type FakeIframe, page } from "./page.js";

export const NODE = "https://node.example";
export const ALICE = "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1y";
export const BOB = "8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1uwiszaby";
export const WELCOME: SiteWelcome = { id: ALICE, version: "0.1.0", scope: "site", rpc: 1 };

/** The first number of the frame's own. */
export const INCOMING = 2 ** 31;

/** One document of the iframe's. */
export class FakeFrame {
  readonly iframe: FakeIframe;
  readonly nonce: string;
  heard: Request[] = [];
  hello: HostHello | undefined;
  port: MessagePort | undefined;

  constructor(iframe: FakeIframe, nonce: string) {
    this.iframe = iframe;
    this.nonce = nonce;
  }

  /** The document of the page's newest iframe. */
  static newest(nonce = "n1"): FakeFrame {
    const iframe = page.iframes().at(-1);
    if (!iframe) throw new Error("no iframe in the page");
    return new FakeFrame(iframe, nonce);
  }

  /** Says ready and takes the hello's port. */
  ready(origin = NODE): void {
    page.post({ bitters: "ready", nonce: this.nonce }, origin, this.iframe.contentWindow);
    const posted = this.iframe.posted.at(-1);
    this.hello = posted?.data as HostHello;
    this.port = posted?.ports[0];
    if (this.port) this.port.onmessage = ({ data }) => this.heard.push(data);
  }

  tell(id: number, tell: Tell | unknown): void {
    this.port?.postMessage({ id, tell });
  }

  welcome(news: Partial<SiteWelcome> = {}, origin = NODE): void {
    this.ready(origin);
    this.tell(0, { welcome: { ...WELCOME, ...news } });
  }

  /** The first request of a kind that wasn't taken before. */
  async take<K extends string>(kind: K): Promise<{ id: number; ask: any }> {
    return vi.waitFor(() => {
      const at = this.heard.findIndex(({ ask }) => kindOf(ask) == kind);
      if (at < 0) throw new Error(`no ${kind} among ${JSON.stringify(this.heard.map(({ ask }) => kindOf(ask)))}`);
      const [request] = this.heard.splice(at, 1) as [Request];
      return { id: request.id, ask: (request.ask as Record<string, unknown>)[kind] ?? request.ask };
    }, 2000);
  }

  /** All requests of a kind so far, after everything on its way has arrived. */
  async all(kind: string): Promise<Request[]> {
    await settled();
    return this.heard.filter(({ ask }) => kindOf(ask) == kind);
  }

  async begun(kind: string): Promise<number> {
    const { id } = await this.take(kind);
    this.tell(id, "done");
    return id;
  }
}

export function kindOf(ask: Ask | Tell): string {
  return typeof ask == "string" ? ask : (Object.keys(ask)[0] as string);
}

/** A node and its frame, connected. */
export async function connected(options: Partial<ConnectOptions> = {}, news: Partial<SiteWelcome> = {}): Promise<{ node: BittersNode; frame: FakeFrame }> {
  const connecting = connect({ node: NODE, ...options });
  const frame = FakeFrame.newest();
  frame.welcome(news);
  return { node: await connecting, frame };
}

/** Everything that was posted has arrived and been worked on: ports are turns of the event loop. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** The promise fails with such an error. */
export async function failing(promise: Promise<unknown> | PromiseLike<unknown>, error: object): Promise<void> {
  await expect(promise).rejects.toMatchObject({ name: "BittersError", ...error });
}
