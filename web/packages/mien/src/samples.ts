/** Samples of a person: whose face is meant, and what is kept of it; `mien.person.samples`. */

import type { Box, Face, Picture, RecognizedFace } from "./face.js";
import { longerSide, rounded, roundHalfEven, square } from "./geometry.js";
import { wordOf } from "./labels.js";
import type { Numbers } from "./numbers.js";
import { part, type Raster, resizeArea } from "./raster.js";

/** A face of a person and what it shows, as `mien person` keeps it beside the sample's picture. */
export interface Sample {
  readonly id: string;
  /** mien's own name, or a word of the person's own. */
  readonly label: string;
  /** What was shown meanwhile, or the file it is from. */
  readonly stimulus: string;
  readonly time_s: number;
  readonly date: string;
  readonly box: readonly number[];
  readonly landmarks: readonly number[];
  readonly framing: number;
  readonly picture_quality: number;
}

/** A sample, and the picture that is kept of it: what is around the face. */
export interface Sampled {
  readonly sample: Sample;
  readonly picture: Picture;
}

/** Why a picture gives no sample: in Python's words "no face", "face not well seen", "more than one person". */
export type LeftOut = "nobody" | "unsure" | "several";

/** What a sample is of. stimulus : samples of one are held out together when a recogniser is tested. */
export interface Shown {
  readonly label: string;
  readonly stimulus: string;
  readonly timeS?: number;
}

/** The sample of a picture whose faces were read, or why there is none; throws InputError for no label. */
export function sampleOf(
  picture: Picture,
  faces: readonly RecognizedFace[],
  shown: Shown,
  numbers: Numbers,
): Sampled | LeftOut {
  const found = meant(faces, numbers);
  if (typeof found === "string") return found;
  const { region, face } = around(picture, found, numbers.person.samples);
  const landmarks = Array.from(face.landmarks as Float32Array, (v) => rounded(v, 2));
  const sample = {
    id: identity(),
    label: wordOf(shown.label, numbers),
    stimulus: shown.stimulus,
    time_s: rounded(shown.timeS ?? 0, 3),
    date: now(),
    box: face.box.map((v) => rounded(v, 2)),
    landmarks,
    framing: numbers.detector.framing,
    picture_quality: rounded(found.pictureQuality, 4),
  };
  return { sample, picture: region };
}

/** The face of a sample in its picture. */
export function faceOf({ box, landmarks }: Sample): Face {
  const [x0, y0, x1, y1] = box.map(Math.fround);
  return { box: [x0, y0, x1, y1], score: 1, landmarks: Float32Array.from(landmarks), track: null };
}

/** The face that is meant, or why there is none. */
function meant(faces: readonly RecognizedFace[], numbers: Numbers): RecognizedFace | LeftOut {
  if (faces.length === 0) return "nobody";
  const isWellSeen = (face: RecognizedFace): boolean => face.pictureQuality >= numbers.quality.low;
  const [largest, ...others] = faces.toSorted((a, b) => longerSide(b.box) - longerSide(a.box));
  const least = numbers.person.samples.beside * longerSide(largest.box);
  if (others.some((face) => longerSide(face.box) > least && isWellSeen(face))) return "several";
  return isWellSeen(largest) ? largest : "unsure";
}

/** What is around a face, so wide at most, and the face in it. */
function around(
  picture: Picture,
  face: Face,
  { around: times, side }: Numbers["person"]["samples"],
): { region: Picture; face: Face } {
  const wanted = square(face.box, times);
  const [x0, y0] = [wanted[0], wanted[1]].map((v) => Math.max(Math.floor(v), 0));
  const x1 = Math.min(Math.ceil(wanted[2]), picture.width);
  const y1 = Math.min(Math.ceil(wanted[3]), picture.height);
  const cut = part(picture, x0, y0, x1, y1, 3);
  const scale = Math.min(1, side / Math.max(cut.width, cut.height));
  const [width, height] = [cut.width, cut.height].map((v) => Math.max(1, roundHalfEven(v * scale)));
  const small = scale < 1 ? resizeArea(cut, width, height) : cut;
  const points = face.landmarks as Float32Array;
  return {
    region: opaque(small),
    face: {
      ...face,
      box: face.box.map((v, i) => (v - (i % 2 ? y0 : x0)) * scale) as unknown as Box,
      landmarks: points.map((v, i) => (v + 0.5 - (i % 2 ? y0 : x0)) * scale - 0.5),
    },
  };
}

/** RGB as a picture. */
function opaque({ width, height, data }: Raster): Picture {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
  return { width, height, data: rgba };
}

/** The date and time, UTC, to the second, as Python writes them. */
export function now(): string {
  return `${new Date().toISOString().slice(0, 19)}+00:00`;
}

function identity(): string {
  const drawn = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(drawn, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
