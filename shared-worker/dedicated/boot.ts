// The fallback's one module: a frame's dedicated worker. The frame says nothing but that it found no leader.
import init, { begin } from "#glue";

declare const BUILD: string;
declare const WASM_URL: string;

await init({ module_or_path: WASM_URL });
const leading = begin(BUILD, location.href);
addEventListener("message", () => leading.asked());
