// Takes pictures of every state of the badge and of the node's own page, in light and dark, for people to look at:
// `PICTURES=1 npx playwright test -c tests/e2e pictures`. No test, so it is skipped unless asked for. The states are set from
// outside, on the node's real document; what leads to them is tested elsewhere.
import { join } from "node:path";

import type { Page } from "@playwright/test";

import { ROOT } from "./support/server.ts";
import { expect, test } from "./support/test.ts";
import { clickOpen } from "./support/unify.ts";

interface State {
  readonly title: string;
  readonly host?: "guestbook";
  readonly size: readonly [number, number];
  /** Attributes of <html>, by their names after `data-`. */
  readonly marks: Record<string, string>;
  readonly texts?: Record<string, string>;
  /** A site in the list. */
  readonly listed?: Record<string, string>;
}

const WIDTH = 1220;
const SITE = "https://alice.example";
const BADGE = [132, 36] as const;
const ASKING = [320, 172] as const;
const SMALL = [240, 120] as const;
const CARD = [560, 420] as const;
const PAGE = [560, 980] as const;

const badge = (title: string, marks: Record<string, string>, size: State["size"] = BADGE, more: Partial<State> = {}): State => ({
  title,
  size,
  marks: { face: "badge", ...marks },
  texts: { peers: "3 peers", ...more.texts },
  ...(more.host && { host: more.host }),
});
const asking = (title: string, question: string, size: State["size"] = ASKING, more: Partial<State> = {}): State =>
  badge(title, { state: "asking", question, guard: "open" }, size, more);
const card = (petition: string, marks: State["marks"] = { guard: "open" }, what = ""): State => ({
  title: `the page, petition: ${petition}${what}`,
  size: CARD,
  marks: { face: "page", state: "ready", petition, ...marks },
  texts: { petitioner: SITE },
});
const own = (title: string, marks: State["marks"], more: Partial<State> = {}): State => ({
  title: `the page: ${title}`,
  size: PAGE,
  marks: { face: "page", prefer: "can", ...marks },
  ...more,
});

const SHEETS: Record<string, State[]> = {
  badge: [
    badge("starting", { state: "starting" }),
    badge("ready", { state: "ready", scope: "browser" }),
    badge("ready, one node for this site: offers", { state: "ready", scope: "site", offer: "" }),
    badge("ready, one node for this site: nothing to offer", { state: "ready", scope: "site" }),
    badge("failed", { state: "failed" }),
    badge("another node", { state: "ready" }, BADGE, { host: "guestbook" }),
    asking("asks: unify", "unify"),
    badge("asks, and doesn’t hear clicks yet", { state: "asking", question: "unify" }, ASKING),
    badge("asks, and a click came too early", { state: "asking", question: "unify", early: "" }, ASKING),
    asking("asks: visit", "visit"),
    asking("asks: person", "person", ASKING, { texts: { petitioner: SITE } }),
    badge("waits for the browser’s prompt", { state: "waiting", question: "browser", guard: "open" }, ASKING),
    badge("waits for the node’s page", { state: "waiting", question: "page", guard: "open" }, ASKING),
    asking("asks in little room", "unify", SMALL),
    asking("asks in little room: person", "person", SMALL, { texts: { petitioner: `https://${"a-long-name.".repeat(4)}example` } }),
    asking("another node asks", "unify", ASKING, { host: "guestbook" }),
  ],
  petition: [
    ...["join", "person", "joined", "known", "refused", "lost"].map((petition) => card(petition)),
    card("join", {}, ", doesn’t hear clicks yet"),
    card("join", { early: "" }, ", and a click came too early"),
  ],
  page: [
    own("starting", { state: "starting" }),
    own("failed", { state: "failed" }, { texts: { warning: "the node’s leader can’t be loaded here" } }),
    own("ready, with a warning", { state: "ready", still: "open" }, { texts: { warning: "no rendezvous is reachable; trying again" } }),
    own("a site was refused", { state: "ready", still: "open" }, { listed: { site: SITE, open: "2 open", refused: "37 requests refused: it asked for too much" } }),
    own("the list doesn’t hear changes yet", { state: "ready" }, { listed: { site: SITE, open: "not open" } }),
    own("no browser to be told which node", { state: "ready", prefer: "cannot", still: "open" }),
  ],
};

