/**
 * The model files and numbers that come with this package: `Analyzer.load(shipped)`.
 *
 * Apart from the rest, so that a page that has its own copies does not bundle these.
 */

export const shipped = {
  models: {
    recognizer: new URL("../models/mien.onnx", import.meta.url),
    landmarks: new URL("../models/landmarks68.onnx", import.meta.url),
    proposals: new URL("../models/proposals.onnx", import.meta.url),
  },
  numbers: new URL("../models/numbers.json", import.meta.url),
};
