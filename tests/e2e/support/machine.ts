// The machine that tests run on.
import { networkInterfaces } from "node:os";

/** An IPv4 address of this machine's own that isn't the loopback's: Firefox sends nothing to a proxy there. */
export function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}
