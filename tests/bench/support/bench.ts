// What every measurement has: what end-to-end tests have, and a site with the same hops in plain JavaScript.
import { join } from "node:path";

import { Server } from "../../e2e/support/server.ts";
import { test as base } from "../../e2e/support/test.ts";

const PLAIN = join(import.meta.dirname, "../plain");

export const test = base.extend({
  server: async ({}, use) => {
    const server = await Server.start(["--site", `plain.localhost=${PLAIN}`]);
    await use(server);
    await server.stop();
  },
  // What one that ran before has kept or compiled would be measured, too.
  browse: ({ browse }, use) => use((profile) => browse({ ...profile, own: true })),
});

export { expect, idOf } from "../../e2e/support/test.ts";