test.beforeEach(() => test.skip(process.env["PICTURES"] === undefined, "taken on demand"));

for (const [name, states] of Object.entries(SHEETS))
  for (const colorScheme of ["light", "dark"] as const)
    test(`${name}, ${colorScheme}`, async ({ browse, server }) => {
      const page = await (await browse()).newPage();
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width: WIDTH, height: 800 });
      // Nothing but the document: its module would say how it really is.
      await page.route("**/assets/**.js", (route) => route.abort());
      await page.goto(server.url("c"));
      await page.evaluate(sheet, { states, urls: { node: server.url("node"), guestbook: server.url("guestbook") } });
      for (const [at, state] of states.entries()) await pose(page, at, state);
      // What isn't in sight isn't painted.
      const height = await page.evaluate(() => document.documentElement.scrollHeight);
      await page.setViewportSize({ width: WIDTH, height });
      await page.screenshot({ path: picture(name, colorScheme), fullPage: true, animations: "disabled" });
    });

for (const [host, colorScheme] of [["node", "light"], ["node", "dark"], ["guestbook", "light"], ["guestbook", "dark"]] as const)
  test(`the page of ${host}, ${colorScheme}`, async ({ browse, connect, server }) => {
    const browser = await browse();
    await connect(browser, "a", server.url(host));
    const page = await browser.newPage();
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width: 640, height: 900 });
    await page.goto(`${server.url(host)}?uri=web%2Boverlay%3Atopic%2Fplum%2520cake`);
    await page.locator("[data-do=follow]").waitFor();
    await clickOpen(page.mainFrame(), "[data-do=follow]");
    await expect(page.getByText("Nobody else is there yet.")).toBeVisible();
    await expect(page.locator("[data-list=frames] > *")).toHaveCount(3);
    await page.screenshot({ path: picture(`page-${host}`, colorScheme), fullPage: true, animations: "disabled" });
  });

const picture = (name: string, colorScheme: string): string => join(ROOT, `docs/pictures/${name}-${colorScheme}.png`);

/** Runs in the page: a frame with a caption for each state. */
function sheet({ states, urls }: { states: State[]; urls: { node: string; guestbook: string } }): void {
  document.documentElement.style.colorScheme = "light dark";
  document.body.replaceChildren();
  document.body.style.cssText = "display:flex;flex-wrap:wrap;gap:24px;margin:24px;align-items:end;font:13px system-ui";
  for (const { title, size, host } of states) {
    const figure = document.createElement("figure");
    figure.style.margin = "0";
    const frame = document.createElement("iframe");
    frame.src = urls[host ?? "node"];
    frame.style.cssText = `display:block;border:0;color-scheme:light dark;width:${size[0]}px;height:${size[1]}px`;
    const caption = document.createElement("figcaption");
    caption.style.cssText = "margin-top:6px;opacity:.7";
    caption.textContent = title;
    figure.append(frame, caption);
    document.body.append(figure);
  }
}

async function pose(page: Page, at: number, { marks, texts = {}, listed }: State): Promise<void> {
  const frame = await (await page.locator("iframe").nth(at).elementHandle())?.contentFrame();
  await frame?.waitForLoadState();
  await frame?.evaluate(
    ([marks, texts, listed]) => {
      Object.assign(document.documentElement.dataset, marks);
      if (listed) {
        const item = document.querySelector<HTMLTemplateElement>("template[data-template=site]")?.content.cloneNode(true);
        if (item) document.querySelector("[data-list=sites]")?.append(item);
      }
      for (const [name, text] of Object.entries({ ...texts, ...listed }))
        for (const place of document.querySelectorAll<HTMLElement>(`[data-text=${name}]`)) {
          place.textContent = text;
          place.hidden = false;
        }
    },
    [marks, texts, listed] as const,
  );
}
