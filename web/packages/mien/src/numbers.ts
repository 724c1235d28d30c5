/**
 * The numbers both sides need: what `python -m mien.service.numbers` writes.
 *
 * Here are their names alone; what each means stands where Python keeps it.
 */

import { ModelError } from "./errors.js";
import type { Begun } from "./random.js";

const SCHEMA = "mien-numbers/1";

type Row = readonly number[];

export interface Numbers {
  readonly schema: string;
  readonly records: { readonly schema: string };
  readonly model: {
    readonly schema: string;
    readonly key: string;
    readonly chunk: number;
    readonly surest: number;
  };
  readonly base_rates: { readonly target: string; readonly strength: number };
  readonly preprocess: { readonly rest: number };
  readonly align: AlignNumbers;
  readonly landmarks: LandmarkNumbers;
  readonly proposals: ProposalNumbers;
  readonly detector: DetectorNumbers;
  readonly pose: { readonly rigid: Row; readonly from_table: readonly Row[]; readonly least_depth: number };
  readonly quality: {
    readonly low: number;
    readonly seen_at: number;
    readonly factors: readonly (readonly [string, number, number])[];
  };
  readonly cuts: CutNumbers;
  readonly tracks: TrackNumbers;
  readonly smooth: SmoothNumbers;
  readonly labels: {
    readonly canonical: readonly string[];
    readonly by_name: Readonly<Record<string, string>>;
    readonly reserved: readonly string[];
    readonly reserved_beginnings: readonly string[];
    readonly between: string;
  };
  readonly explain: {
    readonly step: number;
    readonly chunk: number;
    readonly most_hidden: number;
    readonly colors: string;
  };
  readonly person: PersonNumbers;
}

export interface PersonNumbers {
  readonly schema: string;
  readonly files: Readonly<Record<"person" | "samples" | "test" | "head", string>>;
  readonly kind: string;
  readonly longest_name: number;
  readonly longest_word: number;
  readonly samples: {
    readonly digits: number;
    readonly around: number;
    readonly side: number;
    readonly beside: number;
  };
  readonly head: HeadNumbers;
  readonly train: { readonly folds: number; readonly draws: number; readonly random: Begun };
}

export interface HeadNumbers {
  /** Each a penalty, null for an infinite one, and whether the person's neutral is moved first. */
  readonly manners: readonly (readonly [number | null, boolean])[];
  readonly neutrals: number;
  /** A probability of a neutral face counts as at least that. */
  readonly least_typical: number;
  readonly steps: number;
  readonly folds: number;
  readonly least: number;
  readonly rarest: number;
  readonly temperatures: Row;
  readonly chunk: number;
  readonly random: Begun;
}

export interface AlignNumbers {
  readonly template: readonly Row[];
  readonly fine: number;
  readonly exact: number;
  readonly spacing: number;
  readonly smallest: number;
  readonly largest: number;
}

export interface LandmarkNumbers {
  readonly points: number;
  readonly right_eye: Row;
  readonly left_eye: Row;
  readonly nose_tip: number;
  readonly right_mouth_corner: number;
  readonly left_mouth_corner: number;
  readonly net_side: number;
  readonly net_framing: number;
  readonly forehead: number;
  readonly chunk: number;
  readonly near: number;
}

export interface ProposalNumbers {
  readonly strides: Row;
  readonly sides: number;
  readonly longest: number;
  readonly fine: number;
  readonly alike: number;
  readonly as_sure: number;
  readonly candidates: number;
  readonly most: number;
  readonly beyond: number;
  readonly log_side: number;
}

export interface DetectorNumbers {
  readonly framing: number;
  readonly least: number;
  readonly likely: number;
  readonly times: number;
  readonly near: number;
  readonly near_least: number;
  readonly few: number;
  readonly far: number;
  readonly maybe: number;
  readonly face: number;
  readonly alike: number;
  readonly overlap: number;
}

export interface CutNumbers {
  readonly size: Row;
  readonly sampled: number;
  readonly flat: number;
  readonly least: number;
  readonly times: number;
  readonly recent: number;
}

export interface TrackNumbers {
  readonly search_s: number;
  readonly memory_s: number;
  readonly behind_s: number;
  readonly missed_s: number;
  readonly late: number;
  readonly grid: number;
  readonly velocity_decimals: number;
  readonly face: number;
  readonly jump: number;
  readonly growth: number;
  readonly apart: number;
  readonly touch: number;
  readonly reach: number;
  readonly reach_per_s: number;
  readonly farthest: number;
  readonly motion_s: number;
  readonly turns_back: number;
  readonly ahead_s: number;
  readonly doubts: number;
  readonly places: number;
  readonly fit_share: number;
  readonly fewest: number;
}

export interface SmoothNumbers {
  readonly reach_s: number;
  readonly blink_s: number;
  readonly steady_s: number;
  readonly calm: number;
  readonly change: number;
}

/** The same, if they are of the schema that this package reads; throws ModelError. */
export function checked(told: unknown): Numbers {
  const schema = typeof told === "object" && told !== null && "schema" in told ? told.schema : undefined;
  if (schema !== SCHEMA) {
    throw new ModelError(
      `the numbers are of schema ${JSON.stringify(schema)}, and this mien-web reads ${SCHEMA}; ` +
        "take numbers.json and mien-web from the same release",
    );
  }
  return told as Numbers;
}
