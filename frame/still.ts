// Whether the person can have seen what they click on. A site can bring it under the pointer, or a window over it and away, in the very
// moment of a click or a key that was meant for something else.

/** How long what asks must have been as it is before a click on it counts. */
const STILL_MS = 500;

/** CSS pixels that a pointer at rest may seem to move, by rounding. */
const SLIP = 2;

/** Whether clicks count, and what has that begin anew. */
export interface Still {
  counts(): boolean;
  restart(): void;
}

/**
 * Clicks count once nothing has begun anew for a while, and `may` says that they could. It begins anew where the person may have had something
 * else before them a moment ago: when a mouse comes in, or the document comes under it or slides beneath it; when the document is shown; and
 * when its window is turned to, over which another may have been. The document says by an attribute of this name whether clicks count.
 */
export function still(name: "guard" | "still", may: () => boolean = () => true): Still {
  const page = document.documentElement.dataset;
  let opening: ReturnType<typeof setTimeout> | undefined;
  const counts = (): boolean => page[name] === "open";
  const restart = (): void => {
    clearTimeout(opening);
    delete page[name];
    if (may()) opening = setTimeout(() => (page[name] = "open"), STILL_MS);
  };
  const root = document.documentElement;
  // A finger comes in with each touch.
  root.addEventListener("pointerenter", ({ pointerType }) => pointerType === "mouse" && restart());
  let last: PointerEvent | undefined;
  const onPointer = (event: PointerEvent): void => {
    if (last && hasSlid(last, event)) restart();
    last = event;
  };
  for (const event of ["pointermove", "pointerdown"] as const) root.addEventListener(event, onPointer, true);
  document.addEventListener("visibilitychange", restart);
  // An iframe is turned to by the click itself.
  if (parent === window) addEventListener("focus", restart);
  restart();
  return { counts, restart };
}

/** Whether the document moved, and the pointer didn't: what is under it is another part. */
function hasSlid(before: PointerEvent, now: PointerEvent): boolean {
  const rests = before.screenX === now.screenX && before.screenY === now.screenY;
  return rests && Math.hypot(before.clientX - now.clientX, before.clientY - now.clientY) > SLIP;
}
