import { defineConfig } from "vitest/config";

// The same tests run on the sources and on the file that sites load: `mode` is `shipped` for that.
export default defineConfig(({ mode }) => ({
  resolve: { alias: mode == "shipped" ? [{ find: /^\.\.\/src\/index\.js$/, replacement: `${import.meta.dirname}/dist/bitters.js` }] : [] },
  test: { include: ["test/**/*.test.ts"], setupFiles: ["test/page.ts"] },
}));
