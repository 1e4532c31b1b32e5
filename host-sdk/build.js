// One file for sites, those that it loads when they are needed, and their types beside them.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { minify } from "terser";

/** Properties that never leave the bundle: neither the site's nor the wire's nor the platform's. They get short names. */
const OURS = [
  "adopt",
  "again",
  "begin",
  "bound",
  "chosen",
  "dress",
  "fail",
  "farewell",
  "forget",
  "iframe",
  "lasts",
  "life",
  "listener",
  "look",
  "lost",
  "over",
  "owner",
  "put",
  "refuse",
  "replace",
  "say",
  "sent",
  "show",
  "spare",
  "spoken",
  "takeOut",
  "unlimit",
  "use",
  "welcomed",
];

/** The short names, the same in all files. */
const mangleCache = {};
const mangleProps = new RegExp(`^(${OURS.join("|")})$`);

/** One module of all that the entry imports. What terser finds after esbuild is 3% of what a site loads. */
async function write(name, entry, more) {
  const options = { bundle: true, entryPoints: [entry], format: "esm", legalComments: "none", minify: true, target: "es2022", write: false };
  const built = await build({ ...options, ...more });
  Object.assign(mangleCache, built.mangleCache);
  const compress = { conditionals: false, hoist_funs: true, inline: 0, passes: 3, unsafe_arrows: true };
  const { code } = await minify(built.outputFiles[0].text, { compress, ecma: 2020, module: true });
  writeFileSync(`dist/${name}`, code);
}

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
await write("bitters.js", "src/index.ts", {
  // Beside it, wherever that is: on a node's origin, in a package, in a site's bundle.
  external: ["./rare.js", "./signal.js"],
  mangleCache,
  mangleProps,
});
await write("rare.js", "src/rare.ts", { mangleCache, mangleProps });
await write("signal.js", "src/signal.ts");
execFileSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
