// The node's iframes are taken from a page for good.

/** Takes them away as often as the SDK puts them back, which it gives up at once. Runs in the page. */
export function takeAway(): void {
  const take = (): void => document.querySelectorAll("iframe").forEach((iframe) => iframe.remove());
  new MutationObserver(take).observe(document, { childList: true, subtree: true });
  take();
}
