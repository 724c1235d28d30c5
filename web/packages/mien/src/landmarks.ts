/** Sixty-eight points on a face in iBUG's order, and what follows from them; `mien.faces.landmarks`. */

import type { Box } from "./face.js";
import { inverse, transform, transformed, turnedSquare } from "./geometry.js";
import type { LandmarkNumbers } from "./numbers.js";

const f = Math.fround; // NumPy computes these in single precision, and a crop's pixels follow

/** A box that lies level on a face, and how far the face was turned, in radians, clockwise. */
export interface Leveled {
  readonly box: Box;
  readonly turn: number;
}

/** Right eye, left eye, nose tip, right and left corner of the mouth, x and y of each. */
export function five(points: Float32Array, numbers: LandmarkNumbers): Float32Array {
  const tips = [numbers.nose_tip, numbers.right_mouth_corner, numbers.left_mouth_corner];
  const eyes = [eyeCentre(points, numbers.right_eye), eyeCentre(points, numbers.left_eye)];
  return Float32Array.from([...eyes.flat(), ...tips.flatMap((i) => [points[2 * i], points[2 * i + 1]])]);
}

function eyeCentre(points: Float32Array, [first, end]: readonly number[]): [number, number] {
  let [x, y] = [0, 0];
  for (let i = first; i < end; i++) {
    x = f(x + points[2 * i]);
    y = f(y + points[2 * i + 1]);
  }
  return [f(x / (end - first)), f(y / (end - first))];
}

/** How far the line of the eyes is turned, in radians; positive is clockwise. */
export function roll(points: Float32Array, numbers: LandmarkNumbers): number {
  const [rightX, rightY] = eyeCentre(points, numbers.right_eye);
  const [leftX, leftY] = eyeCentre(points, numbers.left_eye);
  return Math.atan2(leftY - rightY, leftX - rightX);
}

/** The upright box around points. */
export function bounds(points: Float32Array): Box {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i += 2) {
    x0 = Math.min(x0, points[i]);
    x1 = Math.max(x1, points[i]);
    y0 = Math.min(y0, points[i + 1]);
    y1 = Math.max(y1, points[i + 1]);
  }
  return [x0, y0, x1, y1];
}

/** The box around landmarks turned level, upright about the same middle, and the turn undone. */
export function leveledBox(points: Float32Array, numbers: LandmarkNumbers): Leveled {
  return leveled(points, numbers, 0);
}

/** The box of a face: around its landmarks, and the forehead's share of their height above them. */
export function faceBox(points: Float32Array, numbers: LandmarkNumbers): Box {
  return leveled(points, numbers, numbers.forehead).box;
}

function leveled(points: Float32Array, numbers: LandmarkNumbers, forehead: number): Leveled {
  const turn = roll(points, numbers);
  const level = turnedSquare([0, 0], 1, turn, 1);
  const [x0, y0, x1, y1] = bounds(transform(level, points));
  const top = f(y0 - f(f(forehead) * f(y1 - y0)));
  const [halfWidth, halfHeight] = [f(x1 - x0) / 2, f(y1 - top) / 2];
  const back = inverse(level) ?? level; // a rotation has one, but for points that are no numbers
  const [x, y] = transformed(back, f(x0 + halfWidth), f(top + halfHeight)).map(f);
  const sides = [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight];
  // Points count from the middle of a pixel, boxes from its edge.
  const [left, upper, right, lower] = sides.map((side) => f(f(side) + 0.5));
  return { box: [left, upper, right, lower], turn };
}
