// A browser without RTCPeerConnection, as Debian's WebKitGTK: its node works within the browser, and says what it can't do.
import { addressOf } from "./support/dials.ts";
import { meet } from "./support/room.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

test("without RTCPeerConnection sites of the browser meet, and what needs a connection is refused, soon", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse({ init: "delete window.RTCPeerConnection;" }), browse()]);
  const [a, c, b] = [await connect(one, "a"), await connect(one, "c"), await connect(two, "b")];
  // Who has an address is known to the server, and can be asked for a connection.
  const [address, peer] = [await addressOf(b), await idOf(b)];

  const started = Date.now();
  const failures = await a.evaluate(async ({ address, peer }) => {
    const { mine } = window;
    const asked = {
      byId: mine.dial(peer),
      byAddress: mine.dial(address),
      open: mine.open(peer, "any"),
      call: mine.call(peer, "any", null),
      address: mine.address(),
      signal: mine.signal({} as RTCPeerConnection, peer),
    };
    const codes = Object.entries<Promise<unknown>>(asked).map(async ([what, work]) => [what, await work.then(() => "done", ({ code }) => code)]);
    return Object.fromEntries(await Promise.all(codes));
  }, { address, peer });

  const unreachable = "PeerUnreachable";
  expect(failures).toEqual({ byId: unreachable, byAddress: unreachable, open: unreachable, call: unreachable, address: "Unsupported", signal: "Unsupported" });
  expect(Date.now() - started).toBeLessThan(10_000);
  await meet("lobby", a, c);
  expect((await statusOf(a)).warnings).toEqual([expect.stringContaining("no address can be had")]);
});
