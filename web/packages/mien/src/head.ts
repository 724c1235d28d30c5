/**
 * A last layer for one person, on the features of a model that was trained on many;
 * `mien.person.head`, where each step is explained.
 */

import { byCodePoints } from "./labels.js";
import type { HeadNumbers } from "./numbers.js";
import { Random } from "./random.js";
import { softmax } from "./recognizer.js";

/** `features @ weights.T + bias` are logits over `labels`. weights : a row of C for each label. */
export interface Layer {
  readonly labels: readonly string[];
  readonly weights: readonly Float64Array[];
  readonly bias: Float64Array;
}

/** What is known of the general model before somebody's pictures. */
export interface General {
  /** Its own last layer as it answers by default: calibrated, at default base rates. */
  readonly layer: Layer;
  /** The same at its training's base rates. */
  readonly calibrated: Layer;
  /** Its mean centred answer to neutral faces; null where its file does not say so. */
  readonly neutral: readonly number[] | null;
}

/** Faces to learn from, a row each. groups : the stimulus that each is of. */
export interface Faces {
  readonly labels: readonly string[];
  readonly groups: readonly string[];
  readonly features: readonly Float32Array[];
}

/** Of some faces, those of the given rows. */
export function keep({ labels, groups, features }: Faces, rows: readonly number[]): Faces {
  return {
    labels: rows.map((i) => labels[i]),
    groups: rows.map((i) => groups[i]),
    features: rows.map((i) => features[i]),
  };
}

/** Probabilities by row, each summing to 1. */
export function probsOf(layer: Layer, features: readonly Float32Array[]): Float32Array[] {
  return features.map((row) => softmax(Float32Array.from(answers(layer, row))));
}

function answers({ weights, bias }: Layer, row: ArrayLike<number>): Float64Array {
  return Float64Array.from(weights, (weight, k) => inner(weight, row) + bias[k]);
}

function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** The same layer where it may only answer those of some labels that it knows. */
export function restricted(layer: Layer, labels: readonly string[]): Layer {
  const names = labels.filter((name) => layer.labels.includes(name));
  const places = names.map((name) => layer.labels.indexOf(name));
  return {
    labels: names,
    weights: places.map((k) => layer.weights[k]),
    bias: Float64Array.from(places, (k) => layer.bias[k]),
  };
}

/** Whether a layer answers its labels as the model's own does. */
export function isGeneral({ layer: own }: General, layer: Layer): boolean {
  const known = restricted(own, layer.labels);
  return (
    known.labels.length === layer.labels.length &&
    known.weights.every((row, k) => row.every((v, i) => v === layer.weights[k][i]))
  );
}

/** The general layer with the person's neutral moved to where neutral faces lie. */
export function baseline(general: General, faces: Faces, numbers: HeadNumbers): Layer {
  const { layer, calibrated, neutral: expected } = general;
  const neutral = faces.features.filter((_, i) => faces.labels[i] === "neutral");
  if (neutral.length === 0 || expected === null) return layer;
  const probs = probsOf(calibrated, neutral);
  const found = mean(probs.map((row) => centred(row, numbers.least_typical)));
  const share = neutral.length / (neutral.length + numbers.neutrals);
  const bias = layer.bias.map((v, k) => v + share * (expected[k] - found[k]));
  return { ...layer, bias };
}

/** Logarithms of probabilities, less their mean; `mien.expression.typical.centred`. */
function centred(probs: Float32Array, least: number): Float32Array {
  const logs = probs.map((p) => Math.log(Math.max(p, least)));
  const middle = logs.reduce((sum, v) => sum + v, 0) / logs.length;
  return logs.map((v) => v - middle);
}

/** The person's last layer over `words`; every label is one of them. */
export function fit(
  general: General,
  faces: Faces,
  words: readonly string[],
  numbers: HeadNumbers,
): Layer {
  return fitted(general, faces, words, numbers, chosen(general, faces, words, numbers));
}

type Manner = HeadNumbers["manners"][number];

/** How far to go: the most careful manner that does as well on stimuli held out as the best. */
function chosen(
  general: General,
  faces: Faces,
  words: readonly string[],
  numbers: HeadNumbers,
): Manner {
  const { manners } = numbers;
  const parts = folds(faces, numbers.folds, numbers);
  const rests = parts.map((part) => others(faces.labels.length, part));
  const lacks = rests.some((rest) => new Set(rest.map((i) => faces.labels[i])).size < words.length);
  if (lacks) return manners[0];
  const losses = manners.map((manner) => {
    const row = new Float64Array(faces.labels.length);
    parts.forEach((part, n) => {
      const layer = fitted(general, keep(faces, rests[n]), words, numbers, manner);
      const asked = keep(faces, part);
      probsOf(layer, asked.features).forEach((probs, i) => {
        const right = probs[words.indexOf(asked.labels[i])];
        row[part[i]] = -Math.log(Math.max(right, numbers.least));
      });
    });
    return row;
  });
  return manners[mostCareful(losses, faces.groups)];
}

