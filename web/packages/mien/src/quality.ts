/** How good the picture of a face is, before asking what it shows; `mien.faces.quality`. */

import { roll, shareInside, side } from "./align.js";
import type { Crop, Picture, Quality } from "./face.js";
import { clamp, roundHalfEven } from "./geometry.js";
import type { Numbers } from "./numbers.js";
import { estimate } from "./pose.js";
import { prepare } from "./preprocess.js";
import type { Raster } from "./raster.js";

/** The quality of a face in its picture; pixels : the crop that is read. */
export function measure(
  picture: Picture,
  landmarks: Float32Array | null,
  crop: Crop,
  pixels: Raster,
  numbers: Numbers,
): Quality {
  const seen = { size: numbers.quality.seen_at, color: "gray" };
  const levels = prepare(pixels, seen, numbers.preprocess.rest);
  const turned = landmarks && estimate(landmarks, numbers.pose);
  return {
    sizePx: side(crop),
    sharpness: deviation(laplacian(levels)),
    brightness: meanOf(levels.data) / 255,
    contrast: deviation(levels.data) / 255,
    inside: shareInside(picture, crop),
    yawRad: turned?.yawRad ?? null,
    pitchRad: turned?.pitchRad ?? null,
    rollRad: turned?.rollRad ?? null,
    tiltRad: turned ? within(turned.rollRad - roll(crop)) : null,
  };
}

/** How good the picture is of a face found with `score`, in [0, 1]. */
export function pictureQuality(score: number, quality: Quality, numbers: Numbers): number {
  const measures: Readonly<Record<string, number | null>> = {
    size_px: quality.sizePx,
    sharpness: quality.sharpness,
    brightness: quality.brightness,
    contrast: quality.contrast,
    inside: quality.inside,
    yaw_rad: quality.yawRad,
    pitch_rad: quality.pitchRad,
    tilt_rad: quality.tiltRad,
  };
  return numbers.quality.factors.reduce((result, [name, worst, best]) => {
    const value = measures[name];
    return value === null ? result : result * clamp((Math.abs(value) - worst) / (best - worst), 0, 1);
  }, score);
}

/** Whether an answer falls short: its top probability of the model's `least`, or its picture. */
export function isUncertain(top: number, least: number, good: number, numbers: Numbers): boolean {
  return top < least || good < numbers.quality.low;
}

/** An angle in [-pi, pi]. */
function within(angle: number): number {
  return angle - 2 * Math.PI * roundHalfEven(angle / (2 * Math.PI));
}

/** What each pixel differs from its four neighbours, mirrored at the border. */
function laplacian({ width, height, data }: Raster): Float32Array {
  const out = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const above = Math.abs(y - 1) * width;
    const below = (y + 1 < height ? y + 1 : height - 2) * width;
    for (let x = 0; x < width; x++) {
      const left = Math.abs(x - 1);
      const right = x + 1 < width ? x + 1 : width - 2;
      const around = data[above + x] + data[below + x] + data[y * width + left] + data[y * width + right];
      out[y * width + x] = around - 4 * data[y * width + x];
    }
  }
  return out;
}

function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

function deviation(values: ArrayLike<number>): number {
  const mean = meanOf(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] - mean) ** 2;
  return Math.sqrt(sum / values.length);
}
