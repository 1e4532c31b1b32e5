import { detached, viewOf } from "./data.js";
import { BittersError, aborted, badArgument, textOf } from "./error.js";
import type { Talk } from "./port.js";

/** Bytes between a peer and a site that may be unread (`STREAM_WINDOW` of the wire). */
const WINDOW = 2 * 1024 * 1024;

/** Bytes handed over at a time. */
const SLICE = 256 * 1024;

/** Characters of a reason that the peer is told. */
const MAX_REASON = 256;

/** A two-way conversation with one peer, in bytes. */
export interface Stream {
  /** Whose other end it is: a persona's id. */
  readonly peer: string;
  /** What it was opened for. */
  readonly protocol: string;
  /** What the peer writes. Unread it stops the peer after 2 MiB; cancelled it ends the peer's writing, not ours. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** For the peer. A write is done when the node has taken all of its bytes, which it does as the peer reads. */
  readonly writable: WritableStream<Uint8Array>;
  /** Finishes writing, after what has been written before. Reading goes on. */
  close(): Promise<void>;
  /** Gives it up, both ways. The peer is told the reason. */
  abort(reason?: unknown): void;
}

/** A stream over a talk that both ends have agreed on. */
export function streamOf(talk: Talk, peer: string, protocol: string): Stream {
  let input!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  let output!: WritableStreamDefaultController;
  // Total offsets: what came and may come, what went and may go.
  let received = 0;
  let granted = 0;
  let sent = 0;
  let credit = 0;
  let readEnded = false;
  let writeEnded = false;
  let failure: BittersError | undefined;
  let closing: Promise<void> | undefined;
  // Chunks that wait in the writable, counted by its strategy: a locked stream has no other way to know that it is drained.
  let waiting = 0;
  let wake = (): void => {};
  let drained = (): void => {};

  const halfEnded = (): void => {
    if (readEnded && writeEnded) talk.over();
  };
  const finish = (): void => {
    if (writeEnded) return;
    writeEnded = true;
    talk.say("finish");
    halfEnded();
  };
  const giveUp = (error: BittersError, reason: unknown): void => {
    talk.farewell = { reset: { reason: textOf(reason).slice(0, MAX_REASON) } };
    talk.fail(error);
  };

  const obey = (rule: boolean): void => {
    if (!rule) throw new BittersError("Remote", "over credit");
  };

  talk.farewell = { reset: { reason: "over credit" } };
  talk.listener = {
    bytes(bytes) {
      received += bytes.byteLength;
      obey(received <= granted);
      if (!readEnded) input.enqueue(bytes);
    },
    credit(limit) {
      obey(limit >= credit);
      credit = limit;
      wake();
    },
    // The peer reads no longer; the other way goes on.
    end() {
      if (writeEnded) return;
      writeEnded = true;
      output.error(new BittersError("Closed", "not read"));
      wake();
      drained();
      halfEnded();
    },
    finished() {
      if (readEnded) return;
      readEnded = true;
      input.close();
      halfEnded();
    },
    failed(error) {
      failure ??= error;
      readEnded ||= (input.error(failure), true);
      // A writable that is being aborted fails by itself.
      if (!output.signal.aborted) output.error(failure);
      wake();
      drained();
    },
  };

  const readable = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start(controller) {
        input = controller;
      },
      pull() {
        const taken = received - (WINDOW - (input.desiredSize ?? 0));
        // By quarters: a credit for every chunk would cost a message each.
        if (granted - taken <= (WINDOW * 3) / 4) talk.say({ credit: { limit: (granted = taken + WINDOW) } });
      },
      cancel() {
        readEnded = true;
        talk.say("stop");
        halfEnded();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: WINDOW }),
  );

  const handOver = async (chunk: unknown): Promise<void> => {
    if (writeEnded) throw new BittersError("Closed", "stream closed");
    const bytes = viewOf(chunk);
    if (!bytes) throw badArgument("no bytes");
    const { length } = bytes;
    for (let at = 0; at < length; ) {
      if (failure ?? writeEnded) throw failure ?? new BittersError("Closed", "not read");
      // By the site, while they waited for the reader.
      if (bytes.length < length) throw detached();
      // Copied, as the site keeps its buffer; the copy is transferred.
      const slice = bytes.slice(at, at + Math.min(SLICE, credit - sent));
      at += slice.length;
      sent += slice.length;
      if (slice.length) talk.say({ write: { bytes: slice } }, [slice.buffer]);
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  };

  const writable = new WritableStream<Uint8Array>(
    {
      start(controller) {
        output = controller;
        // The sink's own `abort` waits for the write before it, and that for a credit that may never come.
        controller.signal.addEventListener("abort", () => giveUp(aborted(controller.signal.reason), controller.signal.reason));
      },
      async write(chunk) {
        try {
          await handOver(chunk);
        } catch (error) {
          if (!writeEnded) giveUp(error as BittersError, error);
          throw error;
        }
        if (!--waiting) drained();
      },
      close: finish,
    },
    { highWaterMark: 1, size: () => (waiting++, 1) },
  );

  // Not the writable's own: that can't be closed while a writer of the site's holds it.
  const close = async (): Promise<void> => {
    if (waiting && !failure) await new Promise<void>((resolve) => (drained = resolve));
    if (failure && !writeEnded) throw failure;
    finish();
  };

  return {
    peer,
    protocol,
    readable,
    writable,
    close: () => (closing ??= close()),
    abort: (reason) => giveUp(aborted(reason), reason),
  };
}