/** The last row of losses that is within one standard error, over groups, of the least. */
function mostCareful(losses: readonly Float64Array[], groups: readonly string[]): number {
  const sums = losses.map((row) => row.reduce((a, b) => a + b, 0));
  const best = sums.indexOf(Math.min(...sums));
  for (let place = losses.length - 1; place > best; place--) {
    const more = new Map<string, number>();
    groups.forEach((group, i) => {
      more.set(group, (more.get(group) ?? 0) + losses[place][i] - losses[best][i]);
    });
    const found = [...more.values()];
    const sum = found.reduce((a, b) => a + b, 0);
    if (sum <= Math.sqrt(found.length) * deviation(found)) return place;
  }
  return best;
}

/** The standard deviation of a sample; NaN for one value. */
function deviation(values: readonly number[]): number {
  const middle = values.reduce((a, b) => a + b, 0) / values.length;
  const squares = values.reduce((sum, v) => sum + (v - middle) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

/** Rows held out together: whole stimuli, each label spread over the folds. */
export function folds(
  { labels, groups }: Pick<Faces, "labels" | "groups">,
  most: number,
  { random }: Pick<HeadNumbers, "random">,
): number[][] {
  const labelOf = new Map(groups.map((group, i) => [group, labels[i]]));
  const sorted = [...labelOf.keys()].sort(byCodePoints);
  const names = new Random(random).permutation(sorted.length).map((i) => sorted[i]);
  names.sort((a, b) => byCodePoints(labelOf.get(a) as string, labelOf.get(b) as string));
  const count = Math.min(most, names.length);
  const place = new Map(names.map((name, i) => [name, i % count]));
  const found: number[][] = Array.from({ length: count }, () => []);
  groups.forEach((group, i) => found[place.get(group) as number].push(i));
  return found;
}

/** The rows up to `count` that are not held out. */
export function others(count: number, heldOut: readonly number[]): number[] {
  const out = new Set(heldOut);
  return Array.from({ length: count }, (_, i) => i).filter((i) => !out.has(i));
}

/** The layer of `fit` in one manner. */
function fitted(
  general: General,
  faces: Faces,
  words: readonly string[],
  numbers: HeadNumbers,
  [penalty, moves]: Manner,
): Layer {
  const before = moves ? baseline(general, faces, numbers) : general.layer;
  const start = begun(before, faces, words);
  if (penalty === null) return start;
  const { features, labels } = faces;
  const targets = labels.map((label) => words.indexOf(label));
  const centre = mean(features);
  const squares = features.reduce((sum, row) => sum + inner(row, row), 0);
  const scale = Math.sqrt(squares / features.length);
  const x = features.map((row) => Float64Array.from(row, (v, i) => (v - centre[i]) / scale));
  const prior = features.map((row) => answers(start, row));
  const counts = counted(targets, words.length);
  const change = changed(x, prior, targets, counts, { penalty, steps: numbers.steps });
  const moved = change.map((column) => weighted(x, column).map((v) => v / scale));
  const bias = start.bias.map(
    (v, k) => v + change[k].reduce((a, b) => a + b, 0) - inner(moved[k], centre),
  );
  const weights = start.weights.map((row, k) => row.map((v, i) => v + moved[k][i]));
  return { labels: words, weights, bias };
}

/** How much each face counts: every label the same, and 1 on average. */
function counted(targets: readonly number[], labels: number): Float64Array {
  const counts = Array.from({ length: labels }, (_, k) => targets.filter((t) => t === k).length);
  const weights = Float64Array.from(targets, (t) => 1 / Math.max(counts[t], 1));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((v) => (v * weights.length) / sum);
}

/** The general layer's rows for `words`; for an unknown one the mix its samples look like. */
function begun(layer: Layer, faces: Faces, words: readonly string[]): Layer {
  const probs = probsOf(layer, faces.features);
  const mixes = words.map((word) => {
    const known = layer.labels.indexOf(word);
    if (known >= 0) return Float64Array.from(layer.labels, (_, k) => (k === known ? 1 : 0));
    return mean(probs.filter((_, i) => faces.labels[i] === word));
  });
  return {
    labels: words,
    weights: mixes.map((mix) => weighted(layer.weights, mix)),
    bias: Float64Array.from(mixes, (mix) => inner(mix, layer.bias)),
  };
}

/** The sum of rows, each times its weight. */
function weighted(rows: readonly Float64Array[], weights: Float64Array): Float64Array {
  const sum = new Float64Array(rows[0].length);
  rows.forEach((row, n) => {
    const weight = weights[n];
    if (weight !== 0) for (let i = 0; i < sum.length; i++) sum[i] += weight * row[i];
  });
  return sum;
}

function mean(rows: readonly ArrayLike<number>[]): Float64Array {
  const sum = new Float64Array(rows[0].length);
  for (const row of rows) for (let i = 0; i < sum.length; i++) sum[i] += row[i];
  return sum.map((v) => v / rows.length);
}

/**
 * What is added to a layer: for each label the weights of a sum of faces (N, C) and of a constant.
 *
 * Python's steps (Nesterov's method with its penalty) never leave the span of the faces, so they are
 * taken in it: with a hundred faces of 192 features there is four times less to compute.
 */
function changed(
  x: readonly Float64Array[],
  prior: readonly Float64Array[],
  targets: readonly number[],
  counts: Float64Array,
  { penalty, steps }: { penalty: number; steps: number },
): Float64Array[] {
  const [count, labels] = [x.length, prior[0].length];
  const products = x.map((a) => Float64Array.from(x, (b) => inner(a, b) + 1));
  const most = 0.5 * largest(products, counts) + penalty;
  const root = Math.sqrt(penalty / most);
  const momentum = (1 - root) / (1 + root);
  const table = (): Float64Array[] => Array.from(prior[0], () => new Float64Array(count));
  const [here, ahead, slope, probs] = [table(), table(), table(), new Float64Array(labels)];
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < labels; k++) probs[k] = prior[i][k] + inner(products[i], ahead[k]);
      share(probs);
      for (let k = 0; k < labels; k++) {
        const wanted = targets[i] === k ? 1 : 0;
        slope[k][i] = (probs[k] - wanted) * counts[i] + penalty * ahead[k][i];
      }
    }
    for (let k = 0; k < labels; k++) {
      for (let i = 0; i < count; i++) {
        const there = ahead[k][i] - slope[k][i] / most;
        ahead[k][i] = there + momentum * (there - here[k][i]);
        here[k][i] = there;
      }
    }
  }
  return here;
}

