// WebKitGTK, the engine of Safari as Debian has it, over WebDriver (https://www.w3.org/TR/webdriver2/) and on a display of its own.
// By hand: it takes a dozen requests, and what else speaks WebDriver waits for a script's end, while tabs here wait for one another.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { end, endsWithUs, freePort } from "./server.ts";
import { type Driven, Tab } from "./tab.ts";

const DRIVER = process.env["WEBKIT_DRIVER"] ?? "/usr/bin/WebKitWebDriver";
const DISPLAY = "/usr/bin/Xvfb";

/** Why there is no WebKit to be driven, if so. */
export const missing = [DRIVER, DISPLAY].every((path) => existsSync(path)) ? undefined : `${DRIVER} or ${DISPLAY} isn't there: install webkit2gtk-driver and xvfb`;

/** Milliseconds between looks at whether a script has ended, which nothing tells. */
const LOOK_EVERY = 15;

/** Milliseconds that an element may take to appear. */
const PATIENCE = 10_000;

/** What WebDriver calls an element by (section 12.2 of its specification). */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** Milliseconds that a program may take to start. */
const START_WITHIN = 15_000;

/** Milliseconds that a tab is waited for, from before the clicks that open it. */
const ANOTHER_WITHIN = 3 * PATIENCE;

/** Opens a WebKit with a new profile. */
export async function open(): Promise<Driven> {
  const display = spawn(DISPLAY, ["-displayfd", "3", "-screen", "0", "1024x768x24", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  endsWithUs(display);
  const programs = [display];
  const stop = async (): Promise<void> => void (await Promise.all(programs.map((program) => end(program, "SIGTERM"))));
  try {
    const [number] = (await once(display.stdio[3] as NodeJS.ReadableStream, "data", { signal: AbortSignal.timeout(START_WITHIN) })) as [Buffer];
    const port = await freePort();
    const driver = spawn(DRIVER, [`--port=${port}`], { stdio: "ignore", env: { ...process.env, DISPLAY: `:${String(number).trim()}` } });
    endsWithUs(driver);
    programs.unshift(driver);
    const session = await Session.begin(port);
    return { close: () => session.end().finally(stop), visit: (url, init) => visit(session, url, init) };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function visit(session: Session, url: string, init?: string): Promise<Tab> {
  if (init !== undefined) throw new Error("WebDriver runs nothing before a page's own scripts");
  const window = await session.open();
  await session.at(window, "url", { url });
  return tabOf(session, window);
}

function tabOf(session: Session, window: string): Tab {
  return new Tab({
    click: (origin, selector) => session.click(window, origin, selector),
    close: () => session.close(window),
    hover: (origin, selector) => session.hover(window, origin, selector),
    popup: async () => tabOf(session, await session.another()),
    reload: () => session.at(window, "refresh", {}),
    run: (script, origin) => session.run(window, script, origin),
  });
}

/** What a script came to. */
type Outcome = { value: unknown } | { error: string } | null;

/** A browser that is driven. Commands go to the window that was last switched to, so they take turns. */
class Session {
  readonly #url: string;
  #turn: Promise<unknown> = Promise.resolve();
  #scripts = 0;

  private constructor(url: string) {
    this.#url = url;
  }

  static async begin(port: number): Promise<Session> {
    const driver = new Session(`http://127.0.0.1:${port}`);
    for (const end = Date.now() + START_WITHIN; ; await sleep(LOOK_EVERY)) {
      try {
        const { sessionId } = await driver.#send<{ sessionId: string }>("POST", "session", { capabilities: {} });
        return new Session(`http://127.0.0.1:${port}/session/${sessionId}`);
      } catch (error) {
        // It doesn't say when it listens.
        if (!(error instanceof TypeError) || Date.now() > end) throw error;
      }
    }
  }

  /** Opens a page, in a window of its own: tabs would open behind the first, where nothing is painted, so that no badge can be seen. */
  async open(): Promise<string> {
    return (await this.#send<{ handle: string }>("POST", "window/new", { type: "window" })).handle;
  }

  /** The next tab that a page opens. */
  async another(): Promise<string> {
    const before = await this.#windows();
    for (const end = Date.now() + ANOTHER_WITHIN; Date.now() < end; await sleep(LOOK_EVERY)) {
      const found = (await this.#windows()).find((handle) => !before.includes(handle));
      if (found !== undefined) return found;
    }
    throw new Error("no tab was opened");
  }

  /** Clicks on an element of a window's page, or of its frame of this origin, as soon as it can be clicked on. */
  click(window: string, origin: string, selector: string): Promise<void> {
    return this.#with(window, origin, selector, (element) => this.#send("POST", `element/${element}/click`, {}));
  }

  /** Moves the pointer onto such an element. */
  hover(window: string, origin: string, selector: string): Promise<void> {
    return this.#with(window, origin, selector, (element) => {
      const move = { type: "pointerMove", origin: { [ELEMENT]: element }, x: 0, y: 0 };
      return this.#send("POST", "actions", { actions: [{ type: "pointer", id: "mouse", parameters: { pointerType: "mouse" }, actions: [move] }] });
    });
  }

  async #with(window: string, origin: string, selector: string, act: (element: string) => Promise<unknown>): Promise<void> {
    const find = async (): Promise<void> => {
      await this.#enter(window, origin);
      const element = await this.#send<Record<string, string>>("POST", "element", { using: "css selector", value: selector });
      await act(element[ELEMENT] ?? "");
    };
    for (const end = Date.now() + PATIENCE; ; await sleep(LOOK_EVERY)) {
      try {
        return await this.#take(find);
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
  }

  #windows(): Promise<string[]> {
    return this.#take(() => this.#send<string[]>("GET", "window/handles"));
  }

  async close(window: string): Promise<void> {
    await this.#take(async () => {
      await this.#send("POST", "window", { handle: window });
      const [left] = (await this.#send<string[]>("DELETE", "window")).filter((handle) => handle !== window);
      if (left !== undefined) await this.#send("POST", "window", { handle: left });
    });
  }

  /** A command for one window, or for its frame of this origin. */
  at<T>(window: string, command: string, body: object, origin?: string): Promise<T> {
    return this.#take(async () => {
      await this.#enter(window, origin);
      return this.#send<T>("POST", command, body);
    });
  }

  async #enter(window: string, origin?: string): Promise<void> {
    await this.#send("POST", "window", { handle: window });
    if (origin === undefined) return;
    const script = "return location.origin === arguments[0] ? null : document.querySelector(`iframe[src^='${arguments[0]}']`);";
    const id = await this.#send("POST", "execute/sync", { script, args: [origin] });
    await this.#send("POST", "frame", { id });
  }

  /** Has a window, or its frame of this origin, evaluate an expression, whose value is a promise, and waits for it while others may have their turns. */
  async run(window: string, script: string, origin?: string): Promise<unknown> {
    const slot = `script ${++this.#scripts}`;
    const begin = `window[arguments[0]] = null; (${script}).then((value) => (window[arguments[0]] = { value }), (error) => (window[arguments[0]] = { error: error + "\\n" + error.stack }));`;
    const execute = <T>(script: string): Promise<T> => this.at(window, "execute/sync", { script, args: [slot] }, origin);
    await execute(begin);
    for (;;) {
      const outcome = await execute<Outcome>("return arguments[0] in window ? window[arguments[0]] : { error: 'the page is another one now' };");
      if (outcome !== null && "error" in outcome) throw new Error(outcome.error);
      if (outcome !== null) return outcome.value;
      await sleep(LOOK_EVERY);
    }
  }

  async end(): Promise<void> {
    await this.#take(() => this.#send("DELETE", ""));
  }

  #take<T>(turn: () => Promise<T>): Promise<T> {
    const taken = this.#turn.then(turn);
    this.#turn = taken.catch(() => {});
    return taken;
  }

  async #send<T>(method: "DELETE" | "GET" | "POST", command: string, body?: object): Promise<T> {
    const response = await fetch(`${this.#url}${command && "/"}${command}`, { method, ...(body && { body: JSON.stringify(body) }) });
    const { value } = (await response.json()) as { value: T & { error?: string; message?: string } };
    if (!response.ok) throw new Error(`${command}: ${value.error}: ${value.message}`);
    return value;
  }
}
