// JSON says quietly `{}` for a Map, `null` for NaN, and nothing for a function. Here such values are refused, with the place where they are.
//
// What stays as JSON has it: `toJSON` (so that a Date is text), -0 is 0, and members that are undefined, not enumerable or named by a symbol
// are left out.

import { type BittersError, badArgument } from "./error.js";

/** Objects within each other: each costs some stack, here and at whoever reads it. */
const MAX_DEPTH = 1000;

/** @throws `BadArgument` where a half of a character that takes two is alone: it would arrive as U+FFFD. */
export function whole(text: string, place?: string): string {
  if (/\p{Cs}/u.test(text)) throw unsendable("a lone surrogate", place);
  return text;
}

export function unsendable(what: unknown, place?: string, cause?: unknown): BittersError {
  return badArgument("can't send " + what + (place ? " at " + place : ""), cause);
}

/**
 * Walks through a value before JSON is made of it. `count` is told how many characters each value makes, at least.
 *
 * @throws `BadArgument` for what isn't a JSON value.
 */
export function walk(root: unknown, count: (characters: number) => void): void {
  const keys: string[] = [];
  /** The objects that it is in, the outermost first. */
  const within: unknown[] = [];
  const refuse = (what: unknown): never => {
    throw unsendable(what, keys.join("."));
  };
  const step = (key: string, value: unknown): void => {
    keys.push(key);
    visit(value, key);
    keys.pop();
  };
  const enter = (value: Record<string, unknown>): void => {
    if (within.includes(value)) refuse("a cycle");
    if (within.push(value) > MAX_DEPTH) refuse("what is nested so deep");
    if (Array.isArray(value)) for (let at = 0; at < value.length; at++) step("" + at, value[at]);
    else {
      // Of any realm. Arguments and some of the language's own objects look plain but for their tags.
      const parent = Object.getPrototypeOf(value);
      const tag = tagOf(value);
      if (tag != "Object" || (parent && Object.getPrototypeOf(parent))) refuse("a " + (tag == "Object" ? parent.constructor.name : tag));
      for (const key in value) if (value[key] !== undefined && Object.hasOwn(value, key)) step(whole(key, keys.join(".")), value[key]);
    }
    within.pop();
  };
  const visit = (given: any, key?: string): void => {
    const value = typeof given?.toJSON == "function" ? given.toJSON(key) : given;
    const type = typeof value;
    count(type == "string" ? value.length : 1);
    if (type == "string") whole(value, keys.join("."));
    else if (value === null ? tagOf(given) == "Date" : type == "number" && !Number.isFinite(value)) refuse(value ?? "an invalid Date");
    else if (type == "object" && value) enter(value);
    else if (!/^[bno]/.test(type) || type == "bigint") refuse(type);
  };
  visit(root, "");
}

export function tagOf(value: unknown): string {
  return {}.toString.call(value).slice(8, -1);
}
