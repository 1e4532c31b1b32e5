// The fallback's one module, on both sides: a frame calls `contend`, its dedicated worker registers.
import init, { contend as begin, register } from "#glue";

declare const WASM_URL: string;

await init({ module_or_path: WASM_URL });
if (!("document" in globalThis)) register();

/**
 * In a frame: starts a worker that takes part in the election. gloo-worker ends its worker by a message and keeps it to itself; a page
 * on its way into the back/forward cache must end it at once, or it would take the worker's locks along, and a worker that hangs
 * reads no message. So the one that is made here is kept.
 */
export function contend(build: string, name: string, url: string, onEnd: () => void): { ask(): void; free(): void } {
  const Plain = globalThis.Worker;
  const made: Worker[] = [];
  globalThis.Worker = class extends Plain {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      made.push(this);
    }
  };
  try {
    const contending = begin(build, name, url, onEnd);
    return {
      ask: () => contending.ask(),
      free() {
        for (const worker of made) worker.terminate();
        contending.free();
      },
    };
  } finally {
    globalThis.Worker = Plain;
  }
}
