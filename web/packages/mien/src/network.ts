/** Model files in ONNX Runtime. */

import type * as ort from "onnxruntime-web";

/** The part of onnxruntime-web that is used: `import * as runtime from "onnxruntime-web/webgpu"`. */
export type Runtime = Pick<typeof ort, "InferenceSession" | "Tensor">;
