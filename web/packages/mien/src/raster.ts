/**
 * Pixels, and what OpenCV does with them: gray levels, sizes and warps, bit by bit the same.
 *
 * OpenCV works in fixed point: eleven bits for the weights of resizing, coordinates of warping in
 * thirty-seconds of a pixel. To answer as Python does, so does this.
 */

import { InputError } from "./errors.js";
import type { Matrix, Picture } from "./face.js";
import { clamp, roundHalfEven } from "./geometry.js";

/** Pixels of 8 bits, gray or RGB, rows from the top. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

const R = 9798; // of ITU-R 601's luma in 15 bits
const G = 19235;
const B = 3735;

/** Throws InputError for what is no picture. */
export function check(picture: Picture): void {
  if (!picture?.data) {
    throw new InputError("a picture has width, height and RGBA data, as an ImageData has");
  }
  const { width, height, data } = picture;
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new InputError(`a picture has at least one pixel each way, got ${width} x ${height}`);
  }
  if (data?.length !== 4 * width * height) {
    throw new InputError(
      `a picture of ${width} x ${height} has ${4 * width * height} bytes of RGBA, ` +
        `got ${data.length}; the data of an ImageData has`,
    );
  }
  if (data.BYTES_PER_ELEMENT !== 1) {
    // Values from 0 to 1, say: every picture would be black, and nobody in it.
    throw new InputError(
      `a picture's data are bytes, 0 to 255, got ${data.constructor.name}; Uint8ClampedArray.from() takes numbers of that range`,
    );
  }
}

/** A part of a picture, over white where it is transparent; gray or RGB. */
export function part(
  picture: Picture,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  channels: 1 | 3,
): Raster {
  const [width, height] = [x1 - x0, y1 - y0];
  const columns = Array.from({ length: width }, (_, i) => x0 + i);
  const rows = Array.from({ length: height }, (_, i) => y0 + i);
  return picked(picture, columns, rows, channels);
}

/** The pixels of some columns and rows of a picture. */
export function picked(
  picture: Picture,
  columns: ArrayLike<number>,
  rows: ArrayLike<number>,
  channels: 1 | 3,
): Raster {
  const [width, height] = [columns.length, rows.length];
  const data = new Uint8Array(width * height * channels);
  const from = picture.data;
  let to = 0;
  for (let j = 0; j < height; j++) {
    const start = rows[j] * picture.width;
    for (let i = 0; i < width; i++) {
      const at = 4 * (start + columns[i]);
      let r = from[at];
      let g = from[at + 1];
      let b = from[at + 2];
      const alpha = from[at + 3];
      if (alpha !== 255) {
        r = overWhite(r, alpha);
        g = overWhite(g, alpha);
        b = overWhite(b, alpha);
      }
      if (channels === 1) {
        data[to++] = luma(r, g, b);
      } else {
        data[to++] = r;
        data[to++] = g;
        data[to++] = b;
      }
    }
  }
  return { width, height, channels, data };
}

function overWhite(level: number, alpha: number): number {
  return Math.floor((level * alpha + 255 * (255 - alpha) + 127) / 255);
}

function luma(r: number, g: number, b: number): number {
  return (r * R + g * G + b * B + (1 << 14)) >> 15;
}

/** The gray levels of a raster. */
export function gray(raster: Raster): Raster {
  if (raster.channels === 1) return raster;
  const data = new Uint8Array(raster.width * raster.height);
  for (let i = 0, at = 0; i < data.length; i++, at += 3) {
    data[i] = luma(raster.data[at], raster.data[at + 1], raster.data[at + 2]);
  }
  return { ...raster, channels: 1, data };
}

/** How often a picture can be halved until it is `factor` times smaller, or a little less. */
export function halvings(factor: number): number {
  let times = 0;
  for (let rest = factor; rest >= 2; rest /= 2) times++;
  return times;
}

/** A raster with half the pixels each way so many times; past its border the last ones again. */
export function halve(raster: Raster, times: number): Raster {
  let halved = raster;
  for (let i = 0; i < times; i++) halved = halvedOnce(halved);
  return halved;
}

