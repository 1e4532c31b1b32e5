// The workers of a browser, and what happens to them.
import type { BrowserContext, CDPSession, Frame } from "@playwright/test";

import { sessionOf } from "./browsers.ts";

/** What a target answers to a command. */
interface Answer {
  id?: number;
  error?: unknown;
  result?: { exceptionDetails?: unknown; result?: { value: unknown } };
}

/** The SharedWorkers' end of the DevTools protocol. */
export class Workers {
  readonly #session: CDPSession;
  /** The context, where it isn't the browser's own. */
  readonly #context: string | undefined;

  private constructor(session: CDPSession, context: string | undefined) {
    this.#session = session;
    this.#context = context;
  }

  static async of(browser: BrowserContext): Promise<Workers> {
    const page = browser.pages()[0] ?? (await browser.newPage());
    const { targetInfo } = await (await browser.newCDPSession(page)).send("Target.getTargetInfo");
    return new Workers(await sessionOf(browser), targetInfo.browserContextId);
  }

  /** The targets of all SharedWorkers that run. */
  async running(): Promise<string[]> {
    const { targetInfos } = await this.#session.send("Target.getTargets");
    const ours = targetInfos.filter(({ type, browserContextId }) => type === "shared_worker" && browserContextId === this.#context);
    return ours.map(({ targetId }) => targetId);
  }

  /** Terminates a worker, and nothing but it. */
  async terminate(targetId: string): Promise<void> {
    await this.#session.send("Target.closeTarget", { targetId });
  }

  /** Runs an expression in a worker; its value is JSON. */
  async evaluate(targetId: string, expression: string): Promise<unknown> {
    const attached = await this.#attach(targetId);
    const { error, result } = await attached.ask("Runtime.evaluate", { expression, returnByValue: true });
    if (!result || result.exceptionDetails) throw new Error(`in the worker: ${JSON.stringify(error ?? result)}`);
    await this.#session.send("Target.detachFromTarget", { sessionId: attached.id });
    return result.result?.value;
  }

  /** Keeps a worker from its messages, so that nothing that is said to it is heard, until what is returned is called. */
  async wedge(targetId: string): Promise<() => Promise<void>> {
    return wedge(await this.#attach(targetId));
  }

  async #attach(targetId: string): Promise<Attached> {
    const { sessionId } = await this.#session.send("Target.attachToTarget", { targetId, flatten: false });
    return new Attached(this.#session, sessionId);
  }
}

/** Keeps a frame's own worker from them in the same way. */
export async function wedgeWorkerOf(frame: Frame): Promise<() => Promise<void>> {
  const session = await frame.page().context().newCDPSession(frame);
  const attached = new Promise<Attached>((resolve) => {
    session.on("Target.attachedToTarget", ({ sessionId, targetInfo }) => {
      if (targetInfo.type === "worker") resolve(new Attached(session, sessionId));
    });
  });
  await session.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  return wedge(await attached);
}

/**
 * Waits for what never comes, which costs no time of a processor, as a loop would. A page that is not isolated gets shared memory only so.
 */
const WAIT = "Atomics.wait(new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer), 0, 0)";

/** The command that ends it is heard while it waits. */
async function wedge(worker: Attached): Promise<() => Promise<void>> {
  void worker.ask("Runtime.evaluate", { expression: WAIT });
  return async () => void (await worker.ask("Runtime.terminateExecution", {}));
}

/** A target that commands are sent to by way of another's session. */
class Attached {
  readonly id: string;
  readonly #session: CDPSession;
  #asked = 0;

  constructor(session: CDPSession, id: string) {
    this.#session = session;
    this.id = id;
  }

  async ask(method: string, params: object): Promise<Answer> {
    const id = ++this.#asked;
    const answer = new Promise<Answer>((resolve) => {
      this.#session.on("Target.receivedMessageFromTarget", ({ sessionId, message }) => {
        const heard = JSON.parse(message) as Answer;
        if (sessionId === this.id && heard.id === id) resolve(heard);
      });
    });
    await this.#session.send("Target.sendMessageToTarget", { sessionId: this.id, message: JSON.stringify({ id, method, params }) });
    return answer;
  }
}
