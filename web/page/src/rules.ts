/** A rule, tried out: when it would be an alarm. `mien live --rules` is what carries rules out. */

import numbers from "../../packages/mien/models/numbers.json";
import type { PictureRecord } from "./record";

/** above, release : probabilities; in between, what was stays. holdS : how long it has to show. */
export interface Rule {
  when: string;
  above: number;
  release: number;
  holdS: number;
  say: string;
}

export type State = "quiet" | "shows" | "alarm";

const GAP_S = 1; // what a gap between two looks counts for at most

/** Looks at records in their order. A face that is not well seen says nothing. */
export class Watch {
  state: State = "quiet";
  level = 0;
  private shownS = 0;
  private lastS: number | null = null;

  constructor(private readonly rule: Rule) {}

  /** Whether this record begins an alarm. */
  hear(record: PictureRecord): boolean {
    const { when, above, release, holdS } = this.rule;
    const seen = record.faces.filter((face) => face.picture_quality >= numbers.quality.low);
    if (record.faces.length && !seen.length) return false;
    const sinceS = this.lastS === null ? 0 : Math.min(GAP_S, record.time_s - this.lastS);
    const before = this.state;
    this.lastS = record.time_s;
    this.level = Math.max(0, ...seen.map((face) => face.emotions[when] ?? 0));
    if (this.level <= release || (before === "quiet" && this.level < above)) {
      this.state = "quiet";
      this.shownS = 0;
      return false;
    }
    this.shownS += before === "quiet" ? 0 : sinceS;
    this.state = before === "alarm" || this.shownS >= holdS ? "alarm" : "shows";
    return before !== "alarm" && this.state === "alarm";
  }
}

/** The rule as `mien live --rules` reads it. labels : of somebody's own recogniser, else none. */
export function toml(rule: Rule, labels: string[]): string {
  const text = (value: string) => JSON.stringify(value); // TOML's basic strings are JSON's
  return [
    ...(labels.length ? [`labels = [${labels.map(text).join(", ")}]`] : []),
    "[[rule]]",
    `name = ${text(rule.when.replace(/[\/+#]/g, " "))}`, // which topics of messages do not hold
    `when = ${text(rule.when)}`,
    `above = ${rule.above}`,
    `release = ${rule.release}`,
    `hold_s = ${rule.holdS}`,
    'to = ["text", "speech"]',
    ...(rule.say ? [`say = ${text(rule.say)}`] : []),
    "",
  ].join("\n");
}
