// The fallback's one module, on both sides: the frame calls `lead`, its dedicated worker registers.
import init, { lead, register } from "#glue";

declare const WASM_URL: string;

await init({ module_or_path: WASM_URL });
if (!("document" in globalThis)) register();

export { lead };
