import { BittersError } from "./error.js";

/** Messages that may wait for a slow reader. */
const MAX_ITEMS = 1024;

/** Bytes that may wait for a slow reader. */
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * An async iterator that keeps what its reader hasn't taken yet. Nothing is lost in silence: beyond the bounds it takes no more
 * and, after what it has, fails with `Quota`.
 */
export class Queue<T> implements AsyncIterableIterator<T> {
  readonly #onEnd: () => void;
  #items: { value: T; size: number }[] = [];
  #bytes = 0;
  #readers: (() => void)[] = [];
  #over = false;
  #error: BittersError | undefined;

  /** `onEnd` runs when nothing more is wanted. */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  /** Another one, of so many bytes. */
  put(value: T, size = 0): void {
    if (this.#over) return;
    if (this.#items.length < MAX_ITEMS && this.#bytes + size <= MAX_BYTES) {
      this.#items.push({ value, size });
      this.#bytes += size;
      this.#wake();
    } else {
      this.end(new BittersError("Quota", "too slow"));
      this.#onEnd();
    }
  }

  /** The latest takes the place of all that wait. */
  replace(value: T): void {
    this.#items = [];
    this.put(value);
  }

  /** No more will come. `Closed` is an end like any other: it was the site that closed. */
  end(error?: BittersError): void {
    if (this.#over) return;
    this.#over = true;
    if (error?.code != "Closed") this.#error = error;
    this.#wake();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      const item = this.#items.shift();
      if (item) {
        this.#bytes -= item.size;
        return { done: false, value: item.value };
      }
      const error = this.#error;
      this.#error = undefined;
      if (error) throw error;
      if (this.#over) return { done: true, value: undefined };
      await new Promise<void>((resolve) => this.#readers.push(resolve));
    }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#items = [];
    this.end();
    this.#error = undefined;
    this.#onEnd();
    return this.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #wake(): void {
    for (const wake of this.#readers.splice(0)) wake();
  }
}
