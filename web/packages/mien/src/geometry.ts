/**
 * Boxes, points and the transforms between pictures; `mien.geometry`.
 *
 * Boxes count the edges between pixels; points, and the matrices that move them, have whole
 * coordinates in the middle of a pixel. Points are Float32Arrays of x, y, x, y and so on.
 */

import type { Box, Matrix } from "./face.js";

const f = Math.fround;

/** Halves to the even number, as NumPy, OpenCV and Python round. */
export function roundHalfEven(value: number): number {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 !== 0 ? up - 1 : up;
}

const DIGITS = 5; // of a number that is written down, unless it has others

/** A value with so many decimals, as Python rounds: half to the even digit. */
export function rounded(value: number, digits = DIGITS): number {
  const factor = 10 ** digits;
  return roundHalfEven(value * factor) / factor + 0; // no -0
}

/** A value no smaller than `low` and no larger than `high`. */
export function clamp(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value;
}

/** A box in single precision, as NumPy keeps it. */
export function box32(x0: number, y0: number, x1: number, y1: number): Box {
  return [f(x0), f(y0), f(x1), f(y1)];
}

export function middle(box: Box): [number, number] {
  return [f((box[0] + box[2]) / 2), f((box[1] + box[3]) / 2)];
}

/** The longer side of a box. */
export function longerSide(box: Box): number {
  return Math.max(f(box[2] - box[0]), f(box[3] - box[1]));
}

/** Intersection over union, in [0, 1]. */
export function iou(a: Box, b: Box): number {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const both = width * height;
  const either = area(a) + area(b) - both;
  return both / Math.max(either, 1e-9); // a box may have no area
}

function area(box: Box): number {
  return (box[2] - box[0]) * (box[3] - box[1]);
}

/** Whether a box holds a point. */
export function holds(box: Box, [x, y]: readonly [number, number]): boolean {
  return box[0] <= x && box[1] <= y && x < box[2] && y < box[3];
}

/** Whether each of two boxes holds the other's middle, or they overlap by more than `overlap`. */
export function alike(a: Box, b: Box, overlap: number): boolean {
  return (holds(b, middle(a)) && holds(a, middle(b))) || iou(a, b) > overlap;
}

/**
 * Non-maximum suppression: indices of the boxes to keep, best score first.
 *
 * A box goes when a better one overlaps it by more than `overlap`, or when either holds the
 * other's middle: two detections inside one another are one face.
 */
export function suppress(boxes: readonly Box[], scores: readonly number[], overlap: number): number[] {
  const kept: number[] = [];
  for (const i of byScore(scores)) {
    const same = (other: Box): boolean =>
      holds(other, middle(boxes[i])) || holds(boxes[i], middle(other)) || iou(boxes[i], other) > overlap;
    if (!kept.some((k) => same(boxes[k]))) kept.push(i);
  }
  return kept;
}

/** Indices, best score first; what scores alike stays in order. */
export function byScore(scores: readonly number[]): number[] {
  return scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
}

/** The part of a box inside a picture. */
export function clip(box: Box, width: number, height: number): Box {
  return box32(
    clamp(box[0], 0, width),
    clamp(box[1], 0, height),
    clamp(box[2], 0, width),
    clamp(box[3], 0, height),
  );
}

/** Whether a box has at least a pixel each way. */
export function hasPixels(box: Box): boolean {
  return box[2] - box[0] >= 1 && box[3] - box[1] >= 1;
}

/** A square around a box's middle, its side `scale` times the box's longer one. */
export function square(box: Box, scale: number): Box {
  const [x, y] = middle(box);
  const half = f((scale * longerSide(box)) / 2);
  return box32(x - half, y - half, x + half, y + half);
}

/** Takes a square of a frame, turned clockwise by `roll`, to `size` x `size` pixels. */
export function turnedSquare(
  [x, y]: readonly [number, number],
  side: number,
  roll: number,
  size: number,
): Matrix {
  const cos = (Math.cos(roll) * size) / side;
  const sin = (Math.sin(roll) * size) / side;
  const centre = (size - 1) / 2;
  return [cos, sin, centre - (cos * x + sin * y), -sin, cos, centre - (-sin * x + cos * y)];
}

