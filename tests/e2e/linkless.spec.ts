// A browser without RTCPeerConnection, as Debian's WebKitGTK, or with parts of it: its node works among the tabs of a site, and says what it can't do.
import { works } from "./support/alive.ts";
import { addressOf } from "./support/dials.ts";
import { expect, idOf, statusOf, test } from "./support/test.ts";

/** What waits for a peer that doesn't answer fails after that time, in milliseconds. */
const DIAL_TIMEOUT = 15_000;

test("without RTCPeerConnection tabs of a site meet, and what needs a connection, to another site of the browser, too, is refused, soon", async ({ browse, connect }) => {
  const [one, two] = await Promise.all([browse({ init: "delete window.RTCPeerConnection;" }), browse()]);
  const [a, tab, c, b] = [await connect(one, "a"), await connect(one, "a"), await connect(one, "c"), await connect(two, "b")];
  // Who has an address is known to the server, and can be asked for a connection.
  const [address, peer, site] = [await addressOf(b), await idOf(b), await idOf(c)];

  const started = Date.now();
  const failures = await a.evaluate(async ({ address, peer, site }) => {
    const { mine } = window;
    const asked = {
      byId: mine.dial(peer),
      byAddress: mine.dial(address),
      site: mine.dial(site),
      open: mine.open(peer, "any"),
      call: mine.call(peer, "any", null),
      address: mine.address(),
      signal: mine.signal({} as RTCPeerConnection, peer),
    };
    const codes = Object.entries<Promise<unknown>>(asked).map(async ([what, work]) => [what, await work.then(() => "done", ({ code }) => code)]);
    return Object.fromEntries(await Promise.all(codes));
  }, { address, peer, site });

  const unreachable = "PeerUnreachable";
  expect(failures).toEqual({ byId: unreachable, byAddress: unreachable, site: unreachable, open: unreachable, call: unreachable, address: "Unsupported", signal: "Unsupported" });
  expect(Date.now() - started, "soon: before anybody would give up").toBeLessThan(DIAL_TIMEOUT);
  await works(a, tab);
  expect((await statusOf(a)).warnings).toEqual([expect.stringContaining("no address can be had")]);
});

/** What browsers, their policies and extensions take away, as scripts that run before anything else. */
const BROKEN = {
  "the constructor throws": `window.RTCPeerConnection = class { constructor() { throw new Error("blocked"); } };`,
  "the constructor makes something else": `window.RTCPeerConnection = function () { return {}; };`,
  "createDataChannel is missing": `delete window.RTCPeerConnection?.prototype.createDataChannel;`,
  "createDataChannel throws": `window.RTCPeerConnection.prototype.createDataChannel = () => { throw new DOMException("blocked", "NotSupportedError"); };`,
  "createDataChannel makes nothing": `window.RTCPeerConnection.prototype.createDataChannel = () => undefined;`,
  "createOffer is missing": `delete window.RTCPeerConnection?.prototype.createOffer;`,
  "createOffer rejects": `window.RTCPeerConnection.prototype.createOffer = () => Promise.reject(new DOMException("blocked", "NotSupportedError"));`,
  "setLocalDescription throws": `window.RTCPeerConnection.prototype.setLocalDescription = () => { throw new Error("blocked"); };`,
  // As where UDP is blocked: gathering ends, and has found nothing.
  "there are no candidates": `window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) { super({ ...configuration, iceTransportPolicy: "relay" }); }
  };`,
};

for (const [what, init] of Object.entries(BROKEN)) {
  test(`RTCPeerConnection is there, but ${what}: dials fail at once with the reason, and nothing is thrown in the frame`, async ({ browse, connect }) => {
    const [one, two] = await Promise.all([browse({ init }), browse()]);
    const uncaught: string[] = [];
    one.on("weberror", (error) => uncaught.push(error.error().message));
    const [a, tab, c, b] = [await connect(one, "a"), await connect(one, "a"), await connect(one, "c"), await connect(two, "b")];
    const [address, peer, site] = [await addressOf(b), await idOf(b), await idOf(c)];

    const started = Date.now();
    const failures = await a.evaluate(async ({ address, peer, site }) => {
      const { mine } = window;
      const failureOf = (work: Promise<unknown>): Promise<string> => work.then(() => "done", ({ code, message }) => `${code}: ${message}`);
      // Alone, as dials of one persona share their way.
      const byAddress = await failureOf(mine.dial(address));
      const others = [mine.dial(peer), mine.dial(site), mine.open(peer, "any"), mine.call(peer, "any", null)];
      return [byAddress, ...(await Promise.all(others.map(failureOf)))];
    }, { address, peer, site });

    for (const failure of failures) expect(failure).toMatch(/^PeerUnreachable: .*WebRTC's data channels or UDP are missing or blocked$/);
    expect(failures).toHaveLength(5);
    expect(Date.now() - started, "at once: nothing was waited for").toBeLessThan(DIAL_TIMEOUT);
    // The frame goes on, and so does the node.
    await works(a, tab);
    expect(uncaught).toEqual([]);
  });
}
