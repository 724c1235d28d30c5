/** What `import { … } from "mien-web"` brings. */

export { Analyzer, type Models, type Settings } from "./analyzer.js";
export { InputError, MienError, ModelError } from "./errors.js";
export type { Square } from "./explain.js";
export type { Box, Crop, Face, Matrix, Picture, Quality, RecognizedFace } from "./face.js";
export type { File } from "./files.js";
export { labelsOf, wordOf } from "./labels.js";
export type { Figures, Tested } from "./learn.js";
export { type Learner, type Trained } from "./learner.js";
export type { ModelInfo, Strengths } from "./model.js";
export type { Runtime } from "./network.js";
export type { Numbers } from "./numbers.js";
export type { Raster } from "./raster.js";
export type { BaseRates, Reading } from "./recognizer.js";
export { type FaceRecord, type Origin, type PictureRecord, type QualityRecord, recordOf } from "./records.js";
export type { LeftOut, Sample, Sampled, Shown } from "./samples.js";
export { Stream, type StreamSettings } from "./stream.js";
