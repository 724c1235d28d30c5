/** The stages in order: picture -> faces -> crops -> expressions; `mien.analysis.pipeline`. */

import { MienError } from "./errors.js";
import type { Face, Picture, RecognizedFace } from "./face.js";
import type { ModelInfo } from "./model.js";
import type { Numbers } from "./numbers.js";
import type { Runtime } from "./network.js";

/** A file: where it lies, or its bytes. */
export type File = string | URL | Uint8Array | ArrayBuffer;

/** The three networks, as they lie in mien's wheel. */
export interface Models {
  /** A recogniser: mien.onnx, mien-tiny.onnx, or any that `mien export` wrote. */
  readonly recognizer: File;
  /** landmarks68.onnx */
  readonly landmarks: File;
  /** proposals.onnx */
  readonly proposals: File;
}

export interface Settings {
  readonly models: Models;
  /** `numbers.json`, which Python writes: parsed, or where it lies. */
  readonly numbers: Numbers | string | URL;
  /** What probabilities are turned to: equal base rates, three quarters of the way, if not said. */
  readonly baseRates?: BaseRates;
  /** ONNX Runtime, as a page has set it up; onnxruntime-web/wasm if not given. */
  readonly runtime?: Runtime;
  /** In order of preference; ["wasm"] if not said. */
  readonly executionProviders?: readonly string[];
}

/** target : "equal", or "training" to leave them. strength : 0 (leave them) .. 1 (all the way). */
export interface BaseRates {
  readonly target: "equal" | "training";
  readonly strength?: number;
}

export interface StreamSettings {
  /** "causal" evens answers out over time; "none" gives every frame as it was read. */
  readonly smooth?: "causal" | "none";
}

/** Reads the expressions in pictures; owns its networks. */
export class Analyzer {
  private constructor(
    /** What the model file says of itself. */
    readonly info: ModelInfo,
    readonly numbers: Numbers,
  ) {}

  /** An analyzer with its networks ready; throws ModelError. */
  static async load(_settings: Settings): Promise<Analyzer> {
    throw new MienError("not built yet");
  }

  /** The faces of a picture with everything filled in, best found first; [] for none. */
  async analyze(picture: Picture): Promise<RecognizedFace[]> {
    return this.recognize(picture, await this.find(picture));
  }

  /** The faces of a picture with their landmarks; nothing recognised yet. */
  async find(_picture: Picture, _known: readonly Face[] = []): Promise<Face[]> {
    throw new MienError("not built yet");
  }

  /** The same faces with crop, emotions, intensity and quality. */
  async recognize(_picture: Picture, _faces: readonly Face[]): Promise<RecognizedFace[]> {
    throw new MienError("not built yet");
  }

  /** What reads the frames of one camera or film: the same face keeps its track. */
  stream(_settings: StreamSettings = {}): Stream {
    throw new MienError("not built yet");
  }

  /** Free the networks' memory; nothing can be read any more. */
  async release(): Promise<void> {}
}

/** Reads frames in order: follows faces, recognises, smooths. */
export interface Stream {
  /** The faces of the next frame. timeS : seconds, by the source's own clock. */
  next(picture: Picture, timeS: number): Promise<RecognizedFace[]>;
}
