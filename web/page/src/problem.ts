/** What went wrong, in the reader's words. */

import { t, type Word } from "./words";

/** A problem that a word of the table tells. detail : what a program said, where that helps. */
export class Told extends Error {
  constructor(
    readonly word: Word,
    readonly detail = "",
    readonly filled: Record<string, string | number> = {},
  ) {
    super(detail || word);
  }
}

/** In words: what happened and what to do. Never a program's own error alone. */
export function inWords(err: unknown): string {
  if (err instanceof Told) {
    const said = t(err.word, err.filled);
    return err.detail ? `${said} (${err.detail})` : said;
  }
  if (err instanceof DOMException && err.name === "QuotaExceededError") return t("problem.full");
  return `${t("problem.other")} (${err instanceof Error ? err.message : String(err)})`;
}

/** Whether somebody stopped it themselves, of which nothing need be told. */
export function isStop(err: unknown): boolean {
  return err instanceof DOMException && err.name === "AbortError";
}
