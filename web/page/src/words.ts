/** The page's words: every one of them stands in words.json, in each language. */

import { choice } from "./settings";
import table from "./words.json";

export type Word = keyof typeof table;
export type Language = "en" | "de" | "es" | "ar";
export const LANGUAGES: Record<Language, string> = {
  en: "English",
  de: "Deutsch",
  es: "Español",
  ar: "العربية",
};
const ALL = Object.keys(LANGUAGES) as Language[];

/** The first language of the reader's that there is a column for. */
function preferred(): Language {
  const theirs = navigator.languages.map((tag) => tag.slice(0, 2));
  return (theirs.find((tag) => ALL.includes(tag as Language)) ?? "en") as Language;
}

export const language = choice<Language>("language", preferred(), ALL);

/** A word in the language that is chosen, with what stands in its braces filled in. */
export function t(word: Word, filled: Record<string, string | number> = {}): string {
  const text = table[word][language.value];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(filled[name] ?? ""));
}

/** Whether a label is an expression, which the general model knows; or a word of somebody's own. */
export const isExpression = (name: string) => `emotion.${name}` in table;

/** A label of a model in the reader's words; a word of somebody's own stays as it is. */
export const label = (name: string) =>
  isExpression(name) ? t(`emotion.${name}` as Word) : name;

/** The language that is chosen as its reader writes it: where they live, days come before months. */
const theirs = () =>
  navigator.languages.find((tag) => tag.slice(0, 2) === language.value) ?? language.value;

export const isRightToLeft = () => language.value === "ar";

/** Figures with a sign before them, as they are read in either direction of writing. */
const leftToRight = (text: string) => (isRightToLeft() ? `\u2066${text}\u2069` : text);

/** A share in percent, which never says 0 or 100 of what is neither. */
export function percent(share: number): string {
  const format = new Intl.NumberFormat(theirs(), { style: "percent" });
  if (share > 0.99 && share < 1) return leftToRight(`>${format.format(0.99)}`);
  if (share < 0.01 && share > 0) return leftToRight(`<${format.format(0.01)}`);
  return format.format(share);
}

export function number(value: number, digits = 0): string {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(theirs(), options).format(value);
}

export function unit(value: number, name: string, digits = 0): string {
  const options = { style: "unit", unit: name, maximumFractionDigits: digits } as const;
  return new Intl.NumberFormat(theirs(), options).format(value);
}

/** A moment of a film, as players write it: 1:05.3 */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds / 60);
  return `${number(whole)}:${new Intl.NumberFormat(theirs(), {
    minimumIntegerDigits: 2,
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }).format(seconds - 60 * whole)}`;
}

export function day(iso: string): string {
  return new Intl.DateTimeFormat(theirs(), { dateStyle: "medium" }).format(new Date(iso));
}

export function bytes(size: number): string {
  return unit(size / 1e6, "megabyte", 1);
}
