/** Names of expressions, and words of somebody's own; `mien.labels` and `mien.person.people`. */

import { InputError } from "./errors.js";
import type { Numbers } from "./numbers.js";

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/u;

/** A label as it is kept: mien's own name for it, or the word; throws InputError for what is none. */
export function wordOf(label: string, numbers: Numbers): string {
  const { by_name, reserved, reserved_beginnings, between } = numbers.labels;
  const longest = numbers.person.longest_word;
  const key = label.trim().toLowerCase().replaceAll("-", "_");
  const told = Object.hasOwn(by_name, key) ? by_name[key] : label.toLowerCase().trim().split(/\s+/).join(" ");
  if (!told || [...told].length > longest || UNSEEN.test(told)) {
    throw new InputError(
      `a label is a word or two, up to ${longest} characters, got ${JSON.stringify(label)}`,
    );
  }
  if (told.includes(between)) {
    throw new InputError(`'${told}' is no label: '${between}' parts the labels of a prediction set`);
  }
  if (reserved.includes(told) || reserved_beginnings.some((begins) => told.startsWith(begins))) {
    throw new InputError(`'${told}' is no label: records call something else that; take another`);
  }
  return told;
}

/** Labels, each once: mien's own first, in its order. */
export function labelsOf(told: Iterable<string>, { canonical }: Numbers["labels"]): string[] {
  const found = new Set(told);
  const others = [...found].filter((name) => !canonical.includes(name)).sort(byCodePoints);
  return [...canonical.filter((name) => found.has(name)), ...others];
}

/** As Python sorts texts. */
export function byCodePoints(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const apart = (left[i].codePointAt(0) as number) - (right[i].codePointAt(0) as number);
    if (apart) return apart;
  }
  return left.length - right.length;
}
