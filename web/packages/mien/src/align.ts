/** From a face to the crop its expression is read from; `mien.faces.align`. */

import type { Box, Crop, Face, Matrix, Picture } from "./face.js";
import {
  areaInside,
  clamp,
  inverse,
  longerSide,
  roundHalfEven,
  similarity,
  square,
  transformed,
} from "./geometry.js";
import { five } from "./landmarks.js";
import type { AlignNumbers, Numbers } from "./numbers.js";
import { halve, halvings, part, picked, type Raster, resizeArea, warp } from "./raster.js";

/** Ways a face is cut; a model file names its own. */
export const ALIGNMENTS = ["box", "similarity"];

/** The crop of a face; by its box where it has no landmarks, or such as no face has. */
export function place(face: Face, alignment: string, size: number, numbers: Numbers): Crop {
  return ofLandmarks(face, alignment, size, numbers) ?? ofBox(face.box, numbers.detector.framing);
}

function ofLandmarks(face: Face, alignment: string, size: number, numbers: Numbers): Crop | null {
  if (alignment === "box" || face.landmarks === null) return null;
  const template = numbers.align.template.flat().map((share) => share * size - 0.5);
  const matrix = similarity(five(face.landmarks, numbers.landmarks), template);
  if (matrix === null || inverse(matrix) === null) return null;
  const crop = { matrix, size };
  return isOf(crop, face.box, numbers.align) ? crop : null;
}

/** The square about a box, `framing` times its longer side, in whole pixels of the frame. */
function ofBox(box: Box, framing: number): Crop {
  const [x0, y0, x1] = square(box, framing);
  const size = Math.max(1, roundHalfEven(Math.fround(x1 - x0)));
  return { matrix: [1, 0, -roundHalfEven(x0), 0, 1, -roundHalfEven(y0)], size };
}

/** Whether a crop can be of the face in a box: its middle in it, its size like it. */
function isOf(crop: Crop, box: Box, numbers: AlignNumbers): boolean {
  const corners = outline(crop);
  const x = corners.reduce((sum, corner) => sum + corner[0], 0) / 4 + 0.5;
  const y = corners.reduce((sum, corner) => sum + corner[1], 0) / 4 + 0.5;
  const inside = box[0] <= x && x <= box[2] && box[1] <= y && y <= box[3];
  const longer = longerSide(box);
  return inside && numbers.smallest * longer <= side(crop) && side(crop) <= numbers.largest * longer;
}

/** The corners of a crop as points of its frame, clockwise from the upper left. */
function outline(crop: Crop): [number, number][] {
  const [low, high] = [-0.5, crop.size - 0.5];
  const back = backOf(crop.matrix);
  const corners = [
    [low, low],
    [high, low],
    [high, high],
    [low, high],
  ];
  return corners.map(([x, y]) => transformed(back, x, y));
}

function backOf(matrix: Matrix): Matrix {
  const back = inverse(matrix);
  if (back === null) throw new RangeError(`no transform takes back ${matrix}`);
  return back;
}

/** A crop's side in pixels of its frame. */
export function side({ matrix: [a, b, , c, d], size }: Crop): number {
  return size / Math.sqrt(Math.abs(a * d - b * c));
}

/** How far a crop is turned in its frame, in radians, clockwise as one looks at it. */
export function roll({ matrix: [a, b] }: Crop): number {
  return Math.atan2(b, a);
}

/** What part of a crop lies inside the picture, in [0, 1]. */
export function shareInside(picture: Picture, crop: Crop): number {
  const borders: Box = [-0.5, -0.5, picture.width - 0.5, picture.height - 0.5];
  return Math.min(1, areaInside(outline(crop), borders) / side(crop) ** 2);
}

/**
 * The pixels of a crop; outside the picture its border repeats.
 *
 * What is only shifted by whole pixels is copied. The rest is averaged where the crop has fewer
 * pixels than the frame and interpolated where it has more.
 */
export function cut(picture: Picture, crop: Crop, channels: 1 | 3, numbers: AlignNumbers): Raster {
  const { matrix, size } = crop;
  const [a, b, x, c, d, y] = matrix;
  const [left, top] = [roundHalfEven(x), roundHalfEven(y)];
  const rest = [a - 1, b, x - left, c, d - 1, y - top].map(Math.abs);
  if (Math.max(...rest) < numbers.exact) return copied(picture, -left, -top, size, channels);
  const back = backOf(matrix);
  const shrinks = [Math.hypot(back[0], back[3]), Math.hypot(back[1], back[4])];
  const times = halvings(Math.min(...shrinks) / numbers.fine + numbers.exact);
  const step = 2 ** times;
  const [x0, x1] = under(back.slice(0, 3), size, picture.width, step);
  const [y0, y1] = under(back.slice(3), size, picture.height, step);
  const near = halve(part(picture, x0, y0, x1, y1, channels), times);
  // From the halved part's pixels, whose first has its middle at ox, oy of the frame.
  const [ox, oy] = [x0 + (step - 1) / 2, y0 + (step - 1) / 2];
  const [across, down] = shrinks.map((s) => Math.max(1, Math.ceil(s / step / numbers.spacing)));
  const fine: Matrix = [
    across * a * step,
    across * b * step,
    across * (a * ox + b * oy + x + 0.5) - 0.5,
    down * c * step,
    down * d * step,
    down * (c * ox + d * oy + y + 0.5) - 0.5,
  ];
  return resizeArea(warp(near, fine, across * size, down * size), size, size);
}

function copied(picture: Picture, x0: number, y0: number, size: number, channels: 1 | 3): Raster {
  const columns = Array.from({ length: size }, (_, i) => clamp(x0 + i, 0, picture.width - 1));
  const rows = Array.from({ length: size }, (_, i) => clamp(y0 + i, 0, picture.height - 1));
  return picked(picture, columns, rows, channels);
}

/**
 * Of a frame's side, the first and the last pixel but one under a crop of `size`.
 *
 * A multiple of `whole` pixels, unless the frame ends: it keeps what is to be warped small.
 */
function under([u, v, start]: number[], size: number, length: number, whole: number): [number, number] {
  const ends = [-0.5, size - 0.5];
  const places = ends.flatMap((i) => ends.map((j) => u * i + v * j + start));
  const first = Math.min(Math.max(Math.floor(Math.min(...places)) - 1, 0), length - 1);
  const last = Math.min(Math.max(Math.ceil(Math.max(...places)) + 2, first + 1), length);
  return [first, Math.min(first + Math.ceil((last - first) / whole) * whole, length)];
}
