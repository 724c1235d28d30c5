/** The stages in order: picture -> faces -> crops -> expressions; `mien.analysis.pipeline`. */

import { cut, place } from "./align.js";
import { Detector } from "./detector.js";
import type { Face, Picture, RecognizedFace } from "./face.js";
import { bytesOf, type File, nameOf } from "./files.js";
import { Landmarker, type Placed } from "./landmarker.js";
import type { Leveled } from "./landmarks.js";
import { type ModelInfo, readInfo } from "./model.js";
import { Network, type Runtime } from "./network.js";
import { checked, type Numbers } from "./numbers.js";
import { Proposer } from "./proposals.js";
import { isUncertain, measure, pictureQuality } from "./quality.js";
import { check, type Raster } from "./raster.js";
import { type BaseRates, type Reading, Recognizer, weightsOf } from "./recognizer.js";
import { type Origin, type PictureRecord, recordOf } from "./records.js";
import { named, Stream, type StreamSettings, topOf } from "./stream.js";

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
  /** What probabilities are turned to; three quarters of the way to equal rates, if not said. */
  readonly baseRates?: BaseRates;
  /** ONNX Runtime, as a page has set it up; onnxruntime-web/wasm if not given, in Node onnxruntime-web. */
  readonly runtime?: Runtime;
  /** In order of preference; ["wasm"] if not said. */
  readonly executionProviders?: readonly string[];
}

/** Reads the expressions in pictures; owns its networks. */
export class Analyzer {
  private constructor(
    readonly numbers: Numbers,
    private readonly recognizer: Recognizer,
    private readonly landmarker: Landmarker,
    private readonly detector: Detector,
    private readonly networks: readonly Network[],
  ) {}

  /** An analyzer with its networks ready; throws ModelError for a file that is none of them. */
  static async load(settings: Settings): Promise<Analyzer> {
    const { models, executionProviders = ["wasm"], baseRates } = settings;
    const runtime = settings.runtime ?? (await import("#runtime"));
    const numbers = await numbersOf(settings.numbers);
    const names = ["recognizer", "landmarks", "proposals"] as const;
    const files = await Promise.all(names.map((name) => bytesOf(models[name])));
    const info = await readInfo(files[0], nameOf(models.recognizer, "the recogniser"), numbers);
    const weights = weightsOf(info, baseRates ?? {}, numbers.base_rates);
    const called = names.map((name) => nameOf(models[name], `the network '${name}'`));
    const networks = await networksOf(runtime, files, called, executionProviders);
    const landmarker = new Landmarker(networks[1], numbers);
    const proposer = new Proposer(networks[2], numbers.proposals);
    return new Analyzer(
      numbers,
      new Recognizer(info, networks[0], numbers, weights),
      landmarker,
      new Detector(proposer, landmarker, numbers),
      networks,
    );
  }

  /** What the model file says of itself. */
  get info(): ModelInfo {
    return this.recognizer.info;
  }

  /** The faces of a picture with everything filled in, best found first; [] for none. */
  async analyze(picture: Picture): Promise<RecognizedFace[]> {
    return this.recognize(picture, await this.find(picture));
  }

  /**
   * The faces of a picture with their landmarks; nothing recognised yet.
   *
   * known : faces with landmarks that are placed in it already. Throws InputError.
   */
  async find(picture: Picture, known: readonly Face[] = []): Promise<Face[]> {
    check(picture);
    return this.detector.detect(picture, known);
  }

  /** The landmarks of faces known from the frame before, without a search. */
  async findAgain(picture: Picture, expected: readonly Leveled[]): Promise<Placed[]> {
    return this.landmarker.again(picture, expected);
  }

  /** The same faces with crop, emotions, intensity and quality. */
  async recognize(picture: Picture, faces: readonly Face[]): Promise<RecognizedFace[]> {
    check(picture);
    const { align, preprocess } = this.info;
    const crops = faces.map((face) => place(face, align, preprocess.size, this.numbers));
    const pixels = crops.map((crop) => cut(picture, crop, 3, this.numbers.align));
    const read = await this.recognizer.read(pixels);
    return faces.map((face, i) => {
      const quality = measure(picture, face.landmarks, crops[i], pixels[i], this.numbers);
      return this.judged({ ...face, crop: crops[i], quality }, read[i]);
    });
  }

  /** Probabilities and intensities of face crops that are cut already. */
  async read(crops: readonly Raster[]): Promise<Reading[]> {
    return this.recognizer.read(crops);
  }

  private judged(
    face: Face & Pick<RecognizedFace, "crop" | "quality">,
    { probs, intensity }: Reading,
  ): RecognizedFace {
    const { labels, uncertainBelow } = this.info;
    const good = pictureQuality(face.score, face.quality, this.numbers);
    const emotions = named(labels, probs);
    const top = topOf(emotions);
    return {
      ...face,
      emotions,
      top,
      intensity: intensity && named(labels, intensity),
      pictureQuality: good,
      uncertain: isUncertain(emotions[top], uncertainBelow, good, this.numbers),
    };
  }

  /** What reads the frames of one camera or film: the same face keeps its track. */
  stream(settings: StreamSettings = {}): Stream {
    return new Stream(this, settings);
  }

  /** The record of an analysed picture, as `mien analyze` writes it. */
  recordOf(
    picture: Pick<Picture, "width" | "height">,
    faces: readonly RecognizedFace[],
    origin: Origin = {},
  ): PictureRecord {
    return recordOf(picture, faces, this.numbers, origin);
  }

  /** Free the networks' memory; nothing can be read any more. */
  async release(): Promise<void> {
    await Promise.all(this.networks.map((network) => network.release()));
  }
}

/** Networks of their files; where one cannot be loaded, none is left behind. */
async function networksOf(
  runtime: Runtime,
  files: readonly Uint8Array[],
  names: readonly string[],
  providers: readonly string[],
): Promise<Network[]> {
  const networks: Network[] = [];
  try {
    for (const [i, file] of files.entries()) {
      networks.push(await Network.load(runtime, file, names[i], providers));
    }
  } catch (error) {
    await Promise.all(networks.map((network) => network.release()));
    throw error;
  }
  return networks;
}

async function numbersOf(told: Numbers | string | URL): Promise<Numbers> {
  if (typeof told !== "string" && !(told instanceof URL)) return checked(told);
  return checked(JSON.parse(new TextDecoder().decode(await bytesOf(told))));
}
