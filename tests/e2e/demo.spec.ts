// The demo as people meet it: Alice's and Bob's sites, in one browser and in two.
import type { BrowserContext, Page } from "@playwright/test";

import type { Server } from "./support/server.ts";
import { expect, test } from "./support/test.ts";

test("alice and bob in one browser: one node, two ids, they chat and see who is there, and the picture shows it", async ({ browse, server }) => {
  const browser = await browse();
  const alice = await open(browser, server, "alice");
  const bob = await open(browser, server, "bob");

  const [idOfAlice, idOfBob] = [await alice.locator("#me").innerText(), await bob.locator("#me").innerText()];
  expect(idOfAlice).not.toBe(idOfBob);
  await expect(alice.locator("#scope")).toHaveText("browser");
  await expect(alice.locator("#peers li")).toHaveAttribute("data-id", idOfBob);
  await expect(bob.locator("#peers li")).toHaveAttribute("data-id", idOfAlice);

  await chat(alice, bob);

  // One leader with a frame for each site. The sites are strangers to each other: each has a line to the other, who is outside.
  for (const page of [alice, bob]) {
    await expect(page.locator("#picture circle[data-frame]")).toHaveCount(2);
    await expect(page.locator("#picture [data-leader]")).toHaveAttribute("data-leader", "shared");
    const [ofAlice, ofBob] = [await frameOf(page, 0), await frameOf(page, 1)];
    await expect.poll(() => attributes(page, "data-peer")).toEqual([idOfAlice, idOfBob].sort());
    await expect.poll(() => attributes(page, "data-link")).toEqual([`${ofAlice} ${idOfBob}`, `${ofBob} ${idOfAlice}`].sort());
    await expect(page.locator("#in-words")).toHaveText("2 frames · 2 peers · 2 links");
    // Each in one colour: as a frame, its link, and a peer.
    for (const [frame, own, other] of [[ofAlice, idOfAlice, idOfBob], [ofBob, idOfBob, idOfAlice]] as const) {
      const hue = await hueOf(page, `.frame:has([data-frame="${frame}"])`);
      expect(await hueOf(page, `[data-link="${frame} ${other}"]`)).toBe(hue);
      expect(await hueOf(page, `[data-peer="${own}"]`)).toBe(hue);
    }
  }
  const labels = alice.locator("#picture .frame text");
  await expect(labels).toHaveText(["alice", "bob"]);

  await bob.close();
  await expect(alice.locator("#picture circle[data-frame]")).toHaveCount(1);
  await expect(alice.locator("#picture [data-link]")).toHaveCount(0);
  await expect(alice.locator("#peers li")).toHaveCount(0);
});

test("alice and bob in two browsers: they chat, and each picture has a line from the frame that holds the link to the other", async ({ browse, server }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const [alice, bob] = await Promise.all([open(one, server, "alice"), open(two, server, "bob")]);
  await expect(alice.locator("#peers li")).toHaveAttribute("data-id", await bob.locator("#me").innerText());
  await expect(bob.locator("#peers li")).toHaveAttribute("data-id", await alice.locator("#me").innerText());

  await chat(alice, bob);

  for (const page of [alice, bob]) {
    const frame = page.locator("#picture circle[data-frame]");
    const peer = page.locator("#picture [data-peer]");
    await expect(frame).toHaveCount(1);
    await expect(peer).toHaveCount(1);
    const ends = [await frame.getAttribute("data-frame"), await peer.getAttribute("data-peer")];
    await expect(page.locator("#picture line[data-link]")).toHaveAttribute("data-link", ends.join(" "));
    await expect(page.locator("#picture [data-leader]")).toBeVisible();
    await expect(page.locator("#in-words")).toContainText("1 frame · 1 peer · 1 link");
  }
});

test("a file dropped anywhere on the page goes to who is there; with nobody there it is said so", async ({ browse, server }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const alice = await open(one, server, "alice");
  await drop(alice, "too-early.txt", "hello?");
  await expect(alice.locator('#files [data-name="too-early.txt"]')).toHaveAttribute("data-state", "failed");

  const bob = await open(two, server, "bob");
  await expect(alice.locator("#peers li")).toHaveCount(1);
  await drop(alice, "recipe.txt", "two eggs");

  const arrived = bob.locator('#files [data-name="recipe.txt"]');
  await expect(arrived).toHaveAttribute("data-state", "done");
  const download = bob.waitForEvent("download");
  await arrived.getByText("Download").click();
  expect((await download).suggestedFilename()).toBe("recipe.txt");
  const stream = await (await download).createReadStream();
  expect((await stream.toArray()).join("")).toBe("two eggs");
});

