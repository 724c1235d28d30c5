/** The stages in order: picture -> faces -> crops -> expressions; `mien.analysis.pipeline`. */

import { cut, place } from "./align.js";
import { Detector } from "./detector.js";
import type { Face, Picture, RecognizedFace } from "./face.js";
import { Explainer, type Square } from "./explain.js";
import { bytesOf, type File, nameOf } from "./files.js";
import { tail, withOutput } from "./graph.js";
import { Landmarker, type Placed } from "./landmarker.js";
import type { Leveled } from "./landmarks.js";
import { Learner } from "./learner.js";
import { type ModelInfo, readInfo } from "./model.js";
import { Network, type Runtime } from "./network.js";
import { checked, type Numbers } from "./numbers.js";
import { Proposer } from "./proposals.js";
import { isUncertain, measure, pictureQuality } from "./quality.js";
import { check, type Raster } from "./raster.js";
import { type BaseRates, type Reading, Recognizer, weightsOf } from "./recognizer.js";
import { type Origin, type PictureRecord, recordOf } from "./records.js";
import { type LeftOut, type Sampled, sampleOf, type Shown } from "./samples.js";
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

/** Where a recogniser comes from, for whoever asks more of it than its answers. */
export interface Origins {
  readonly file: Uint8Array;
  readonly name: string;
  readonly load: (file: Uint8Array, name: string) => Promise<Network>;
}

/** Reads the expressions in pictures; owns its networks. */
export class Analyzer {
  private explainer: Promise<Explainer> | null = null;

  private constructor(
    readonly numbers: Numbers,
    private readonly recognizer: Recognizer,
    private readonly landmarker: Landmarker,
    private readonly detector: Detector,
    private readonly networks: readonly Network[],
    private readonly origins: Origins,
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
    const load = (file: Uint8Array, name: string): Promise<Network> =>
      Network.load(runtime, file, name, executionProviders);
    return new Analyzer(
      numbers,
      new Recognizer(info, networks[0], numbers, weights),
      landmarker,
      new Detector(proposer, landmarker, numbers),
      networks,
      { file: files[0], name: called[0], load },
    );
  }

  /**
   * Another recogniser on the same faces, a person's own say; needs this analyzer's networks, which
   * it does not release. Throws ModelError.
   */
  async withRecognizer(file: File): Promise<Analyzer> {
    const { numbers, landmarker, detector } = this;
    const [content, name] = [await bytesOf(file), nameOf(file, "the recogniser")];
    const info = await readInfo(content, name, numbers);
    const network = await this.origins.load(content, name);
    const recognizer = new Recognizer(info, network, numbers, weightsOf(info, {}, numbers.base_rates));
    const origins = { ...this.origins, file: content, name };
    return new Analyzer(numbers, recognizer, landmarker, detector, [network], origins);
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

  /**
   * Where a recognised face of the picture speaks for each expression (Grad-CAM): values over the
   * square that the model is shown, 1 where most, all 0 where nothing speaks for it.
   *
   * Throws ModelError for a model without feature maps.
   */
  async explain(
    picture: Picture,
    face: Pick<RecognizedFace, "crop">,
  ): Promise<Readonly<Record<string, Square>>> {
    check(picture);
    this.explainer ??= this.explainerOf();
    const heats = await (await this.explainer).heats(cut(picture, face.crop, 3, this.numbers.align));
    return Object.fromEntries(this.info.labels.map((label, k) => [label, heats[k]]));
  }

  private async explainerOf(): Promise<Explainer> {
    const { file, name, load } = this.origins;
    const end = tail(file);
    const trunk = await load(withOutput(file, end.maps), name);
    return new Explainer(this.info, end, trunk, await load(end.content, name), this.numbers);
  }

  /** A face's picture of that side, of all that the recogniser sees of it: to be looked at. */
  portrait(picture: Picture, face: RecognizedFace, side: number): Raster {
    const crop = place(face, this.info.align, side, this.numbers);
    return cut(picture, crop, 3, this.numbers.align);
  }

  /** The sample of a person in a picture whose faces were read, or why there is none; InputError. */
  sampleOf(picture: Picture, faces: readonly RecognizedFace[], shown: Shown): Sampled | LeftOut {
    return sampleOf(picture, faces, shown, this.numbers);
  }

  /** What learns a person's own recogniser on this one; release it when done. Throws ModelError. */
  async learner(): Promise<Learner> {
    return Learner.of(this.info, this.origins, this.numbers);
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
    const explainer = await this.explainer?.catch(() => null); // one that failed holds nothing
    await Promise.all([...this.networks, ...(explainer ? [explainer] : [])].map((one) => one.release()));
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
