// The SharedWorkers of a browser, and what happens to them.
import type { BrowserContext, CDPSession } from "@playwright/test";

/** The workers' end of the DevTools protocol. */
export class Workers {
  readonly #session: CDPSession;

  private constructor(session: CDPSession) {
    this.#session = session;
  }

  static async of(browser: BrowserContext): Promise<Workers> {
    const session = await browser.browser()?.newBrowserCDPSession();
    if (!session) throw new Error("this browser has no session of its own");
    return new Workers(session);
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

  /** Keeps a worker busy for so long; nothing that is said to it is heard. */
  async wedge(targetId: string, ms: number): Promise<void> {
    const { sessionId } = await this.#session.send("Target.attachToTarget", { targetId, flatten: false });
    const expression = `for (const end = Date.now() + ${ms}; Date.now() < end; );`;
    const message = JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression } });
    await this.#session.send("Target.sendMessageToTarget", { sessionId, message });
  }
}
