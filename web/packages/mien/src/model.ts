/** What a model file says of itself. */

/** See `mien.expression.recognize.ModelInfo`. */
export interface ModelInfo {
  readonly name: string;
  readonly labels: readonly string[];
  readonly preprocess: { readonly size: number; readonly color: string; readonly light: string };
  readonly sha256: string;
  readonly temperature: number;
  /** One per label; null for none. */
  readonly offsets: readonly number[] | null;
  /** A face whose top probability is smaller is read a second time, mirrored. */
  readonly lookAgainBelow: number;
  /** How often each label occurred in training. */
  readonly baseRates: readonly number[];
  readonly uncertainBelow: number;
  readonly align: string;
  readonly strengths: Strengths | null;
  /** Figures, training data, licence: what the model card shows. */
  readonly card: Readonly<Record<string, unknown>>;
}

/** From a network's answers to intensities; weights null: their sigmoid. */
export interface Strengths {
  readonly weights: readonly (readonly number[])[] | null;
  readonly offsets: readonly number[];
}
