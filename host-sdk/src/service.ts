import { fromJson, nameOf, toJson } from "./data.js";
import { BittersError } from "./error.js";
import type { Limits } from "./limits.js";
import type { Port, Talk } from "./port.js";
import { Queue } from "./queue.js";

/** What a service's method returns: await its value, or iterate over its sequence. */
export interface Returned<T = any> extends Promise<T> {
  /** What the method yields, one after another. */
  [Symbol.asyncIterator](): AsyncIterator<T, undefined>;
}

/** A node author's own API: any method, JSON arguments. */
export type Service = Record<string, (...args: any[]) => Returned>;

/** A proxy for one service. Its symbols and `then` are no methods, so that it can be returned from an async function. */
export function serviceOf(port: Port, name: string, limits: Limits): Service {
  return new Proxy<Service>(
    {},
    {
      get: (_, method) =>
        typeof method == "string" && method != "then" ? (...args: unknown[]) => invoke(port, name, method, args, limits) : undefined,
    },
  );
}

function invoke(port: Port, name: string, method: string, args: unknown[], limits: Limits): Returned {
  let talk: Talk | undefined;
  const sequence = new Queue<unknown>(() => talk?.cancel());
  const returned = (async (): Promise<unknown> => {
    const ask = { service: { name: nameOf(name), method: nameOf(method), args: toJson(args.map((arg) => arg ?? null)) } };
    talk = port.begin(() => ask, ["value", "next", "end"], { ...limits, lasts: true, bound: true }, (text, talk, kind) => {
      if (kind == "value") {
        talk.over();
        return text ? fromJson(text) : undefined;
      }
      talk.listener = {
        end() {
          talk.over();
          sequence.end();
        },
        failed: (error) => sequence.end(error),
        next: (text) => sequence.put(fromJson(text), text.length),
      };
      talk.listener[kind]?.(text as never);
      return sequence;
    });
    return talk.answer;
  })();
  return Object.assign(returned, {
    [Symbol.asyncIterator]() {
      // A sequence may wait for its first as long as it likes.
      talk?.limited?.untime();
      return iterate(returned, sequence);
    },
  });
}

async function* iterate(returned: Promise<unknown>, sequence: Queue<unknown>): AsyncGenerator<unknown, undefined, undefined> {
  if ((await returned) != sequence) throw new BittersError("Unsupported", "no sequence");
  yield* sequence;
}
