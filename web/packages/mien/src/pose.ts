/** How a head is turned, from its landmarks alone; `mien.faces.pose`. */

import { clamp } from "./geometry.js";
import type { Numbers } from "./numbers.js";

/** Three angles in radians: to the subject's left, upwards, clockwise. */
export interface Pose {
  readonly yawRad: number;
  readonly pitchRad: number;
  readonly rollRad: number;
}

/** The pose of a face's landmarks; null for points that are no face. */
export function estimate(points: Float32Array, numbers: Numbers["pose"]): Pose | null {
  const view = seenFrom(points, numbers);
  const rotated = nearestRotation(view, numbers.least_depth);
  if (rotated === null) return null;
  const [right, down] = rotated;
  const away = cross(right, down);
  return {
    yawRad: Math.asin(clamp(away[0], -1, 1)),
    pitchRad: Math.atan2(-away[1], away[2]),
    rollRad: Math.atan2(down[0], right[0]),
  };
}

/** The fit of the rigid face to the points: scale times the first two rows of a rotation. */
function seenFrom(points: Float32Array, { rigid, from_table }: Numbers["pose"]): [number[], number[]] {
  const rows = [0, 1].map((axis) => {
    const places = rigid.map((i) => points[2 * i + axis]);
    const mean = places.reduce((sum, v) => sum + v, 0) / places.length;
    return from_table.map((row) => row.reduce((sum, weight, i) => sum + weight * (places[i] - mean), 0));
  });
  return [rows[0], rows[1]];
}

/**
 * The orthonormal rows nearest to two, (A A')^(-1/2) A; null where one is too short or no number.
 *
 * least : of the two scales, the smaller against the larger.
 */
function nearestRotation([a, b]: [number[], number[]], least: number): [number[], number[]] | null {
  const [aa, ab, bb] = [dot(a, a), dot(a, b), dot(b, b)];
  const area = Math.sqrt(Math.max(aa * bb - ab * ab, 0)); // product of both scales
  const sum = Math.sqrt(aa + bb + 2 * area);
  const difference = Math.sqrt(Math.max(aa + bb - 2 * area, 0));
  const [larger, smaller] = [(sum + difference) / 2, (sum - difference) / 2];
  if (!(smaller > least * larger)) return null;
  // The root of A A' is (A A' + area) / sum, and its inverse has the area below.
  const [p, q, r] = [(bb + area) / (sum * area), -ab / (sum * area), (aa + area) / (sum * area)];
  return [a.map((v, i) => p * v + q * b[i]), a.map((v, i) => q * v + r * b[i])];
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, v, i) => sum + v * b[i], 0);
}

function cross([ax, ay, az]: readonly number[], [bx, by, bz]: readonly number[]): number[] {
  return [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
}
