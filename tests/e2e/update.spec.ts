// A build starts with the profile that an earlier one wrote: the person, their answers, and what they gave away are still theirs.
import { AGAIN, entriesOf, expiryOf, personIn, test, THERE } from "./support/past.ts";
import { read } from "./support/byhand.ts";
import { addressOf, dial, serveEcho, talk } from "./support/dials.ts";
import { expect, idOf, statusOf } from "./support/test.ts";
import { scopeOf, unify } from "./support/unify.ts";

test("sites meet the person under the ids from before", async ({ connect, home, past }) => {
  await using browser = await home.open(THERE);
  for (const site of ["a", "b"] as const) expect(await idOf(await connect(browser, site)), site).toBe(past.ids[site]);
});

test("a site that was allowed to know the person does, and one that was refused does not; neither asks again", async ({ home, past, server, visit }) => {
  await using browser = await home.open(THERE);
  const [c, b] = await Promise.all([visit(browser, "c"), visit(browser, "b")]);
  expect(await Promise.all([c, b].map((page) => personIn(page, server.node)))).toEqual([past.ids.c, "Denied"]);
});

// Where the browser lets the site in, the node of all sites remembers the no; where it doesn't, the site's own node does.
for (const thirdPartyCookies of ["allowed", "blocked"] as const) {
  test(`a site that was refused the node of all sites has its own, under the id from before, and is refused at once (third-party cookies ${thirdPartyCookies})`, async ({ connect, home, past }) => {
    await using browser = await home.open({ ...THERE, thirdPartyCookies });
    const d = await connect(browser, "d");
    expect([await scopeOf(d), await idOf(d)]).toEqual(["site", past.ids.d]);
    expect(await unify(d)).toMatch(/^Denied: /);
  });
}

test("a site that was allowed to see the whole node does, and the seeds from before are among what it sees", async ({ connect, home, past }) => {
  await using browser = await home.open(THERE);
  const { leader, seeds } = await statusOf(await connect(browser, "b"));
  expect(leader?.kind, "what only an observer sees").toBe("shared");
  expect(seeds).toBe(past.seeds);
});

test("an address that was given away leads to its persona, and is the one that is given away still", async ({ browse, connect, home, past, server }) => {
  expect(Date.now(), `the address has expired: ${AGAIN}`).toBeLessThan(expiryOf(past.address));
  await using browser = await home.open(THERE);
  const a = await connect(browser, "a");
  await serveEcho(a);

  const caller = await connect(await browse(THERE), "c", server.url("quiet"));
  // The node asks the server to listen after it has registered there.
  await expect.poll(() => dial(caller, past.address), { timeout: 40_000 }).toBe(past.ids.a);
  await talk(caller, past.ids.a, "across a build");
  // Later builds grant more by the same address.
  expect(read(await addressOf(a))).toEqual(read(past.address));
});

test("what a site wrote by a node's service is still there", async ({ connect, home, past, server }) => {
  await using browser = await home.open(THERE);
  expect(await entriesOf(await connect(browser, "a", server.url("guestbook").slice(0, -1)))).toEqual([past.entry]);
});
