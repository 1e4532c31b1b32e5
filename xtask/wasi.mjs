// Runs a test program of the target wasm32-wasip1 with Node's WASI: `node wasi.mjs PROGRAM ARGUMENTS...`. It sees the machine's files,
// since golden vectors are read from the checkout, and the variables that choose what a run does.
import { readFile } from "node:fs/promises";
import { argv, env, exit } from "node:process";
import { WASI } from "node:wasi";

const [, , program, ...args] = argv;
const { PROPTEST_CASES, RUST_BACKTRACE, RUSTC_BOOTSTRAP, SEED } = env;
const chosen = Object.entries({ PROPTEST_CASES, RUST_BACKTRACE, RUSTC_BOOTSTRAP, SEED }).filter(([, value]) => value !== undefined);
const wasi = new WASI({
  version: "preview1",
  args: [program, ...args],
  env: Object.fromEntries(chosen),
  preopens: { "/": "/" },
  returnOnExit: true,
});
const { instance } = await WebAssembly.instantiate(await readFile(program), wasi.getImportObject());
try {
  exit(wasi.start(instance));
} catch (error) {
  // A panic is a trap here; what it says is on stderr already.
  if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  console.error(`${program}: ${error.message}`);
  exit(101);
}
