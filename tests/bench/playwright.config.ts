// Measurements in real browsers, against a release build. `cargo xtask bench` builds it and names it in the environment.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  testMatch: "*.bench.ts",
  outputDir: "../../test-results",
  // One thing at a time: whatever else runs is measured, too.
  workers: 1,
  retries: 0,
  timeout: 90_000,
  reporter: [["./support/table.ts"]],
});
