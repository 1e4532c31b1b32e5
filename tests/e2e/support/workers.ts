// The SharedWorkers of a browser, and what happens to them.
import type { BrowserContext, CDPSession } from "@playwright/test";

import { sessionOf } from "./browsers.ts";

/** What a target answers to `Runtime.evaluate`. */
interface Answer {
  id?: number;
  error?: unknown;
  result?: { exceptionDetails?: unknown; result: { value: unknown } };
}

/** The workers' end of the DevTools protocol. */
export class Workers {
  readonly #session: CDPSession;

  private constructor(session: CDPSession) {
    this.#session = session;
  }

  static async of(browser: BrowserContext): Promise<Workers> {
    return new Workers(await sessionOf(browser));
  }

  /** The targets of all SharedWorkers that run. */
  async running(): Promise<string[]> {
    const { targetInfos } = await this.#session.send("Target.getTargets");
    return targetInfos.filter(({ type }) => type === "shared_worker").map(({ targetId }) => targetId);
  }

  /** Terminates a worker, and nothing but it. */
  async terminate(targetId: string): Promise<void> {
    await this.#session.send("Target.closeTarget", { targetId });
  }

  /** Runs an expression in a worker; its value is JSON. */
  async evaluate(targetId: string, expression: string): Promise<unknown> {
    const { sessionId } = await this.#session.send("Target.attachToTarget", { targetId, flatten: false });
    const answer = new Promise<Answer>((resolve) => {
      this.#session.on("Target.receivedMessageFromTarget", ({ sessionId: from, message }) => {
        const heard = JSON.parse(message) as Answer;
        if (from === sessionId && heard.id === 1) resolve(heard);
      });
    });
    const message = JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression, returnByValue: true } });
    await this.#session.send("Target.sendMessageToTarget", { sessionId, message });
    const { error, result } = await answer;
    if (!result || result.exceptionDetails) throw new Error(`in the worker: ${JSON.stringify(error ?? result)}`);
    await this.#session.send("Target.detachFromTarget", { sessionId });
    return result.result.value;
  }

  /** Keeps a worker busy for so long; nothing that is said to it is heard. */
  async wedge(targetId: string, ms: number): Promise<void> {
    const { sessionId } = await this.#session.send("Target.attachToTarget", { targetId, flatten: false });
    const expression = `for (const end = Date.now() + ${ms}; Date.now() < end; );`;
    const message = JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression } });
    await this.#session.send("Target.sendMessageToTarget", { sessionId, message });
  }
}
