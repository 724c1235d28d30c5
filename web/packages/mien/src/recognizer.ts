/** Crops -> probabilities and intensities; `mien.expression`. */

import { InputError, ModelError } from "./errors.js";
import type { ModelInfo, Strengths } from "./model.js";
import { floats, type Network } from "./network.js";
import type { Numbers } from "./numbers.js";
import { batch, channelsOf, prepare } from "./preprocess.js";
import type { Raster } from "./raster.js";

const LEAST_RATE = 1e-6;

/** target : "equal", or "training" to leave them. strength : 0 (leave them) .. 1 (all the way). */
export interface BaseRates {
  readonly target: "equal" | "training";
  readonly strength?: number;
}

/** What a model says of one crop, by label in its order. intensity : null if it cannot tell. */
export interface Reading {
  readonly probs: Float32Array;
  readonly intensity: Float32Array | null;
}

export class Recognizer {
  /** weights : of `weightsOf`. */
  constructor(
    readonly info: ModelInfo,
    private readonly network: Network,
    private readonly numbers: Numbers,
    private readonly weights: readonly number[],
  ) {}

  /** Probabilities and intensities of crops. */
  async read(crops: readonly Raster[]): Promise<Reading[]> {
    const { info } = this;
    return (await this.logits(crops)).map((logits) => ({
      probs: reweighted(this.calibrated(logits), this.weights),
      intensity: info.strengths && strengthsOf(logits, info.strengths, this.numbers.model.surest),
    }));
  }

  /** Of each crop; the mean of two looks where the first is unsure. */
  private async logits(crops: readonly Raster[]): Promise<Float32Array[]> {
    const found: Float32Array[] = [];
    const { chunk } = this.numbers.model;
    for (let start = 0; start < crops.length; start += chunk) {
      const some = crops.slice(start, start + chunk);
      const { preprocess } = this.info;
      const prepared = some.map((crop) => prepare(crop, preprocess, this.numbers.preprocess.rest));
      found.push(...(await this.look(prepared)));
    }
    return found;
  }

  private async look(prepared: readonly Raster[]): Promise<Float32Array[]> {
    const first = await this.answer(prepared);
    const isUnsure = (logits: Float32Array): boolean =>
      Math.max(...this.calibrated(logits)) < this.info.lookAgainBelow;
    const unsure = first.flatMap((logits, i) => (isUnsure(logits) ? [i] : []));
    if (unsure.length === 0) return first;
    const second = await this.answer(unsure.map((i) => mirrored(prepared[i])));
    unsure.forEach((i, n) => {
      first[i] = first[i].map((v, k) => (v + second[n][k]) / 2);
    });
    return first;
  }

  private async answer(prepared: readonly Raster[]): Promise<Float32Array[]> {
    const { labels, preprocess, name } = this.info;
    const shape = [prepared.length, channelsOf(preprocess.color), preprocess.size, preprocess.size];
    const logits = floats((await this.network.run(batch(prepared), shape))[0]);
    if (logits.length !== prepared.length * labels.length || !logits.every(Number.isFinite)) {
      throw new ModelError(
        `${name} answers ${prepared.length} faces with ${logits.length} numbers; ` +
          `expected ${labels.length} for each`,
      );
    }
    return prepared.map((_, i) => logits.slice(i * labels.length, (i + 1) * labels.length));
  }

  private calibrated(logits: Float32Array): Float32Array {
    const { temperature, offsets } = this.info;
    return softmax(logits.map((v, k) => v / temperature + (offsets?.[k] ?? 0)));
  }
}

function mirrored({ width, height, channels, data }: Raster): Raster {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + width - 1 - x) * channels;
      out.set(data.subarray(from, from + channels), (y * width + x) * channels);
    }
  }
  return { width, height, channels, data: out };
}

/** Factors that turn probabilities to other base rates (Saerens et al. 2002, eq. 4); InputError. */
export function weightsOf(
  info: ModelInfo,
  asked: Partial<BaseRates>,
  usual: Numbers["base_rates"],
): number[] {
  const { target, strength } = { ...usual, ...asked };
  if (target !== "equal" && target !== "training") {
    throw new InputError(`base rates are "equal" or "training", got ${JSON.stringify(target)}`);
  }
  if (!(strength >= 0 && strength <= 1)) {
    throw new InputError(`the strength of base rates lies in [0, 1], got ${strength}`);
  }
  if (target === "training") return info.labels.map(() => 1);
  const equal = 1 / info.labels.length;
  return info.baseRates.map((rate) => (equal / Math.max(rate, LEAST_RATE)) ** strength);
}

function reweighted(probs: Float32Array, weights: readonly number[]): Float32Array {
  // A net sure of itself says exactly 0 elsewhere; were all weight there, nothing would be left.
  const changed = probs.map((p, k) => Math.max(p, 1e-30) * weights[k]);
  const sum = changed.reduce((a, b) => a + b, 0);
  return changed.map((v) => v / sum);
}

/** Logits as probabilities; the largest is taken off first, so nothing overflows. */
export function softmax(logits: Float32Array): Float32Array {
  const most = Math.max(...logits);
  const exp = logits.map((v) => Math.exp(v - most));
  const sum = exp.reduce((a, b) => a + b, 0);
  return exp.map((v) => v / sum);
}

function strengthsOf(logits: Float32Array, strengths: Strengths, surest: number): Float32Array {
  const { weights, offsets } = strengths;
  if (weights === null) return logits.map(sigmoid);
  const odds = logOdds(logits, surest);
  return Float32Array.from(weights, (row, k) =>
    sigmoid(row.reduce((sum, weight, i) => sum + weight * odds[i], offsets[k])),
  );
}

/** Of each label against all the others together, in the softmax of `logits`. */
function logOdds(logits: Float32Array, surest: number): Float32Array {
  return softmax(logits).map((p) => {
    const share = Math.min(Math.max(p, surest), 1 - surest);
    return Math.log(share / (1 - share));
  });
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
