// Prints what was measured as a table, and what failed as it fails.
import type { FullResult, Reporter, TestCase, TestResult } from "@playwright/test/reporter";

import type { Row } from "./measure.ts";

const HEADS = ["", "baseline", "ours", "ratio", "goal", ""];

export default class Table implements Reporter {
  readonly #rows: Row[] = [];

  onTestEnd(test: TestCase, { annotations, errors }: TestResult): void {
    for (const { type, description } of annotations) if (type === "row" && description) this.#rows.push(JSON.parse(description) as Row);
    for (const { message, stack } of errors) console.error(`${test.title}\n${stack ?? message}\n`);
  }

  onEnd(_: FullResult): void {
    const lines = [HEADS, ...this.#rows.map(cells)];
    const widths = HEADS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
    for (const line of lines) {
      const padded = line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)));
      console.log(padded.join("  ").trimEnd());
    }
  }

  printsToStdio(): boolean {
    return true;
  }
}

function cells({ what, unit, baseline, ours, goal }: Row): string[] {
  const ratio = baseline !== undefined && ours !== undefined ? ours / baseline : undefined;
  const value = (number: number | undefined): string => (number === undefined ? "" : `${number.toFixed(2)} ${unit}`);
  return [what, value(baseline), value(ours), ratio?.toFixed(2) ?? "", ...judged(goal, unit, ratio, ours)];
}

/** The goal, and whether it was met. */
function judged(goal: Row["goal"], unit: string, ratio = NaN, ours = NaN): [string, string] {
  if (!goal) return ["", ""];
  if ("within" in goal) return [`≤ ${goal.within} ${unit}`, ours <= goal.within ? "met" : "missed"];
  if ("atMost" in goal) return [`≤ ${goal.atMost}`, ratio <= goal.atMost ? "met" : "missed"];
  return [`≥ ${goal.atLeast}`, ratio >= goal.atLeast ? "met" : "missed"];
}
