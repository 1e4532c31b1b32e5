// A page that speaks to a frame without the SDK: whatever it likes.
import type { Page } from "@playwright/test";

/** One hello that was said, and what came back by its port. */
export interface Line {
  readonly port: MessagePort;
  readonly heard: { id: number; tell: unknown }[];
}

interface Raw {
  /** Embeds the node and waits for its `ready`. */
  embed(node: string): Promise<{ frame: Window; nonce: string }>;
  /** Says a hello, from a window, with a port. */
  hello(frame: Window, message: object, from?: Window): Line;
  /** The first thing heard by the line that fits. */
  until(line: Line, fits: (heard: { id: number; tell: unknown }) => boolean): Promise<{ id: number; tell: unknown }>;
  /** Embeds the node, says a proper hello and waits for the welcome. */
  line(node: string): Promise<Line>;
  /** Asks, and waits for what is told about it first. */
  ask(line: Line, id: number, ask: unknown): Promise<unknown>;
}

declare global {
  interface Window {
    bare: Raw;
  }
}

/** Gives the page `window.bare`. */
export const bringRaw = (page: Page): Promise<void> =>
  page.evaluate(() => {
    const embed: Raw["embed"] = async (node) => {
      const iframe = document.createElement("iframe");
      iframe.allow = "storage-access *";
      iframe.src = node;
      const ready = new Promise<string>((resolve) =>
        addEventListener("message", function listen({ data, source }) {
          if (source !== iframe.contentWindow || data?.bitters !== "ready") return;
          removeEventListener("message", listen);
          resolve(data.nonce);
        }),
      );
      document.body.append(iframe);
      return { nonce: await ready, frame: iframe.contentWindow as Window };
    };
    const hello: Raw["hello"] = (frame, message, from = window) => {
      const { port1: port, port2 } = new MessageChannel();
      const line: Line = { port, heard: [] };
      port.addEventListener("message", ({ data }) => line.heard.push(data));
      port.start();
      // Whose `postMessage` is called doesn't matter; in whose script it runs does.
      Object.assign(from, { frame, message, port2 });
      (from as unknown as { eval(script: string): void }).eval("frame.postMessage(message, '*', [port2])");
      return line;
    };
    const until: Raw["until"] = (line, fits) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = line.heard.find(fits);
          if (!found) return;
          line.port.removeEventListener("message", look);
          resolve(found);
        };
        line.port.addEventListener("message", look);
        look();
      });
    const line: Raw["line"] = async (node) => {
      const { frame, nonce } = await embed(node);
      const line = hello(frame, { bitters: "hello", nonce, versions: { min: 1, max: 1 }, identity: "site" });
      await until(line, ({ id }) => id === 0);
      return line;
    };
    const ask: Raw["ask"] = async (line, id, ask) => {
      line.port.postMessage({ id, ask });
      return (await until(line, (heard) => heard.id === id)).tell;
    };
    window.bare = { embed, hello, until, line, ask };
  });