test("a second link stands by, dashed, and takes the first one's place in the picture when that one's tab closes", async ({ browse, server }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const older = await open(one, server, "bob");
  const bob = await open(one, server, "bob");
  const far = await open(two, server, "alice");
  for (const page of [older, bob, far]) await expect(page.locator("#peers li")).toHaveCount(1);
  await drop(bob, "recipe.txt", "two eggs");
  await expect(far.locator('#files [data-name="recipe.txt"]')).toHaveAttribute("data-state", "done");

  // The first link goes to the older frame.
  const [used, standby] = [bob.locator("#picture line[data-link]:not(.standby)"), bob.locator("#picture line[data-link].standby")];
  await expect(standby).toHaveCount(1);
  const idOfAlice = await far.locator("#me").innerText();
  const [first, second] = [`${await frameOf(bob, 0)} ${idOfAlice}`, `${await frameOf(bob, 1)} ${idOfAlice}`];
  await expect(used).toHaveAttribute("data-link", first);
  await expect(standby).toHaveAttribute("data-link", second);
  expect(await standby.evaluate((line) => getComputedStyle(line).strokeDasharray)).not.toBe("none");
  await expect(bob.locator("#in-words")).toHaveText("2 frames · 1 peer · 2 links, 1 standing by");

  await older.close();

  await expect(used).toHaveAttribute("data-link", second);
  await expect(used).toHaveClass(/\bmoved\b/);
  expect(await used.evaluate((line) => getComputedStyle(line).strokeDasharray)).toBe("none");
  await expect(standby).toHaveCount(0);
  await expect(bob.locator("#in-words")).toHaveText("1 frame · 1 peer · 1 link");
});

test("what peers say is text, never markup", async ({ browse, connect, server }) => {
  const [one, two] = await Promise.all([browse(), browse()]);
  const bob = await open(one, server, "bob");
  const mallory = await connect(two, "a");
  const markup = '<img src=x onerror="document.title = 0">';
  await mallory.evaluate(async (markup) => {
    const topic = await window.mine.join("bitters-demo-lobby");
    await new Promise((resolve) => (topic.peers.length ? resolve(0) : topic.addEventListener("peerjoin", resolve)));
    for (const data of [{ name: markup, text: markup }, 5, null, { text: 5 }, new Uint8Array(9), [markup], "the last"]) await topic.publish(data);
  }, markup);

  await expect(bob.locator("#messages li .text")).toHaveText([markup, "the last"]);
  await expect(bob.locator("#messages img")).toHaveCount(0);
});

async function open(browser: BrowserContext, server: Server, site: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(server.url(site));
  await expect(page.locator("#status")).toHaveText("connected");
  return page;
}

/** The frame that is drawn at this place, by age. */
const frameOf = async (page: Page, at: number): Promise<string | null> => page.locator("#picture circle[data-frame]").nth(at).getAttribute("data-frame");

/** What all things in the picture that have the attribute say there, sorted. */
const attributes = (page: Page, name: string): Promise<(string | null)[]> =>
  page.locator(`#picture [${name}]`).evaluateAll((found, name) => found.map((element) => element.getAttribute(name)).sort(), name);

/** The hue in which a thing is drawn. */
const hueOf = (page: Page, selector: string): Promise<string> =>
  page.locator(`#picture ${selector}`).evaluate((element) => getComputedStyle(element).getPropertyValue("--hue"));

/** A word each way, seen on both pages in the order in which it was said. */
async function chat(alice: Page, bob: Page): Promise<void> {
  await say(alice, "Tea is ready!");
  await expect(bob.locator("#messages li .text")).toHaveText(["Tea is ready!"]);
  await say(bob, "On my way.");
  await expect(alice.locator("#messages li .text")).toHaveText(["Tea is ready!", "On my way."]);
  await expect(alice.locator("#messages li .author")).toHaveText(["you", "Bob"]);
  await expect(alice.locator("#peers li strong")).toHaveText("Bob");
}

async function say(page: Page, text: string): Promise<void> {
  await page.locator("#text").fill(text);
  await page.getByRole("button", { name: "Say" }).click();
}

async function drop(page: Page, name: string, content: string): Promise<void> {
  await expect(page.locator("#file")).toBeEnabled();
  await page.evaluate(
    ([name, content]) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([content ?? ""], name ?? ""));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    },
    [name, content],
  );
}
