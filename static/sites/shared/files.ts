// The list of files: picked or dropped here, sent to everybody present; sent by others, offered for download.

import type { BittersNode, Stream, Topic } from "@bitters/host-sdk";
import { find, make, short } from "./dom.js";
import { MAX_SIZE, PROTOCOL, receive, send } from "./file.js";
import { explain } from "./status.js";

const MAX_ARRIVING = 4;
/** Beyond this the oldest finished ones go, and free their memory. */
const MAX_ROWS = 12;

/** Sends and receives for as long as the node lasts. */
export async function showFiles(node: BittersNode, topic: Topic): Promise<void> {
  takeFiles((file) => {
    const peers = [...topic.peers];
    if (file.size > MAX_SIZE) new Row(file.name, "").fail("It is too large for this demo: 256 MB at most.");
    else if (peers.length === 0) new Row(file.name, "").fail("Nobody is here to get it yet.");
    else for (const peer of peers) void give(node, peer, file);
  });

  let arriving = 0;
  await node.serve(PROTOCOL, async (stream) => {
    if (arriving >= MAX_ARRIVING) return stream.abort("Too many files at once.");
    arriving += 1;
    await take(stream).finally(() => (arriving -= 1));
  });
}

/** Sends one file to one peer. */
async function give(node: BittersNode, peer: string, file: File): Promise<void> {
  const row = new Row(file.name, `to ${short(peer)}`);
  row.begin("sending", file.size);
  let stream: Stream | undefined;
  try {
    stream = await node.open(peer, PROTOCOL);
    row.done(await send(stream, file, row.progress));
  } catch (error) {
    stream?.abort(explain(error));
    row.fail(explain(error));
  }
}

/** Receives one file. */
async function take(stream: Stream): Promise<void> {
  let row: Row | undefined;
  try {
    const { blob, hash } = await receive(
      stream,
      (header) => {
        row = new Row(header.name, `from ${short(stream.peer)}`);
        row.begin("receiving", header.size);
      },
      (bytes) => row?.progress(bytes),
    );
    row?.done(hash, blob);
  } catch (error) {
    stream.abort(explain(error));
    row?.fail(explain(error));
  }
}

/** Tells of each file that is picked or dropped anywhere on the page. */
function takeFiles(chosen: (file: File) => void): void {
  const input = find<HTMLInputElement>("file");
  input.addEventListener("change", () => {
    for (const file of input.files ?? []) chosen(file);
    input.value = "";
  });
  input.disabled = false;

  const root = document.documentElement;
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    root.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) root.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    root.classList.remove("dragging");
    for (const file of event.dataTransfer?.files ?? []) chosen(file);
  });
}

/** All that are shown, oldest first. */
const rows = new Set<Row>();

/** One line of the list. */
class Row {
  readonly #name: string;
  readonly #item: HTMLLIElement;
  readonly #bar = make("progress");
  readonly #note = make("span", { className: "note" });
  #size = 0;
  #url = "";

  constructor(name: string, whom: string) {
    this.#name = name;
    this.#item = make("li", { data: { name, state: "sending" } });
    this.#bar.setAttribute("aria-label", name);
    this.#item.append(make("strong", { text: name }), " ", make("span", { className: "whom", text: whom }), this.#bar, this.#note);
    find("files").prepend(this.#item);
    rows.add(this);
    dropOldest();
  }

  get over(): boolean {
    return this.#item.dataset["state"] === "done" || this.#item.dataset["state"] === "failed";
  }

  begin(state: "sending" | "receiving", size: number): void {
    this.#item.dataset["state"] = state;
    this.#size = size;
    this.#bar.max = size || 1;
    this.progress(0);
  }

  readonly progress = (bytes: number): void => {
    this.#bar.value = bytes;
    this.#note.textContent = `${megabytes(bytes)} of ${megabytes(this.#size)}`;
  };

  done(hash: string, blob?: Blob): void {
    this.#item.dataset["state"] = "done";
    this.#bar.value = this.#bar.max;
    this.#note.textContent = `${megabytes(this.#size)} · ${blob ? "arrived whole" : "they have it"}`;
    if (blob) this.#item.append(this.#download(blob));
    if (hash) this.#item.append(make("code", { text: hash, data: { hash } }));
  }

  fail(why: string): void {
    this.#item.dataset["state"] = "failed";
    this.#note.textContent = why;
  }

  drop(): void {
    URL.revokeObjectURL(this.#url);
    this.#item.remove();
    rows.delete(this);
  }

  #download(blob: Blob): HTMLAnchorElement {
    const link = make("a", { text: "Download" });
    this.#url = URL.createObjectURL(blob);
    link.href = this.#url;
    link.download = this.#name;
    return link;
  }
}

function dropOldest(): void {
  const over = [...rows].filter((row) => row.over);
  for (const row of over.slice(0, -MAX_ROWS)) row.drop();
}

function megabytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
