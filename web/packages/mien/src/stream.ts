/** Frames of one camera or film, in order: faces followed, recognised, smoothed. */

import { InputError } from "./errors.js";
import type { Face, Picture, RecognizedFace } from "./face.js";
import type { Numbers } from "./numbers.js";
import { isUncertain } from "./quality.js";
import { Causal, type Values } from "./smooth.js";
import { type Finds, Tracker } from "./tracks.js";

export interface StreamSettings {
  /** "causal" evens answers out over time; "none" gives every frame as it was read. */
  readonly smooth?: "causal" | "none";
}

/** What a stream needs of an analyzer. */
export interface Reads extends Finds {
  readonly numbers: Numbers;
  readonly info: { readonly labels: readonly string[]; readonly uncertainBelow: number };
  recognize(picture: Picture, faces: readonly Face[]): Promise<RecognizedFace[]>;
}

/** Reads frames in order; `analyzer.stream()`. */
export class Stream {
  private readonly tracker: Tracker;
  private readonly smoother: Causal | null;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly analyzer: Reads,
    { smooth = "causal" }: StreamSettings = {},
  ) {
    if (smooth !== "causal" && smooth !== "none") {
      throw new InputError(`smooth is "causal" or "none", got ${JSON.stringify(smooth)}`);
    }
    this.tracker = new Tracker(analyzer, analyzer.numbers);
    this.smoother = smooth === "causal" ? new Causal(analyzer.numbers.smooth) : null;
  }

  /**
   * The faces of the next frame, in the order of their tracks. Frames are read one after the other,
   * however fast they come: leave out those of a camera that come while one is read.
   *
   * timeS : seconds, by the source's own clock.
   */
  async next(picture: Picture, timeS: number): Promise<RecognizedFace[]> {
    if (!Number.isFinite(timeS)) {
      throw new InputError(`a frame needs its time in seconds, got ${timeS}; a video has currentTime`);
    }
    const turn = this.last.then(() => this.read(picture, timeS));
    this.last = turn.catch(() => undefined);
    return turn;
  }

  private async read(picture: Picture, timeS: number): Promise<RecognizedFace[]> {
    const faces = await this.analyzer.recognize(picture, await this.tracker.follow(picture, timeS));
    if (this.smoother === null) return faces;
    const read = new Map(faces.map((face) => [face.track as number, this.values(face)]));
    const smoothed = this.smoother.push(timeS, read);
    return faces.map((face) => this.smoothed(face, smoothed.get(face.track as number) as Values));
  }

  private values({ emotions, intensity }: RecognizedFace): Values {
    const { labels } = this.analyzer.info;
    return {
      probs: labels.map((label) => emotions[label]),
      intensity: intensity && labels.map((label) => intensity[label]),
    };
  }

  /** A face with other values, and what follows from them. */
  private smoothed(face: RecognizedFace, { probs, intensity }: Values): RecognizedFace {
    const { info, numbers } = this.analyzer;
    const sum = probs.reduce((a, b) => a + b, 0);
    const emotions = named(info.labels, probs.map((p) => p / sum));
    const top = topOf(emotions);
    return {
      ...face,
      emotions,
      top,
      intensity: intensity && named(info.labels, intensity),
      uncertain: isUncertain(emotions[top], info.uncertainBelow, face.pictureQuality, numbers),
    };
  }
}

/** Values by their labels. */
export function named(labels: readonly string[], values: ArrayLike<number>): Record<string, number> {
  return Object.fromEntries(labels.map((label, k) => [label, values[k]]));
}

/** The likeliest label; of several the first. */
export function topOf(emotions: Readonly<Record<string, number>>): string {
  return Object.keys(emotions).reduce((best, label) => (emotions[label] > emotions[best] ? label : best));
}
