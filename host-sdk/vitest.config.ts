import { defineConfig } from "vitest/config";

// The same tests run on the sources and on the files that sites load: `mode` is `shipped` for that.
const shipped = { index: "bitters", rare: "rare", signal: "signal" };
const alias = Object.entries(shipped).map(([source, file]) => ({
  find: new RegExp(`^\\.\\./src/${source}\\.js$`),
  replacement: `${import.meta.dirname}/dist/${file}.js`,
}));

export default defineConfig(({ mode }) => ({
  resolve: { alias: mode == "shipped" ? alias : [] },
  test: { include: ["test/**/*.test.ts"], setupFiles: ["test/page.ts"] },
}));