/** Logits become probabilities, in double precision and in place: a step of learning takes thousands. */
function share(values: Float64Array): void {
  let most = values[0];
  for (let k = 1; k < values.length; k++) most = Math.max(most, values[k]);
  let sum = 0;
  for (let k = 0; k < values.length; k++) {
    values[k] = Math.exp(values[k] - most);
    sum += values[k];
  }
  for (let k = 0; k < values.length; k++) values[k] /= sum;
}

const LEAST_GAIN = 1e-12; // of an eigenvalue in one step, under which it has been found
const MOST_STEPS = 1000;

/** The largest eigenvalue of products of faces, each of which counts so much: by power iteration. */
function largest(products: readonly Float64Array[], counts: Float64Array): number {
  const roots = counts.map(Math.sqrt);
  let towards = roots.map((v) => v / Math.sqrt(inner(roots, roots)));
  let found = 0;
  for (let step = 0; step < MOST_STEPS; step++) {
    const turned = towards.map((v, i) => v * roots[i]);
    const next = Float64Array.from(products, (row, i) => roots[i] * inner(row, turned));
    const length = Math.sqrt(inner(next, next));
    const done = length - found <= LEAST_GAIN * length;
    found = length;
    towards = next.map((v) => v / length);
    if (done) break;
  }
  return found;
}

/** By which answers to samples that were not learned from are likeliest. */
export function temperature(
  probs: readonly Float32Array[],
  targets: readonly number[],
  { temperatures, rarest }: Pick<HeadNumbers, "temperatures" | "rarest">,
): number {
  const logits = probs.map((row) => row.map((p) => Math.log(Math.max(p, rarest))));
  const losses = temperatures.map((t) =>
    logits.reduce((sum, row, i) => {
      const right = softmax(row.map((v) => v / t))[targets[i]];
      return sum - Math.log(Math.max(right, rarest));
    }, 0),
  );
  return temperatures[losses.indexOf(Math.min(...losses))];
}