function halvedOnce({ width, height, channels, data }: Raster): Raster {
  const [half, low] = [(width + 1) >> 1, (height + 1) >> 1];
  const out = new Uint8Array(half * low * channels);
  let to = 0;
  for (let y = 0; y < low; y++) {
    const above = 2 * y * width;
    const below = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < half; x++) {
      const left = 2 * x;
      const right = Math.min(left + 1, width - 1);
      for (let k = 0; k < channels; k++) {
        const sum =
          data[(above + left) * channels + k] +
          data[(above + right) * channels + k] +
          data[(below + left) * channels + k] +
          data[(below + right) * channels + k];
        out[to++] = (sum + 2) >> 2;
      }
    }
  }
  return { width: half, height: low, channels, data: out };
}

/** Which two pixels a new one lies between, and the weights of both in eleven bits. */
interface Between {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly near: Int32Array;
  readonly far: Int32Array;
}

function between(from: number, to: number, clipped: boolean): Between {
  const found: Between = {
    first: new Int32Array(to),
    second: new Int32Array(to),
    near: new Int32Array(to),
    far: new Int32Array(to),
  };
  for (let i = 0; i < to; i++) {
    const place = Math.fround((i + 0.5) * (from / to) - 0.5);
    let low = Math.floor(place);
    let share = Math.fround(place - low);
    if (clipped && (low < 0 || low >= from - 1)) {
      low = clamp(low, 0, from - 1);
      share = 0;
    }
    found.first[i] = clamp(low, 0, from - 1);
    found.second[i] = clamp(low + 1, 0, from - 1);
    found.near[i] = roundHalfEven(Math.fround(1 - share) * 2048);
    found.far[i] = roundHalfEven(share * 2048);
  }
  return found;
}

