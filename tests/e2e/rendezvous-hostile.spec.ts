// The rendezvous under fire: who speaks rubbish to it is shown the door, and nobody else notices.
import type { Page } from "@playwright/test";

import { heard, meet, present, enter, say } from "./support/room.ts";
import { expect, idOf, test } from "./support/test.ts";

test("rubbish of every kind at the rendezvous is answered by closing that socket, while nodes talk and newcomers are introduced", async ({ browse, connect, server, visit }) => {
  const [one, two, three] = await Promise.all([browse(), browse(), browse()]);
  const [a, b] = await Promise.all([connect(one, "a"), connect(two, "b")]);
  await meet("lobby", a, b);
  const mallory = await visit(three, "c");

  const closed = await speakRubbish(mallory, `${server.node.replace("http", "ws")}/rendezvous`);

  expect(closed).toEqual(Array(closed.length).fill("closed"));
  expect(closed.length).toBeGreaterThan(5);
  await say(a, "lobby", "still here");
  await expect.poll(() => heard(b, "lobby")).toEqual([{ from: await idOf(a), data: "still here" }]);
  const c = await connect(three, "c");
  await enter(c, "lobby");
  await expect.poll(() => present(c, "lobby")).toEqual([await idOf(a), await idOf(b)].toSorted());
});

/** What became of sockets that said one wrong thing each. */
function speakRubbish(page: Page, url: string): Promise<string[]> {
  return page.evaluate(async (url) => {
    const random = (size: number): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(size));
    // Long enough that no message of the protocol could be meant; each byte might begin one.
    const firsts = [0, 1, 2, 3, 4, 5, 250].map((first) => new Uint8Array(300).fill(255).fill(first, 0, 1));
    const rubbish = [...firsts, random(1000), random(60_000), new Uint8Array(1_000_000), "text", "x".repeat(100_000), new Uint8Array()];
    const fates = rubbish.map(async (said) => {
      const socket = new WebSocket(url);
      const closed = new Promise<string>((resolve) => socket.addEventListener("close", () => resolve("closed")));
      socket.addEventListener("open", () => socket.send(said));
      // The server closes such a socket at once; nothing tells that one stays open.
      const patience = new Promise<string>((resolve) => setTimeout(resolve, 10_000, "open"));
      return Promise.race([closed, patience]);
    });
    return Promise.all(fates);
  }, url);
}
