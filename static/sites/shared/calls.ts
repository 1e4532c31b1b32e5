// Ringing and being rung, and the panel that shows a call. One at a time.

import type { BittersNode } from "@bitters/host-sdk";
import { type Answer, Call, RING, type Ring, parseRing } from "./call.js";
import { find, make } from "./dom.js";
import { explain } from "./status.js";

/** As long as a telephone rings. */
const RINGS_FOR_MS = 45_000;

type State = "calling" | "over" | "ringing" | "talking";

/** Who is called or calls. */
interface Other extends Ring {
  peer: string;
}

/** The call that there is, or is about to be: aborted to hang up. */
let current: AbortController | undefined;

/** Takes calls for as long as the node lasts. */
export async function showCalls(node: BittersNode, name: string): Promise<void> {
  find("peers").addEventListener("click", ({ target }) => {
    const peer = target instanceof HTMLButtonElement && target.closest("li")?.dataset["id"];
    const label = crypto.randomUUID();
    if (peer && !current) void ring(node, name, { peer, label, name: nameOf(peer) });
  });
  find("hang-up").addEventListener("click", () => current?.abort());
  find("dismiss").addEventListener("click", () => (find("call").hidden = true));
  await node.answer(RING, (data, { from, signal }) => beRung(node, { ...parseRing(data), peer: from }, signal));
}

/** Rings somebody, and talks if they accept. */
async function ring(node: BittersNode, name: string, other: Other): Promise<void> {
  await during(async (hangUp) => {
    say(`Calling ${other.name}…`, "calling");
    await withCamera(other, async (call) => {
      const { peer, label } = other;
      const limits = { timeout: RINGS_FOR_MS, signal: hangUp.signal };
      const answer = await node.call<Answer>(peer, RING, { name, label }, limits).catch((error) => {
        throw error.code === "Timeout" ? new Error(`${other.name} doesn’t answer.`) : error;
      });
      if (answer !== "accepted") throw new Error(`${other.name} ${answer === "busy" ? "is in another call" : "declined"}.`);
      await talk(node, call, other, hangUp.signal);
    });
  });
}

/** Somebody rings: it is the person who decides, and no camera opens before that. */
async function beRung(node: BittersNode, other: Other, givenUp: AbortSignal): Promise<Answer> {
  if (current) return "busy";
  return new Promise((resolve, reject) => {
    void during(async (hangUp) => {
      try {
        say(`${other.name} is calling`, "ringing");
        if (!(await accepts(givenUp))) return resolve("declined");
        say(`Taking ${other.name}’s call…`, "calling");
        await withCamera(other, async (call) => {
          resolve("accepted");
          await talk(node, call, other, hangUp.signal);
        });
      } catch (error) {
        reject(new Error("They couldn’t take the call."));
        throw error;
      }
    });
  });
}

/** What the person clicks, or no if the caller gives up. */
function accepts(givenUp: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const answer = new Promise<boolean>((resolve) => {
    const { signal } = over;
    find("accept").addEventListener("click", () => resolve(true), { signal });
    find("decline").addEventListener("click", () => resolve(false), { signal });
    givenUp.addEventListener("abort", () => resolve(false), { signal });
  });
  return answer.finally(() => over.abort());
}

/** Runs a call from its first sound to its last; what goes wrong is said in the panel. */
async function during(run: (hangUp: AbortController) => Promise<void>): Promise<void> {
  const hangUp = new AbortController();
  current = hangUp;
  find<HTMLFieldSetElement>("people").disabled = true;
  let problem = "";
  try {
    await run(hangUp);
  } catch (error) {
    if (!hangUp.signal.aborted) problem = explain(error);
  }
  current = undefined;
  find<HTMLFieldSetElement>("people").disabled = false;
  find("videos").replaceChildren();
  if (problem) say(problem, "over");
  else find("call").hidden = true;
}

/** Opens the camera and the microphone, and closes them in the end. */
async function withCamera(other: Other, use: (call: Call) => Promise<void>): Promise<void> {
  const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  try {
    show(camera, "You", "own");
    await use(new Call(camera, (stream) => show(stream, other.name)));
  } finally {
    for (const track of camera.getTracks()) track.stop();
  }
}

async function talk(node: BittersNode, call: Call, { peer, label, name }: Other, hungUp: AbortSignal): Promise<void> {
  const over = new AbortController();
  const toggles: [string, (on: boolean) => unknown][] = [
    ["mute", (on) => call.enable("audio", !on)],
    ["hide", (on) => call.enable("video", !on)],
    ["share", (on) => (on ? call.shareScreen(() => find("share").click()) : call.unshareScreen())],
  ];
  for (const [id, toggle] of toggles) pressing(id, toggle, over.signal);
  try {
    await call.talk(node, peer, label, hungUp, () => say(`In a call with ${name}`, "talking"));
  } finally {
    over.abort();
  }
}

/** A button that is pressed or not; it stays as it is if that fails. */
function pressing(id: string, toggle: (on: boolean) => unknown, signal: AbortSignal): void {
  const button = find<HTMLButtonElement>(id);
  button.ariaPressed = "false";
  const press = async (): Promise<void> => {
    const on = button.ariaPressed !== "true";
    try {
      await toggle(on);
      button.ariaPressed = String(on);
    } catch (error) {
      if (!signal.aborted) find("call-status").textContent = explain(error);
    }
  };
  button.addEventListener("click", press, { signal });
}

/** A video for each stream, as long as it has a picture or a sound. */
function show(stream: MediaStream, who: string, className = ""): void {
  if ([...find("videos").children].some((video) => (video as HTMLVideoElement).srcObject === stream)) return;
  const video = make("video", { className });
  video.ariaLabel = who;
  video.autoplay = true;
  video.playsInline = true;
  video.muted = className === "own";
  video.srcObject = stream;
  stream.addEventListener("removetrack", () => stream.getTracks().length || video.remove());
  find("videos").append(video);
}

function say(text: string, state: State): void {
  const panel = find("call");
  panel.hidden = false;
  panel.dataset["state"] = state;
  find("call-status").textContent = text;
  panel.scrollIntoView({ block: "nearest" });
}

/** As the room knows them. */
function nameOf(peer: string): string {
  return find("peers").querySelector(`[data-id="${CSS.escape(peer)}"] strong`)?.textContent || "somebody";
}
