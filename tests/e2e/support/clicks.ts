// What came of a click on a badge or on the node's own page. Both run in the frame that is clicked on.

declare global {
  interface Window {
    /** Whether the last click on a button counted or came too early; nothing where none came. */
    clicked: "counted" | "early" | undefined;
  }
}

/**
 * Notes what comes of the next click, when the document has heard it. Afterwards nothing tells: a click that came too early is forgotten with the
 * next question, and one that counted may lead to a question with the same button. One beside the buttons, as where they have just moved, is none.
 */
export function listen(): void {
  window.clicked = undefined;
  const note = (event: Event): void => {
    const isOnButton = event.composedPath().some((it) => it instanceof HTMLButtonElement);
    if (isOnButton) window.clicked = "early" in document.documentElement.dataset ? "early" : "counted";
  };
  addEventListener("click", note, { once: true });
}

/** Whether a click counted. One that wasn't heard is one that the browser sent elsewhere: it learns some frames later where an iframe is. */
export const counted = (): boolean => window.clicked === "counted";
