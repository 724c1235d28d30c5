/** Boxes -> 68 landmarks and a face-or-not score; `mien.faces.landmarker`. */

import { cut } from "./align.js";
import type { Box, Crop, Picture } from "./face.js";
import { inverse, longerSide, middle, square, transform, turnedSquare } from "./geometry.js";
import { type Leveled, leveledBox } from "./landmarks.js";
import { floats, type Network } from "./network.js";
import type { Numbers } from "./numbers.js";
import { batch } from "./preprocess.js";

/** What the network says of one place. points : 68 x y in pixels. score : in [0, 1]. */
export interface Placed {
  readonly points: Float32Array;
  readonly score: number;
}

/**
 * The shipped landmark network. It looks twice: at a square around the box it is given, then, where
 * that may be a face, at one around the points it saw, turned level.
 */
export class Landmarker {
  constructor(
    private readonly network: Network,
    private readonly numbers: Numbers,
  ) {}

  /** Two looks at the faces whose landmarks are expected in boxes, turned by their turns. */
  async place(picture: Picture, expected: readonly Leveled[], least: number): Promise<Placed[]> {
    const placed = await this.look(picture, expected);
    const again = indices(placed, ({ score }) => score >= least);
    const second = await this.look(picture, again.map((i) => this.level(placed[i])));
    again.forEach((i, n) => {
      // Two looks err differently; the better second counts twice.
      const points = placed[i].points.map((v, k) => Math.fround(v + 2 * second[n].points[k]) / 3);
      placed[i] = { points, score: Math.min(placed[i].score, second[n].score) };
    });
    return placed;
  }

  /**
   * Where the landmarks are now that are expected in boxes. The expectation is taken to be good, as
   * from the frame before: one look is enough for all but those that moved.
   */
  async again(picture: Picture, expected: readonly Leveled[]): Promise<Placed[]> {
    const placed = await this.look(picture, expected);
    const around = placed.map((p) => this.level(p));
    const far = indices(placed, (_, i) => {
      const [x, y] = middle(around[i].box);
      const [fromX, fromY] = middle(expected[i].box);
      const near = this.numbers.landmarks.near * longerSide(expected[i].box);
      return Math.hypot(x - fromX, y - fromY) > near;
    });
    const second = await this.look(picture, far.map((i) => around[i]));
    far.forEach((i, n) => {
      placed[i] = { points: second[n].points, score: Math.min(placed[i].score, second[n].score) };
    });
    return placed;
  }

  private level(placed: Placed): Leveled {
    return leveledBox(placed.points, this.numbers.landmarks);
  }

  /** One look at each place. */
  private async look(picture: Picture, places: readonly Leveled[]): Promise<Placed[]> {
    const found: Placed[] = [];
    const { chunk } = this.numbers.landmarks;
    for (let start = 0; start < places.length; start += chunk) {
      found.push(...(await this.lookAtSome(picture, places.slice(start, start + chunk))));
    }
    return found;
  }

  private async lookAtSome(picture: Picture, places: readonly Leveled[]): Promise<Placed[]> {
    const { net_side: size, net_framing, points: count } = this.numbers.landmarks;
    const crops = places.map(({ box, turn }) => turned(square(box, net_framing), turn, size));
    const seen = batch(crops.map((crop) => cut(picture, crop, 1, this.numbers.align)));
    const [points, logits] = (await this.network.run(seen, [crops.length, 1, size, size])).map(floats);
    return crops.map((crop, i) => {
      const own = points.slice(2 * count * i, 2 * count * (i + 1));
      // Whole coordinates are in the middle of a pixel, the network's 0 is at its edge.
      const inCrop = own.map((v) => v * size - 0.5);
      const back = inverse(crop.matrix) ?? crop.matrix; // a turned square always has one
      return { points: transform(back, inCrop), score: 1 / (1 + Math.exp(-logits[i])) };
    });
  }
}

/** The crop of a square turned by so many radians. */
function turned(around: Box, turn: number, size: number): Crop {
  const [x, y] = middle(around);
  const side = Math.max(Math.fround(around[2] - around[0]), 1);
  return { matrix: turnedSquare([Math.fround(x - 0.5), Math.fround(y - 0.5)], side, turn, size), size };
}

function indices<T>(items: readonly T[], wanted: (item: T, i: number) => boolean): number[] {
  return items.flatMap((item, i) => (wanted(item, i) ? [i] : []));
}