/** `cv2.resize`, bilinear. */
export function resizeLinear(raster: Raster, width: number, height: number): Raster {
  const { channels } = raster;
  if (raster.width === width && raster.height === height) return raster;
  if (raster.width === 2 * width && raster.height === 2 * height) return halvedOnce(raster);
  const columns = between(raster.width, width, true);
  const rows = between(raster.height, height, false);
  const data = new Uint8Array(width * height * channels);
  const line = width * channels;
  const above = new Int32Array(line);
  const below = new Int32Array(line);
  let [inAbove, inBelow] = [-1, -1]; // the row of the picture that each buffer holds
  for (let y = 0; y < height; y++) {
    if (inAbove !== rows.first[y]) {
      if (inBelow === rows.first[y]) above.set(below);
      else blendRow(raster, rows.first[y], columns, above);
      inAbove = rows.first[y];
    }
    if (inBelow !== rows.second[y]) {
      blendRow(raster, rows.second[y], columns, below);
      inBelow = rows.second[y];
    }
    const [near, far] = [rows.near[y], rows.far[y]];
    for (let i = 0; i < line; i++) {
      data[y * line + i] =
        (((near * (above[i] >> 4)) >> 16) + ((far * (below[i] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return { width, height, channels, data };
}

function blendRow(raster: Raster, row: number, columns: Between, out: Int32Array): void {
  const { channels, data } = raster;
  const start = row * raster.width;
  for (let x = 0, to = 0; x < columns.first.length; x++) {
    const left = (start + columns.first[x]) * channels;
    const right = (start + columns.second[x]) * channels;
    for (let k = 0; k < channels; k++) {
      out[to++] = data[left + k] * columns.near[x] + data[right + k] * columns.far[x];
    }
  }
}

/** `cv2.resize` with `INTER_AREA`: each pixel the mean of those it covers; for shrinking. */
export function resizeArea(raster: Raster, width: number, height: number): Raster {
  if (raster.width === width && raster.height === height) return raster;
  if (raster.width < width || raster.height < height) return resizeLinear(raster, width, height);
  const [across, down] = [raster.width / width, raster.height / height];
  if (across === 2 && down === 2) return halvedOnce(raster);
  if (Number.isInteger(across) && Number.isInteger(down)) return meanOfBlocks(raster, width, height);
  return meanOfParts(raster, width, height);
}

function meanOfBlocks(raster: Raster, width: number, height: number): Raster {
  const { channels } = raster;
  const [across, down] = [raster.width / width, raster.height / height];
  const share = Math.fround(1 / (across * down));
  const data = new Uint8Array(width * height * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let k = 0; k < channels; k++) {
        let sum = 0;
        for (let j = 0; j < down; j++) {
          let at = ((y * down + j) * raster.width + x * across) * channels + k;
          for (let i = 0; i < across; i++, at += channels) sum += raster.data[at];
        }
        data[to++] = roundHalfEven(Math.fround(sum * share));
      }
    }
  }
  return { width, height, channels, data };
}

/** What of one side's pixels a new one covers: `from[i]` of the old, `to[i]` of the new. */
interface Covers {
  readonly from: number[];
  readonly to: number[];
  readonly shares: number[];
}

const LEAST_SHARE = 1e-3; // of a pixel, as in OpenCV; less is not looked at

function covers(from: number, to: number): Covers {
  const found: Covers = { from: [], to: [], shares: [] };
  const add = (i: number, at: number, share: number): void => {
    found.from.push(at);
    found.to.push(i);
    found.shares.push(Math.fround(share));
  };
  const scale = from / to;
  for (let i = 0; i < to; i++) {
    const begin = i * scale;
    const end = begin + scale;
    const width = Math.min(scale, from - begin);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(begin), last);
    if (first - begin > LEAST_SHARE) add(i, first - 1, (first - begin) / width);
    for (let at = first; at < last; at++) add(i, at, 1 / width);
    if (end - last > LEAST_SHARE) add(i, last, Math.min(Math.min(end - last, 1), width) / width);
  }
  return found;
}

function meanOfParts(raster: Raster, width: number, height: number): Raster {
  const { channels } = raster;
  const columns = covers(raster.width, width);
  const rows = covers(raster.height, height);
  const line = width * channels;
  const row = new Float32Array(line);
  const sums = new Float32Array(line * height);
  rows.from.forEach((from, n) => {
    row.fill(0);
    columns.from.forEach((at, i) => {
      for (let k = 0; k < channels; k++) {
        const level = raster.data[(from * raster.width + at) * channels + k];
        row[columns.to[i] * channels + k] += Math.fround(level * columns.shares[i]);
      }
    });
    const [start, share] = [rows.to[n] * line, rows.shares[n]];
    for (let i = 0; i < line; i++) sums[start + i] += Math.fround(share * row[i]);
  });
  const data = Uint8Array.from(sums, (v) => clamp(roundHalfEven(v), 0, 255));
  return { width, height, channels, data };
}

const PLACES = 1024; // of a pixel, in which OpenCV keeps coordinates; of those a 32nd counts

/** `cv2.warpAffine`, bilinear; outside the raster its border repeats. */
export function warp(raster: Raster, matrix: Matrix, width: number, height: number): Raster {
  const [a, b, x, c, d, y] = matrix;
  const det = a * d - b * c;
  const by = det === 0 ? 0 : 1 / det;
  const [m0, m1, m3, m4] = [d * by, -b * by, -c * by, a * by];
  const [sx, sy] = [-m0 * x - m1 * y, -m3 * x - m4 * y];
  const { channels, data: from } = raster;
  const [right, bottom] = [raster.width - 1, raster.height - 1];
  const alongX = Int32Array.from({ length: width }, (_, i) => roundHalfEven(m0 * i * PLACES));
  const alongY = Int32Array.from({ length: width }, (_, i) => roundHalfEven(m3 * i * PLACES));
  const data = new Uint8Array(width * height * channels);
  let to = 0;
  for (let j = 0; j < height; j++) {
    const beginX = roundHalfEven((m1 * j + sx) * PLACES) + 16;
    const beginY = roundHalfEven((m4 * j + sy) * PLACES) + 16;
    for (let i = 0; i < width; i++) {
      const u = (beginX + alongX[i]) >> 5;
      const v = (beginY + alongY[i]) >> 5;
      const x0 = u >> 5;
      const y0 = v >> 5;
      const far = u & 31;
      const low = v & 31;
      const left = clamp(x0, 0, right) * channels;
      const next = clamp(x0 + 1, 0, right) * channels;
      const above = clamp(y0, 0, bottom) * raster.width * channels;
      const below = clamp(y0 + 1, 0, bottom) * raster.width * channels;
      for (let k = 0; k < channels; k++) {
        const upper = from[above + left + k] * (32 - far) + from[above + next + k] * far;
        const lower = from[below + left + k] * (32 - far) + from[below + next + k] * far;
        data[to++] = (upper * (32 - low) + lower * low + 512) >> 10;
      }
    }
  }
  return { width, height, channels, data };
}
