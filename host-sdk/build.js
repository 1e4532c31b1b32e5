// One file for sites, and its types beside it.
import { execFileSync } from "node:child_process";
import { build } from "esbuild";

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
  "limited",
  "listener",
  "lost",
  "over",
  "put",
  "refuse",
  "say",
  "sent",
  "unlimit",
  "untime",
  "use",
  "welcomed",
];

await build({
  bundle: true,
  entryPoints: ["src/index.ts"],
  format: "esm",
  legalComments: "none",
  mangleProps: new RegExp(`^(${OURS.join("|")})$`),
  minify: true,
  outfile: "dist/bitters.js",
  target: "es2022",
});
execFileSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
