// Real browsers against a release build. `cargo xtask test e2e` builds it and names it in the environment.
import { defineConfig } from "@playwright/test";

import { FAR, NEAR, type Topology } from "./contract/topologies.ts";

/** The contract in a topology: what holds everywhere, and what holds `where`. All of it in one process, whose world it shares. */
const contract = (topologies: readonly Topology[], where: "far" | "near"): object[] =>
  topologies.map(({ name }) => ({
    name,
    testDir: "contract",
    testMatch: [`any/**`, `${where}/**`],
    dependencies: ["ground"],
    use: { topology: name },
    workers: 1,
  }));

export default defineConfig({
  testDir: ".",
  outputDir: "../../test-results",
  // On two cores: a test waits for more than half of its time.
  workers: 3,
  // A stall of a shared machine costs a second try there; what needed one is listed as flaky, and is a bug to be found.
  retries: process.env["CI"] ? 1 : 0,
  // Limits, not expectations: a machine that is three times slower passes, too. Polls end as soon as what they wait for is there.
  timeout: 150_000,
  expect: { timeout: 40_000 },
  forbidOnly: Boolean(process.env["CI"]),
  reporter: [["list"]],
  projects: [
    // Without partitioning, or where edited descriptions are taken, the other tests would show nothing: they don't run.
    { name: "ground", testMatch: "partition.spec.ts" },
    { name: "chromium", testIgnore: ["partition.spec.ts", "contract/**"], dependencies: ["ground"] },
    ...contract(NEAR, "near"),
    ...contract(FAR, "far"),
  ],
});
