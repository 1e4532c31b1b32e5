// A server that has a node which knows no server, beside the one that does, and tells its operator what it counts.
import { Metrics } from "./metrics.ts";
import { Quiet } from "./quiet.ts";
import { Server } from "./server.ts";
import { test as base } from "./test.ts";

interface Fixtures {
  readonly quiet: Quiet;
  readonly metrics: Metrics;
  /** Where the server answers dials, unless that is where it listens. */
  readonly udp: string | undefined;
  /** The one address that the server listens at, unless it listens at all of the loopback's. */
  readonly only: string | undefined;
}

export const test = base.extend<Fixtures>({
  udp: [undefined, { option: true }],
  only: [undefined, { option: true }],
  quiet: async ({}, use) => {
    const quiet = await Quiet.make();
    await use(quiet);
    await quiet.remove();
  },
  metrics: async ({}, use) => use(await Metrics.free()),
  server: async ({ quiet, metrics, udp, only }, use) => {
    const dials = udp === undefined ? [] : ["--udp", udp];
    const addresses = only === undefined ? undefined : [only];
    const server = await Server.start([...quiet.extra, ...metrics.extra, ...dials], undefined, undefined, addresses);
    await use(server);
    await server.stop();
  },
});
