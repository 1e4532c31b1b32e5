// Real browsers against a release build. `cargo xtask test e2e` builds it and names it in the environment.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  outputDir: "../../test-results",
  // Two cores: one test's browsers keep them busy.
  workers: 1,
  retries: 0,
  timeout: 60_000,
  forbidOnly: Boolean(process.env["CI"]),
  reporter: [["list"]],
});
