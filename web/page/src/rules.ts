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

const GAP_S = 0.5; // what a gap between two usable looks counts for at most
const FORGET_S = 5; // after so long without one it begins anew
const GAP = 1.5; // times the usual distance of frames, where they are rare; and so of forgetting
const FORGET = 5;
const STEPS = 31; // between frames: how many say how far apart they usually are
const FEWEST_STEPS = 3;
const ROUNDING_S = 1e-6; // ten times 0.1 s is a second

/** Looks at records in their order, as src/mien/alarms/watch.py does for a rule without `every_s`. */
export class Watch {
  state: State = "quiet";
  level = 0;
  /** Whether whoever reads the faces tells what the rule waits for. */
  knows = true;
  private shownS = 0;
  private lookedS: number | null = null; // the last usable look
  private cameS: number | null = null; // the last record
  private steps: number[] = [];

  constructor(private readonly rule: Rule) {}

  /** Whether this record begins an alarm. A face that is not well seen says nothing, nor does nobody. */
  hear(record: PictureRecord): boolean {
    const { when, above, release, holdS } = this.rule;
    const nowS = record.time_s;
    const usualS = this.usualS(nowS);
    if (this.lookedS !== null && nowS - this.lookedS > Math.max(FORGET_S, FORGET * usualS)) {
      this.rest();
      this.lookedS = null;
      this.level = 0;
    }
    const seen = record.faces.filter((face) => face.picture_quality >= numbers.quality.low);
    const levels = seen.flatMap((face) => face.emotions[when] ?? []);
    if (seen.length) this.knows = levels.length > 0;
    if (!levels.length) return false;
    const level = Math.max(...levels);
    const isOver = level < above && level <= release;
    if (isOver && levels.length < record.faces.length) return false; // another face may show it
    const before = this.state;
    const sinceS = this.lookedS === null ? 0 : nowS - this.lookedS;
    this.lookedS = nowS;
    this.level = level;
    if (isOver || (before === "quiet" && level < above)) {
      this.rest();
      return false;
    }
    if (before !== "quiet") this.shownS += Math.min(sinceS, Math.max(GAP_S, GAP * usualS));
    const isAlarm = before === "alarm" || this.shownS + ROUNDING_S >= holdS;
    this.state = isAlarm ? "alarm" : "shows";
    return isAlarm && before !== "alarm";
  }

  private rest(): void {
    this.state = "quiet";
    this.shownS = 0;
  }

  /** How far apart frames usually are; 0 until that is known. */
  private usualS(nowS: number): number {
    if (this.cameS !== null && nowS > this.cameS) {
      this.steps = [...this.steps, nowS - this.cameS].slice(-STEPS);
    }
    this.cameS = nowS;
    return this.steps.length < FEWEST_STEPS ? 0 : median(this.steps);
  }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
}

/** The rule as `mien live --rules` reads it. labels : of somebody's own recogniser, else none. */
export function toml(rule: Rule, labels: string[]): string {
  // TOML's basic strings are JSON's, but for what no keyboard types: a lone half of a character
  // and the delete character.
  const text = (value: string) => JSON.stringify(value.replace(/[\p{Cs}\x7f]/gu, ""));
  return [
    ...(labels.length ? [`labels = [${labels.map(text).join(", ")}]`] : []),
    "[[rule]]",
    `name = ${text(rule.when.replace(/[\/+#]/g, "-"))}`, // which topics of messages do not hold
    `when = ${text(rule.when)}`,
    `above = ${rule.above}`,
    `release = ${rule.release}`,
    `hold_s = ${rule.holdS}`,
    'to = ["text", "speech"]',
    ...(rule.say ? [`say = ${text(rule.say)}`] : []),
    "",
  ].join("\n");
}
