// One file for sites, one that it loads when it is needed, and their types beside them.
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
  "fail",
  "farewell",
  "forget",
  "lasts",
  "listener",
  "lost",
  "over",
  "put",
  "refuse",
  "replace",
  "say",
  "sent",
  "unlimit",
  "use",
  "welcomed",
];

/** One module of all that the entry imports. What terser finds after esbuild is 3% of what a site loads. */
async function write(name, entry, more) {
  const options = { bundle: true, entryPoints: [entry], format: "esm", legalComments: "none", minify: true, target: "es2022", write: false };
  const [bundle] = (await build({ ...options, ...more })).outputFiles;
  const { code } = await minify(bundle.text, { compress: { passes: 3 }, ecma: 2020, module: true });
  writeFileSync(`dist/${name}`, code);
}

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
await write("bitters.js", "src/index.ts", {
  // Beside it, wherever that is: on a node's origin, in a package, in a site's bundle.
  external: ["./signal.js"],
  mangleProps: new RegExp(`^(${OURS.join("|")})$`),
});
await write("signal.js", "src/signal.ts");
execFileSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
