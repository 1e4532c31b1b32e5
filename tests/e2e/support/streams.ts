// What pages send through streams: bytes that are made as they are needed and known by their hash.
import { createHash } from "node:crypto";

import type { Page } from "@playwright/test";

declare global {
  interface Window {
    /** `bytes` of this module, in a page that was taught it. */
    bytes: typeof bytes;
  }
}

/** Gives the page `window.bytes`, so that nothing large travels between test and page. */
export async function teachBytes(page: Page): Promise<void> {
  await page.evaluate(`window.bytes = ${bytes}`);
}

/** The SHA-256 of `bytes(size)`, in hexadecimal. */
export function hashOf(size: number): string {
  return createHash("sha256").update(bytes(size)).digest("hex");
}

/** So many bytes, the same in every place and different at every offset of a chunk; runs in pages and in tests. */
export function bytes(size: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let at = 0; at < words.length; at += 1) words[at] = Math.imul(at + 1, 0x9e3779b1) ^ (at >>> 7);
  return new Uint8Array(words.buffer, 0, size);
}
