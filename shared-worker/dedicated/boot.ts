// The fallback's one module, on both sides: a frame calls `contend`, its dedicated worker registers.
import init, { contend, register } from "#glue";

declare const WASM_URL: string;

await init({ module_or_path: WASM_URL });
if (!("document" in globalThis)) register();

export { contend };
