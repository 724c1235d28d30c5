/** Results as records of schema `mien/2`, as `mien analyze` writes them. */

import type { Picture, Quality, RecognizedFace } from "./face.js";
import { rounded } from "./geometry.js";
import type { Numbers } from "./numbers.js";

/** What a record holds of a face; null for what is not known. */
export interface FaceRecord {
  track: number | null;
  box: [number, number, number, number];
  score: number;
  landmarks: [number, number][] | null;
  emotions: Record<string, number>;
  top: string;
  picture_quality: number;
  uncertain: boolean;
  intensity: Record<string, number> | null;
  quality: QualityRecord;
  /** Prediction sets are not made here. */
  prediction_set: null;
}

export interface QualityRecord {
  size_px: number;
  sharpness: number;
  brightness: number;
  contrast: number;
  inside: number;
  yaw_rad: number | null;
  pitch_rad: number | null;
  roll_rad: number | null;
  tilt_rad: number | null;
}

/** One picture, or one frame; `docs/results.md` tells what each column means. */
export interface PictureRecord {
  schema: string;
  source: string;
  frame: number;
  time_s: number;
  status: "ok" | "no_face" | "low_quality";
  width: number;
  height: number;
  faces: FaceRecord[];
}

/** Where a picture comes from. frame : its number in a recording. timeS : seconds from its start. */
export interface Origin {
  readonly source?: string;
  readonly frame?: number;
  readonly timeS?: number;
}

/** The record of an analysed picture. */
export function recordOf(
  picture: Pick<Picture, "width" | "height">,
  faces: readonly RecognizedFace[],
  numbers: Numbers,
  origin: Origin = {},
): PictureRecord {
  const low = faces.every((face) => face.pictureQuality < numbers.quality.low);
  return {
    schema: numbers.records.schema,
    source: origin.source ?? "",
    frame: origin.frame ?? 0,
    time_s: origin.timeS ?? 0,
    status: faces.length === 0 ? "no_face" : low ? "low_quality" : "ok",
    width: picture.width,
    height: picture.height,
    faces: faces.map(faceRecord),
  };
}

function faceRecord(face: RecognizedFace): FaceRecord {
  const [x0, y0, x1, y1] = face.box.map((v) => rounded(v, 2));
  return {
    track: face.track,
    box: [x0, y0, x1, y1],
    score: rounded(face.score),
    landmarks: face.landmarks && points(face.landmarks),
    emotions: allRounded(face.emotions),
    top: face.top,
    picture_quality: rounded(face.pictureQuality),
    uncertain: face.uncertain,
    intensity: face.intensity && allRounded(face.intensity),
    quality: qualityRecord(face.quality),
    prediction_set: null,
  };
}

function qualityRecord(quality: Quality): QualityRecord {
  return {
    size_px: rounded(quality.sizePx),
    sharpness: rounded(quality.sharpness),
    brightness: rounded(quality.brightness),
    contrast: rounded(quality.contrast),
    inside: rounded(quality.inside),
    yaw_rad: roundedIfKnown(quality.yawRad),
    pitch_rad: roundedIfKnown(quality.pitchRad),
    roll_rad: roundedIfKnown(quality.rollRad),
    tilt_rad: roundedIfKnown(quality.tiltRad),
  };
}

function points(landmarks: Float32Array): [number, number][] {
  return Array.from({ length: landmarks.length / 2 }, (_, i) => [
    rounded(landmarks[2 * i], 2),
    rounded(landmarks[2 * i + 1], 2),
  ]);
}

function allRounded(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, v]) => [name, rounded(v)]));
}

function roundedIfKnown(value: number | null): number | null {
  return value === null ? null : rounded(value);
}
