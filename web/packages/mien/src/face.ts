/**
 * The nouns, as `mien.face` has them: a picture, a face in it, and what its expression shows.
 *
 * All of them are plain data, so that they travel between a page and its worker. `null` means *not
 * known*; no face is an empty list. Left and right are the subject's.
 */

/** One picture; an `ImageData` is one. data : RGBA of rows from the top, four bytes a pixel. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/** x0 y0 x1 y1 in pixels, x1 and y1 exclusive, origin top left. */
export type Box = readonly [number, number, number, number];

/** A (2, 3) matrix by rows: what takes points of one picture to those of another. */
export type Matrix = readonly [number, number, number, number, number, number];

/**
 * Where the picture that a recogniser reads lies in its frame.
 *
 * matrix : takes points of the frame to points of the crop. size : the crop's side in pixels.
 */
export interface Crop {
  readonly matrix: Matrix;
  readonly size: number;
}

/** What can be said of a face's picture before asking what it shows. */
export interface Quality {
  /** Side of the crop the recogniser sees, in pixels of the picture. */
  readonly sizePx: number;
  /** Standard deviation of the Laplacian of the crop at 48 x 48, in gray levels. */
  readonly sharpness: number;
  /** Mean gray level in [0, 1]. */
  readonly brightness: number;
  /** Standard deviation of the gray levels, in [0, 1]. */
  readonly contrast: number;
  /** Share of the crop that lies inside the picture, in [0, 1]. */
  readonly inside: number;
  /** To the subject's left, in radians; null without landmarks, as the others. */
  readonly yawRad: number | null;
  /** Upwards. */
  readonly pitchRad: number | null;
  /** Clockwise as one looks at it. */
  readonly rollRad: number | null;
  /** The roll that is left in the crop. */
  readonly tiltRad: number | null;
}

/** A face that was found. */
export interface Face {
  readonly box: Box;
  /** How sure the detector is, in [0, 1]. */
  readonly score: number;
  /** 68 points x y in iBUG's order, (136,), whole in the middle of a pixel; null: none placed. */
  readonly landmarks: Float32Array | null;
  /** The same number for the same face in every frame of a stream, from 1; null in a still. */
  readonly track: number | null;
}

/** A face as `Analyzer.analyze` gives it. */
export interface RecognizedFace extends Face {
  readonly crop: Crop;
  /** Probabilities by label, in the model's order; they sum to 1. */
  readonly emotions: Readonly<Record<string, number>>;
  /** The likeliest label. */
  readonly top: string;
  /** How strongly each label shows, each in [0, 1]; null where the model does not tell. */
  readonly intensity: Readonly<Record<string, number>> | null;
  readonly quality: Quality;
  /** How good the picture of this face is, in [0, 1]; no probability. */
  readonly pictureQuality: number;
  /** The answer falls short of the model's own threshold, or the picture of it does. */
  readonly uncertain: boolean;
}
