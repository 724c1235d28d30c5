/** What `import { … } from "mien-web"` brings. */

export { Analyzer } from "./analyzer.js";
export type { BaseRates, File, Models, Settings, Stream, StreamSettings } from "./analyzer.js";
export { InputError, MienError, ModelError } from "./errors.js";
export type { Box, Crop, Face, Matrix, Picture, Quality, RecognizedFace } from "./face.js";
export type { ModelInfo, Strengths } from "./model.js";
export type { Runtime } from "./network.js";
export type { Numbers } from "./numbers.js";
export { recordOf } from "./records.js";
export type { FaceRecord, Origin, PictureRecord, QualityRecord } from "./records.js";
