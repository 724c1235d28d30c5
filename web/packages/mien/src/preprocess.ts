/** From a face crop to what a network takes; `mien.media.preprocess`. */

import { clamp, roundHalfEven } from "./geometry.js";
import { gray, halve, halvings, type Raster, resizeArea, resizeLinear } from "./raster.js";

/** What a network expects. size : side of its square input. color : gray or rgb. */
export interface Preprocess {
  readonly size: number;
  readonly color: string;
}

/** The colors that networks see. */
export const COLORS = ["gray", "rgb"];

/** How many planes a color has. */
export function channelsOf(color: string): 1 | 3 {
  return color === "gray" ? 1 : 3;
}

/** The raster in the middle of a square; its border is repeated outwards, never squashed. */
function padToSquare(raster: Raster): Raster {
  const { width, height, channels } = raster;
  if (width === height) return raster;
  const side = Math.max(width, height);
  const left = Math.floor((side - width) / 2);
  const top = Math.floor((side - height) / 2);
  const data = new Uint8Array(side * side * channels);
  let to = 0;
  for (let y = 0; y < side; y++) {
    const start = clamp(y - top, 0, height - 1) * width;
    for (let x = 0; x < side; x++) {
      const at = (start + clamp(x - left, 0, width - 1)) * channels;
      for (let k = 0; k < channels; k++) data[to++] = raster.data[at + k];
    }
  }
  return { width: side, height: side, channels, data };
}

/** A raster with its longer side at `size` pixels: averaged shrinking, bilinear growing. */
function resize(raster: Raster, size: number, rest: number): Raster {
  const longer = Math.max(raster.width, raster.height);
  if (longer === size) return raster;
  const width = Math.max(1, roundHalfEven((raster.width * size) / longer));
  const height = Math.max(1, roundHalfEven((raster.height * size) / longer));
  if (longer < size) return resizeLinear(raster, width, height);
  return resizeArea(halve(raster, halvings(longer / size / rest)), width, height);
}

/** One crop as `spec` wants it. rest : how many times smaller a halved crop is still to become. */
export function prepare(crop: Raster, spec: Preprocess, rest: number): Raster {
  return padToSquare(resize(spec.color === "gray" ? gray(crop) : crop, spec.size, rest));
}

/** Crops of one size as planes, (N, C, S, S), gray levels 0..255. */
export function batch(crops: readonly Raster[]): Float32Array {
  if (crops.length === 0) return new Float32Array();
  const { channels, width, height } = crops[0];
  const plane = width * height;
  const planes = new Float32Array(crops.length * channels * plane);
  crops.forEach(({ data }, n) => {
    for (let k = 0; k < channels; k++) {
      const start = (n * channels + k) * plane;
      for (let i = 0; i < plane; i++) planes[start + i] = data[i * channels + k];
    }
  });
  return planes;
}
