// What was measured, and how numbers are made of it.
import { test } from "@playwright/test";

/** One line of the table. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  /** What it is held against. */
  readonly baseline?: number;
  readonly ours?: number;
  /** The ratio of ours to the baseline, and on which side of it we want to be; or what ours is to be at most, in its unit. */
  readonly goal?: { readonly atMost: number } | { readonly atLeast: number } | { readonly within: number };
}

/** Has the row printed when all is done. */
export function report(row: Row): void {
  test.info().annotations.push({ type: "row", description: JSON.stringify(row) });
}

/** Has the median reported, and what 95 of 100 stay below; `goal` is for the latter. */
export function reportSpread(what: string, ours: readonly number[], more: { baseline?: readonly number[]; within?: number } = {}): void {
  for (const [name, part] of [["p50", 0.5], ["p95", 0.95]] as const) {
    report({
      what: `${what}, ${name} of ${ours.length}`,
      unit: "ms",
      ours: quantile(ours, part),
      ...(more.baseline && { baseline: quantile(more.baseline, part) }),
      ...(name === "p95" && more.within !== undefined && { goal: { within: more.within } }),
    });
  }
}

/** The value below which a part of all values lie, by nearest rank. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
  if (value === undefined) throw new Error("nothing was measured");
  return value;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
