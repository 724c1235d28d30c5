/** Learns a person's recogniser from samples, and tells what it is worth; `mien.person.train`. */

import { InputError } from "./errors.js";
import { rounded } from "./geometry.js";
import {
  baseline,
  type Faces,
  fit,
  folds,
  type General,
  isGeneral,
  keep,
  type Layer,
  others,
  probsOf,
  restricted,
  temperature,
} from "./head.js";
import { byCodePoints, labelsOf } from "./labels.js";
import type { Numbers } from "./numbers.js";
import { Random } from "./random.js";

/** How many of the samples are right, with 95 % intervals; shares. */
export interface Figures {
  readonly accuracy: number;
  readonly accuracy_ci95: readonly [number, number];
  readonly balanced_accuracy: number;
  readonly balanced_accuracy_ci95: readonly [number, number];
  readonly recall: Readonly<Record<string, number>>;
}

/** How good a recogniser is on stimuli held out, beside the general model; as `mien person test`. */
export interface Tested {
  readonly kind: string;
  readonly labels: Readonly<Record<string, number>>;
  readonly samples: number;
  readonly stimuli: number;
  readonly folds: number;
  readonly majority_baseline: number;
  readonly results: Readonly<Record<"general" | "baseline" | "personal", Figures>>;
  readonly gain: Pick<Figures, "accuracy" | "accuracy_ci95">;
  readonly one_stimulus: readonly string[];
}

/** What was learned. tested : null where every label has one stimulus, of which none is left out. */
export interface Learned {
  /** The last layer, calibrated. */
  readonly layer: Layer;
  /** The samples say nothing plain against the general model. */
  readonly general: boolean;
  readonly tested: Tested | null;
}

/** From samples of at least two labels; throws InputError for others. */
export function learn(general: General, faces: Faces, numbers: Numbers): Learned {
  const words = labelsOf(faces.labels, numbers.labels);
  if (words.length < 2) {
    throw new InputError(
      `a recogniser tells at least two expressions apart, got samples of ${JSON.stringify(words)}`,
    );
  }
  const { head, train } = numbers.person;
  const layer = fit(general, faces, words, head);
  const parts = folds(faces, train.folds, head);
  const probs = parts.length < 2 ? null : heldOut(general, faces, words, parts, numbers);
  const targets = faces.labels.map((label) => words.indexOf(label));
  const single = oneStimulus(faces, words);
  return {
    layer: probs ? cooled(layer, temperature(probs, targets, head)) : layer,
    general: isGeneral(general, layer),
    tested:
      probs && single.length < words.length
        ? { ...compared(general, faces, words, parts, probs, numbers), one_stimulus: single }
        : null,
  };
}

function cooled({ labels, weights, bias }: Layer, t: number): Layer {
  return { labels, weights: weights.map((row) => row.map((v) => v / t)), bias: bias.map((v) => v / t) };
}

function oneStimulus({ labels, groups }: Faces, words: readonly string[]): string[] {
  return words.filter((word) => new Set(groups.filter((_, i) => labels[i] === word)).size < 2);
}

/**
 * Probabilities by row: each fold read by what was learned from the others.
 *
 * A label that only the fold holds cannot be learned from the rest, and is then never answered.
 */
function heldOut(
  general: General,
  faces: Faces,
  words: readonly string[],
  parts: readonly (readonly number[])[],
  numbers: Numbers,
): Float32Array[] {
  const probs = faces.labels.map(() => new Float32Array(words.length));
  for (const part of parts) {
    const taught = keep(faces, others(faces.labels.length, part));
    const present = words.filter((word) => taught.labels.includes(word));
    const places = present.map((word) => words.indexOf(word));
    if (present.length < 2) {
      for (const i of part) for (const k of places) probs[i][k] = 1;
      continue;
    }
    const layer = fit(general, taught, present, numbers.person.head);
    const found = probsOf(layer, keep(faces, part).features);
    part.forEach((i, n) => places.forEach((k, at) => (probs[i][k] = found[n][at])));
  }
  return probs;
}

