/** What a model file says of itself; `mien.expression.recognize.ModelInfo`. */

import { ALIGNMENTS } from "./align.js";
import { ModelError } from "./errors.js";
import type { Numbers } from "./numbers.js";
import { metadata } from "./onnx.js";
import { COLORS, type Preprocess } from "./preprocess.js";

export interface ModelInfo {
  readonly name: string;
  readonly labelSet: string;
  readonly labels: readonly string[];
  readonly preprocess: Preprocess;
  /** Null where the page is not served securely, and cannot know. */
  readonly sha256: string | null;
  readonly temperature: number;
  /** One per label; null for none. */
  readonly offsets: readonly number[] | null;
  /** A face whose top probability is smaller is read a second time, mirrored. */
  readonly lookAgainBelow: number;
  /** How often each label occurred in training. */
  readonly baseRates: readonly number[];
  readonly uncertainBelow: number;
  /** How the faces it was trained on were cut. */
  readonly align: string;
  readonly strengths: Strengths | null;
  /** For each label the mean centred answer to faces of it, null without any; null if unknown. */
  readonly typical: readonly (readonly number[] | null)[] | null;
  /** Figures, training data, licence: what the model card shows. */
  readonly card: Readonly<Record<string, unknown>>;
}

/** From a network's answers to intensities; weights null: their sigmoid. */
export interface Strengths {
  readonly weights: readonly (readonly number[])[] | null;
  readonly offsets: readonly number[];
}

/** The metadata of a recogniser's file; throws ModelError where it is absent, damaged or foreign. */
export async function readInfo(file: Uint8Array, name: string, numbers: Numbers): Promise<ModelInfo> {
  const text = metadata(file).get(numbers.model.key);
  if (text === undefined) {
    throw new ModelError(
      `${name} does not say its labels and preprocessing (no '${numbers.model.key}' metadata); ` +
        "export it with: mien export",
    );
  }
  const meta = parsed(text, name);
  if (meta.schema !== numbers.model.schema) {
    throw new ModelError(
      `${name} has metadata of schema ${JSON.stringify(meta.schema)}; ` +
        `this mien-web reads ${numbers.model.schema}`,
    );
  }
  return checked(meta, await sha256(file), name);
}

type Meta = Readonly<Record<string, unknown>>;

function parsed(text: string, name: string): Meta {
  try {
    const told: unknown = JSON.parse(text);
    if (isTable(told)) return told;
  } catch {
    // told below, as what is no table is
  }
  throw damaged(name, "no JSON table");
}

function damaged(name: string, what: string): ModelError {
  return new ModelError(`${name} has damaged metadata (${what}); export it anew with: mien export`);
}

function checked(meta: Meta, digest: string | null, name: string): ModelInfo {
  const spec = isTable(meta.preprocess) ? meta.preprocess : {};
  const labels = Array.isArray(meta.labels) ? meta.labels.map(String) : [];
  if (labels.length < 2) throw damaged(name, "fewer than two labels");
  const rows = (values: unknown, what: string): number[] => numbersOf(values, labels.length, what, name);
  const info: ModelInfo = {
    name: String(meta.name),
    labelSet: String(meta.label_set),
    labels,
    preprocess: { size: positive(spec.size, "size", name), color: String(spec.color) },
    sha256: digest,
    temperature: positive(meta.temperature, "temperature", name),
    offsets: meta.offsets == null ? null : rows(meta.offsets, "offsets"),
    lookAgainBelow: numberOf(meta.look_again_below ?? 0, "look_again_below", name),
    baseRates: rows(meta.base_rates, "base_rates"),
    uncertainBelow: numberOf(meta.uncertain_below, "uncertain_below", name),
    align: String(meta.align ?? ALIGNMENTS[0]),
    strengths: isTable(meta.intensity) ? strengths(meta.intensity, labels.length, name) : null,
    typical: meta.typical == null ? null : typical(meta.typical, labels.length, name),
    card: isTable(meta.card) ? meta.card : {},
  };
  refuseForeign(info, String(spec.light ?? "plain"));
  return info;
}

/** Throws ModelError for what Python can read and this package cannot. */
function refuseForeign(info: ModelInfo, light: string): void {
  if (!ALIGNMENTS.includes(info.align)) {
    throw new ModelError(
      `${info.name} reads faces aligned by '${info.align}'; mien-web aligns by ${ALIGNMENTS.join(" or ")}`,
    );
  }
  if (!COLORS.includes(info.preprocess.color)) {
    throw new ModelError(
      `${info.name} reads faces in color '${info.preprocess.color}'; mien-web knows ${COLORS.join(" and ")}`,
    );
  }
  if (light !== "plain") {
    throw new ModelError(`${info.name} reads faces in light '${light}'; mien-web leaves light as it is`);
  }
}

function strengths(told: Meta, labels: number, name: string): Strengths {
  if (told.weights === null) return { weights: null, offsets: [] };
  const weights = Array.isArray(told.weights) ? told.weights : [];
  if (weights.length !== labels) throw damaged(name, `intensities of ${weights.length} labels`);
  return {
    weights: weights.map((row) => numbersOf(row, labels, "an intensity's weights", name)),
    offsets: numbersOf(told.offsets, labels, "an intensity's offsets", name),
  };
}

function typical(told: unknown, labels: number, name: string): (number[] | null)[] {
  if (!Array.isArray(told) || told.length !== labels) throw damaged(name, `typical is not ${labels} rows`);
  return told.map((row) => (row === null ? null : numbersOf(row, labels, "typical", name)));
}

function isTable(value: unknown): value is Meta {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberOf(value: unknown, what: string, name: string): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw damaged(name, `${what} is no number`);
}

function positive(value: unknown, what: string, name: string): number {
  const found = numberOf(value, what, name);
  if (found > 0) return found;
  throw damaged(name, `${what} is ${found}`);
}

function numbersOf(values: unknown, length: number, what: string, name: string): number[] {
  if (!Array.isArray(values) || values.length !== length) {
    throw damaged(name, `${what} are not ${length} numbers`);
  }
  return values.map((value) => numberOf(value, what, name));
}

async function sha256(file: Uint8Array): Promise<string | null> {
  if (!globalThis.crypto?.subtle) return null;
  const digest = await crypto.subtle.digest("SHA-256", file as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
