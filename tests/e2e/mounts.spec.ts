// A component that connects when it is mounted and gives that up when it is unmounted. React's StrictMode mounts it, unmounts it and mounts it
// again; whenever that comes, one node is left.
import type { Page } from "@playwright/test";

import { works } from "./support/alive.ts";
import { faultsOf } from "./support/faults.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

/** When the component is unmounted, and mounted again in the same turn. */
const MOMENTS = ["at once", "a microtask later", "when its iframe begins", "when its iframe is ready", "when it is connected"] as const;

/** How it is unmounted while it connects; once it is connected, it closes its node. */
const WAYS = ["gives up by its signal", "closes what it gets"] as const;

for (const way of WAYS)
  test(`a component that ${way} is unmounted at any moment and mounted again: one iframe, one id, and it works`, async ({ browse, connect, server, visit }) => {
    const browser = await browse();
    const [b, page] = [await connect(browser, "b"), await visit(browser, "a")];
    const faults = faultsOf(page);
    const sites = ["a", "b"].map((site) => server.url(site).slice(0, -1));

    for (const moment of MOMENTS)
      await test.step(`unmounted ${moment}`, async () => {
        const outcome = await remount(page, server.node, moment, way);

        const gaveUp = way === "gives up by its signal" && moment !== "when it is connected";
        expect(outcome).toBe(gaveUp ? "Aborted" : await idOf(page));
        await works(page, b);
        await expect(page.locator("iframe")).toHaveCount(1);
        await expect.poll(async () => (await statusOf(page)).frames.map(({ origin }) => origin).sort()).toEqual(sites);
        await page.evaluate(() => window.mine.close());
        await expect(page.locator("iframe")).toHaveCount(0);
      });
    expect(faults).toEqual([]);
  });

/** Mounts the component, unmounts it at that moment and mounts it again; what became of the first one's connecting: its code or its id. */
const remount = (page: Page, node: string, moment: (typeof MOMENTS)[number], way: (typeof WAYS)[number]): Promise<string> =>
  page.evaluate(
    async ({ node, moment, way }) => {
      const mount = (): { connecting: ReturnType<typeof window.sdk.connect>; unmount: () => void } => {
        const life = new AbortController();
        const connecting = window.sdk.connect({ node, signal: life.signal });
        const unmount = (): void => {
          if (way === "gives up by its signal") life.abort();
          connecting.then((mine) => mine.close(), () => {});
        };
        return { connecting, unmount };
      };
      const first = mount();
      const outcome = first.connecting.then(({ id }) => id, ({ code }) => code);
      const said = (what: string): Promise<void> =>
        new Promise((resolve) => addEventListener("message", ({ data }) => data.bitters === what && resolve()));
      if (moment === "a microtask later") await undefined;
      if (moment === "when its iframe begins") await said("begun");
      if (moment === "when its iframe is ready") await said("ready");
      if (moment === "when it is connected") await first.connecting;
      first.unmount();
      window.mine = await mount().connecting;
      return outcome;
    },
    { node, moment, way },
  );