/** One point under a matrix. */
export function transformed(matrix: Matrix, x: number, y: number): [number, number] {
  const [a, b, tx, c, d, ty] = matrix;
  return [a * x + b * y + tx, c * x + d * y + ty];
}

/** Points under a matrix. */
export function transform(matrix: Matrix, points: Float32Array): Float32Array {
  const out = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    [out[i], out[i + 1]] = transformed(matrix, points[i], points[i + 1]);
  }
  return out;
}

/** What takes back what `matrix` does; null where nothing can. */
export function inverse(matrix: Matrix): Matrix | null {
  const [a, b, x, c, d, y] = matrix;
  const det = a * d - b * c;
  if (!matrix.every(Number.isFinite) || !(Math.abs(det) >= 1e-12)) return null;
  return [
    d / det,
    -b / det,
    (b * y - d * x) / det,
    -c / det,
    a / det,
    (c * x - a * y) / det,
  ];
}

/**
 * The rotation, one scale and shift that take `from` nearest to `to`; null where none follows.
 *
 * Least squares over matching points (Umeyama 1991), in its closed form for the plane: a face is
 * neither sheared nor mirrored.
 */
export function similarity(from: ArrayLike<number>, to: ArrayLike<number>): Matrix | null {
  const count = from.length / 2;
  const [fx, fy, tx, ty] = [mean(from, 0), mean(from, 1), mean(to, 0), mean(to, 1)];
  let spread = 0;
  let along = 0; // of the two directions, how well they agree unturned, and turned by a quarter
  let across = 0;
  for (let i = 0; i < count; i++) {
    const [ax, ay] = [from[2 * i] - fx, from[2 * i + 1] - fy];
    const [bx, by] = [to[2 * i] - tx, to[2 * i + 1] - ty];
    spread += ax * ax + ay * ay;
    along += ax * bx + ay * by;
    across += ax * by - ay * bx;
  }
  if (!Number.isFinite(spread) || spread < 1e-9) return null;
  const [p, q] = [along / spread, across / spread];
  return [p, -q, tx - (p * fx - q * fy), q, p, ty - (q * fx + p * fy)];
}

function mean(points: ArrayLike<number>, first: 0 | 1): number {
  let sum = 0;
  for (let i = first; i < points.length; i += 2) sum += points[i];
  return sum / (points.length / 2);
}

type Corners = readonly (readonly [number, number])[];

/**
 * The area of the part of a convex polygon inside a box, in square pixels.
 *
 * Both count from the same place. One side of the box after the other cuts off what lies beyond
 * it (Sutherland and Hodgman 1974).
 */
export function areaInside(polygon: Corners, box: Box): number {
  let left = polygon;
  for (let side = 0; side < 4; side++) {
    const sign = side < 2 ? 1 : -1;
    const inwards = left.map((corner) => sign * (corner[side % 2] - box[side]));
    left = cutOff(left, inwards);
    if (left.length < 3) return 0;
  }
  const [ox, oy] = left[0]; // from a corner: products of large coordinates lose digits
  const twice = left.reduce((sum, [x, y], i) => {
    const [nx, ny] = left[(i + 1) % left.length];
    return sum + (x - ox) * (ny - oy) - (y - oy) * (nx - ox);
  }, 0);
  return Math.abs(twice) / 2;
}

/** The part of a polygon where `inwards`, how far inside each corner lies, is not negative. */
function cutOff(polygon: Corners, inwards: readonly number[]): Corners {
  const corners: [number, number][] = [];
  polygon.forEach(([x, y], i) => {
    const before = (i + polygon.length - 1) % polygon.length;
    if (inwards[i] >= 0 !== inwards[before] >= 0) {
      const share = inwards[before] / (inwards[before] - inwards[i]);
      const [bx, by] = polygon[before];
      corners.push([bx + share * (x - bx), by + share * (y - by)]);
    }
    if (inwards[i] >= 0) corners.push([x, y]);
  });
  return corners;
}
