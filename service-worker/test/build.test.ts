import { expect, test } from "vitest";

import { type Build, before, counts, needed, nextTurn, wayOf } from "../build.ts";

const ORIGIN = "https://node.example.org";
const BUILD: Build = { id: "one", files: { "/": "0a", "/style.css": "0b", "/assets/frame.1.js": "0c" } };

const way = (path: string, method = "GET"): string => {
  const { way, key } = wayOf({ method, url: new URL(path, ORIGIN).href }, ORIGIN, BUILD);
  return `${way} ${key}`;
};

test("the node's page is of the build, by any of its names", () => {
  for (const path of ["/", "/index.html", "/?uri=web%2Boverlay:topic/tea", "/?uri=%3Cscript%3E#part"]) expect(way(path)).toBe("build /");
});

test("what was built is of the build, and assets of any other build are looked for there, too", () => {
  expect(way("/style.css?v=2")).toBe("build /style.css");
  expect(way("/assets/frame.1.js")).toBe("build /assets/frame.1.js");
  expect(way("/assets/frame.2.js")).toBe("build /assets/frame.2.js");
});

test("where there is a SharedWorker its fallback isn't kept", () => {
  const files = { "/": "0a", "/assets/dedicated.1.js": "0b", "/assets/dedicated.2.wasm": "0c", "/assets/leader.3.js": "0d" };
  const [with_, without] = [true, false].map((hasSharedWorker) => needed({ id: "one", files }, { hasSharedWorker }));
  expect(with_).toEqual({ id: "one", files: { "/": "0a", "/assets/leader.3.js": "0d" } });
  expect(without).toEqual({ id: "one", files });
});

test("the operator's files are data", () => {
  expect(["/seeds.json", "/config.json"].map((path) => way(path))).toEqual(["data /seeds.json", "data /config.json"]);
});

test("everything else is the network's", () => {
  for (const path of ["/sdk/bitters.js", "/rendezvous", "/sw.js", "/robots.txt", "/toString", "https://else.example.org/style.css", "//else.example.org/"])
    expect(way(path)).toMatch(/^network /);
  expect(way("/style.css", "POST")).toBe("network /style.css");
  expect(way("/", "HEAD")).toBe("network /");
});

test("seeds count as soon as they are JSON; a configuration also when it is gone", () => {
  const outcomes = [
    { status: 200, isJson: true },
    { status: 200, isJson: false },
    { status: 404, isJson: false },
    { status: 410, isJson: true },
    { status: 503, isJson: true },
  ];
  expect(outcomes.map((outcome) => counts("/seeds.json", outcome))).toEqual([true, false, false, false, false]);
  expect(outcomes.map((outcome) => counts("/config.json", outcome))).toEqual([true, false, true, true, false]);
});

test("the build before is the one that was in use last, and never one that wasn't or isn't whole", () => {
  const shelved = [
    { name: "own", turn: 4 },
    { name: "half", turn: undefined },
    { name: "second", turn: 2 },
    { name: "third", turn: 3 },
    { name: "skipped", turn: 0 },
  ];
  expect(before("own", shelved)).toBe("third");
  expect(before("third", shelved)).toBe("own");
  expect(before("own", shelved.filter(({ turn }) => !turn))).toBe(undefined);
  expect([nextTurn(shelved), nextTurn([])]).toEqual([5, 1]);
});
