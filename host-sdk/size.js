// What a site loads, gzipped, against what it was promised.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 6144;
const file = new URL("dist/bitters.js", import.meta.url);
const size = gzipSync(readFileSync(file), { level: 9 }).length;
console.log(`host-sdk: ${size} of ${LIMIT} bytes gzipped`);
process.exitCode = size > LIMIT ? 1 : 0;