function compared(
  general: General,
  faces: Faces,
  words: readonly string[],
  parts: readonly (readonly number[])[],
  probs: readonly Float32Array[],
  numbers: Numbers,
): Omit<Tested, "one_stimulus"> {
  const targets = faces.labels.map((label) => words.indexOf(label));
  const moved = new Array<number>(targets.length);
  for (const part of parts) {
    const rest = keep(faces, others(targets.length, part));
    const layer = restricted(baseline(general, rest, numbers.person.head), words);
    answered(layer, keep(faces, part), words).forEach((answer, n) => (moved[part[n]] = answer));
  }
  const answers = {
    general: answered(restricted(general.layer, words), faces, words),
    baseline: moved,
    personal: probs.map(likeliest),
  };
  const draws = drawn(faces.groups, numbers.person.train);
  const figures = (found: readonly number[]): Figures => figuresOf(found, targets, words, draws);
  const counts = words.map((_, k) => targets.filter((t) => t === k).length);
  const gains = targets.map(
    (t, i) => Number(answers.personal[i] === t) - Number(answers.general[i] === t),
  );
  return {
    kind: numbers.person.kind,
    labels: Object.fromEntries(words.map((word, k) => [word, counts[k]])),
    samples: targets.length,
    stimuli: new Set(faces.groups).size,
    folds: parts.length,
    majority_baseline: told(Math.max(...counts) / targets.length),
    results: {
      general: figures(answers.general),
      baseline: figures(answers.baseline),
      personal: figures(answers.personal),
    },
    gain: {
      accuracy: told(average(gains)),
      accuracy_ci95: interval(draws.map((rows) => average(rows.map((i) => gains[i])))),
    },
  };
}

/** Of a layer that may know some of `words` only: places in `words`, -1 for none. */
function answered(layer: Layer, { features }: Faces, words: readonly string[]): number[] {
  if (layer.labels.length === 0) return features.map(() => -1);
  const places = layer.labels.map((name) => words.indexOf(name));
  return probsOf(layer, features).map((probs) => places[likeliest(probs)]);
}

function likeliest(probs: Float32Array): number {
  return probs.indexOf(Math.max(...probs));
}

function figuresOf(
  answers: readonly number[],
  targets: readonly number[],
  words: readonly string[],
  draws: readonly (readonly number[])[],
): Figures {
  const right = answers.map((answer, i) => Number(answer === targets[i]));
  const all = targets.map((_, i) => i);
  const recalls = recallsOf(right, targets, words.length, all);
  const known = words.map((word, k) => [word, told(recalls[k])] as const);
  return {
    accuracy: told(average(right)),
    accuracy_ci95: interval(draws.map((rows) => average(rows.map((i) => right[i])))),
    balanced_accuracy: told(average(known.map(([, recall]) => recall))),
    balanced_accuracy_ci95: interval(
      draws.map((rows) => {
        const found = recallsOf(right, targets, words.length, rows);
        return average(found.filter((recall) => !Number.isNaN(recall)));
      }),
    ),
    recall: Object.fromEntries(known),
  };
}

/** Of some rows, the share of each label that is right; NaN for a label that none of them has. */
function recallsOf(
  right: readonly number[],
  targets: readonly number[],
  labels: number,
  rows: readonly number[],
): number[] {
  const sums = new Float64Array(labels);
  const counts = new Float64Array(labels);
  for (const i of rows) {
    sums[targets[i]] += right[i];
    counts[targets[i]]++;
  }
  return Array.from(sums, (sum, k) => sum / counts[k]);
}

/** Rows of as many stimuli as there are, drawn with replacement, many times. */
function drawn(
  groups: readonly string[],
  { draws, random }: Numbers["person"]["train"],
): number[][] {
  const names = [...new Set(groups)].sort(byCodePoints);
  const rows = names.map((name) => groups.flatMap((group, i) => (group === name ? [i] : [])));
  const generator = new Random(random);
  return Array.from({ length: draws }, () => names.flatMap(() => rows[generator.below(names.length)]));
}

/** Of 95 %: the values between which all but the lowest and the highest 2.5 % lie. */
function interval(values: readonly number[]): [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    const high = Math.min(low + 1, sorted.length - 1);
    return told(sorted[low] + (place - low) * (sorted[high] - sorted[low]));
  };
  return [at(0.025), at(0.975)];
}

/** A share as it is told. */
function told(share: number): number {
  return rounded(share, 4);
}

function average(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
