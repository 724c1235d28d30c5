/** A person's own recogniser, from their samples to a model file; `mien.person.train`. */

import { cut, place } from "./align.js";
import type { Origins } from "./analyzer.js";
import { head, type Head, withHead, withOutput } from "./graph.js";
import type { Faces, General, Layer } from "./head.js";
import { type Learned, learn, type Tested } from "./learn.js";
import type { ModelInfo } from "./model.js";
import { floats, type Network } from "./network.js";
import type { Numbers } from "./numbers.js";
import { batch, channelsOf, prepare } from "./preprocess.js";
import { weightsOf } from "./recognizer.js";
import { faceOf, now, type Sampled } from "./samples.js";

/** A recogniser that was made, and what it was made of. */
export interface Trained {
  /** The model file, as `mien person train` writes head.onnx: `mien analyze --model` reads it, too. */
  readonly file: Uint8Array;
  readonly kind: string;
  /** How many samples of each label. */
  readonly labels: Readonly<Record<string, number>>;
  readonly stimuli: number;
  /** The samples say nothing plain against the general model. */
  readonly general: boolean;
  /** What it is worth; null where no stimulus can be held out. */
  readonly tested: Tested | null;
}

/** Learns last layers on a recogniser's features. */
export class Learner {
  private constructor(
    private readonly info: ModelInfo,
    private readonly origins: Origins,
    private readonly end: Head,
    private readonly trunk: Network,
    private readonly numbers: Numbers,
  ) {}

  /** Throws ModelError for a model that does not end with an inner product. */
  static async of(info: ModelInfo, origins: Origins, numbers: Numbers): Promise<Learner> {
    const end = head(origins.file);
    const trunk = await origins.load(withOutput(origins.file, end.features), origins.name);
    return new Learner(info, origins, end, trunk, numbers);
  }

  /** What the model sees in each sample's face, before its last layer. */
  async features(samples: readonly Sampled[]): Promise<Float32Array[]> {
    const { align, preprocess } = this.info;
    const found: Float32Array[] = [];
    const { chunk } = this.numbers.person.head;
    for (let start = 0; start < samples.length; start += chunk) {
      const prepared = samples.slice(start, start + chunk).map(({ sample, picture }) => {
        const crop = place(faceOf(sample), align, preprocess.size, this.numbers);
        const pixels = cut(picture, crop, 3, this.numbers.align);
        return prepare(pixels, preprocess, this.numbers.preprocess.rest);
      });
      const shape = [prepared.length, channelsOf(preprocess.color), preprocess.size, preprocess.size];
      const seen = floats((await this.trunk.run(batch(prepared), shape)).at(-1)!);
      const width = seen.length / prepared.length;
      prepared.forEach((_, i) => found.push(seen.slice(i * width, (i + 1) * width)));
    }
    return found;
  }

  /** A recogniser of samples, of two labels at least; throws InputError. */
  async train(samples: readonly Sampled[]): Promise<Trained> {
    const faces: Faces = {
      labels: samples.map(({ sample }) => sample.label),
      groups: samples.map(({ sample }) => sample.stimulus),
      features: await this.features(samples),
    };
    const { layer, general, tested } = this.learn(faces);
    const counts = layer.labels.map((name) => faces.labels.filter((label) => label === name).length);
    const labels = Object.fromEntries(layer.labels.map((name, k) => [name, counts[k]]));
    const { kind } = this.numbers.person;
    const stimuli = new Set(faces.groups).size;
    return { file: this.fileOf(layer, labels), kind, labels, stimuli, general, tested };
  }

  /** What is learned from features that are known; throws InputError. */
  learn(faces: Faces): Learned {
    return learn(this.general, faces, this.numbers);
  }

  private get general(): General {
    const { info, end } = this;
    const { temperature, offsets } = info;
    const rates = weightsOf(info, {}, this.numbers.base_rates);
    const { labels } = info;
    const weights = end.weights.map((row) => Float64Array.from(row, (v) => v / temperature));
    const bias = Float64Array.from(end.bias, (v, k) => v / temperature + (offsets?.[k] ?? 0));
    return {
      layer: { labels, weights, bias: bias.map((v, k) => v + Math.log(rates[k])) },
      calibrated: { labels, weights, bias },
      neutral: info.typical?.[labels.indexOf("neutral")] ?? null,
    };
  }

  /** The general model with the person's last layer, as a file that says what it is. */
  private fileOf(layer: Layer, samples: Trained["labels"]): Uint8Array {
    const { info, numbers } = this;
    const { kind } = numbers.person;
    const meta = {
      schema: numbers.model.schema,
      name: `person-${kind}`,
      label_set: "own",
      labels: layer.labels,
      own_words: true,
      temperature: 1,
      look_again_below: 0, // half a face may be paralysed: its mirror image is another face
      base_rates: layer.labels.map(() => 1 / layer.labels.length),
      uncertain_below: info.uncertainBelow,
      card: {
        about: `a recogniser of one person (${kind}), not for anybody else`,
        licence: "the person's own",
        base: { name: info.name, sha256: info.sha256 },
        samples,
        trained: now(),
      },
      preprocess: { size: info.preprocess.size, color: info.preprocess.color, light: "plain" },
      align: info.align,
    };
    const weights = layer.weights.map((row) => Float32Array.from(row));
    const told = new Map([[numbers.model.key, JSON.stringify(meta)]]);
    return withHead(this.origins.file, weights, Float32Array.from(layer.bias), told);
  }

  async release(): Promise<void> {
    await this.trunk.release();
  }
}
