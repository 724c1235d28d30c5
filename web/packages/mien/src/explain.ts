/** Where a recogniser looked: Grad-CAM of a model file without gradients; `mien.expression.explain`. */

import type { Tail } from "./graph.js";
import type { ModelInfo } from "./model.js";
import { floats, type Network } from "./network.js";
import type { Numbers } from "./numbers.js";
import { batch, channelsOf, prepare } from "./preprocess.js";
import type { Raster } from "./raster.js";

/** Values in a square, rows from the top. */
export interface Square {
  readonly side: number;
  readonly values: Float32Array;
}

/** A face's last feature maps, (C, h, w). */
interface Maps {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly values: Float32Array;
}

export class Explainer {
  private same: Float32Array[] | null = null;

  /** trunk : the recogniser with its last maps as a further output. behind : what follows them. */
  constructor(
    private readonly info: ModelInfo,
    private readonly tail: Tail,
    private readonly trunk: Network,
    private readonly behind: Network,
    private readonly numbers: Numbers,
  ) {}

  /** Of a face crop: for each label in its order where it is spoken for, 1 where most; all 0 for nowhere. */
  async heats(crop: Raster): Promise<Square[]> {
    const { preprocess } = this.info;
    const prepared = prepare(crop, preprocess, this.numbers.preprocess.rest);
    const shape = [1, channelsOf(preprocess.color), preprocess.size, preprocess.size];
    const found = (await this.trunk.run(batch([prepared]), shape)).at(-1)!;
    const [, channels, height, width] = found.dims;
    const maps = { channels, height, width, values: floats(found) };
    const weights = await this.weights(maps);
    return weights.map((row) => scaled(spokenFor(maps, row), width, height, preprocess.size));
  }

  /** The mean gradient of each answer over each map: K rows of C. */
  private async weights(maps: Maps): Promise<Float32Array[]> {
    if (this.same) return this.same;
    const { step: share, chunk } = this.numbers.explain;
    const squares = maps.values.reduce((sum, v) => sum + v * v, 0) / maps.values.length;
    const step = Math.fround(share * Math.max(Math.sqrt(squares), 1e-3));
    const weights = this.info.labels.map(() => new Float32Array(maps.channels));
    for (let start = 0; start < maps.channels; start += chunk) {
      const count = Math.min(chunk, maps.channels - start);
      await this.slopes(maps, step, start, count, weights);
    }
    if (this.tail.affine) this.same = weights;
    return weights;
  }

  /** Of some maps: how each answer grows as all of one is raised, of one of its places. */
  private async slopes(
    { channels, height, width, values }: Maps,
    step: number,
    start: number,
    count: number,
    weights: readonly Float32Array[],
  ): Promise<void> {
    const plane = height * width;
    const raised = new Float32Array(2 * count * values.length);
    for (let i = 0; i < 2 * count; i++) {
      raised.set(values, i * values.length);
      const moved = i < count ? step : -step;
      const first = i * values.length + (start + (i % count)) * plane;
      for (let at = first; at < first + plane; at++) raised[at] += moved;
    }
    const answers = floats((await this.behind.run(raised, [2 * count, channels, height, width]))[0]);
    const labels = weights.length;
    weights.forEach((row, k) => {
      for (let i = 0; i < count; i++) {
        const more = answers[i * labels + k] - answers[(count + i) * labels + k];
        row[start + i] = more / (2 * step) / plane;
      }
    });
  }

  async release(): Promise<void> {
    await Promise.all([this.trunk.release(), this.behind.release()]);
  }
}

/** The sum of maps, each times its weight, where that is above 0. */
function spokenFor({ channels, height, width, values }: Maps, weights: Float32Array): Float32Array {
  const plane = height * width;
  return Float32Array.from({ length: plane }, (_, at) => {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += weights[c] * values[c * plane + at];
    return Math.max(sum, 0);
  });
}

/** A map as a square of that side, between its places bilinear, 1 where it is most. */
function scaled(values: Float32Array, width: number, height: number, side: number): Square {
  const [columns, rows] = [between(width, side), between(height, side)];
  const large = new Float32Array(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const [left, right, far] = columns[x];
      const [above, below, low] = rows[y];
      const upper = values[above * width + left] * (1 - far) + values[above * width + right] * far;
      const lower = values[below * width + left] * (1 - far) + values[below * width + right] * far;
      large[y * side + x] = upper * (1 - low) + lower * low;
    }
  }
  const most = Math.max(large.reduce((a, b) => Math.max(a, b), 0), 1e-12);
  return { side, values: large.map((v) => v / most) };
}

/** Between which two of `from` places each of `to` lies, and how far towards the second. */
function between(from: number, to: number): [number, number, number][] {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    const first = Math.min(Math.floor(place), from - 2 < 0 ? 0 : from - 2);
    return [first, Math.min(first + 1, from - 1), place - first];
  });
}
