/** Model files in ONNX Runtime. */

import type * as ort from "onnxruntime-web";

import { ModelError } from "./errors.js";

/** The part of onnxruntime-web that is used: `import * as runtime from "onnxruntime-web/webgpu"`. */
export type Runtime = Pick<typeof ort, "InferenceSession" | "Tensor">;

/** A network that is ready to run; one run after the other, whoever asks. */
export class Network {
  private last: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly runtime: Runtime,
    private readonly session: ort.InferenceSession,
    private readonly name: string,
  ) {}

  /** name : what an error calls it. Throws ModelError for a file that cannot be loaded. */
  static async load(
    runtime: Runtime,
    file: Uint8Array,
    name: string,
    providers: readonly string[],
  ): Promise<Network> {
    try {
      const options = { executionProviders: providers, logSeverityLevel: 3 as const };
      return new Network(runtime, await runtime.InferenceSession.create(file, options), name);
    } catch (error) {
      const why = told(error);
      // ONNX Runtime says so where its own .wasm is not found, or may not run.
      const what = why.startsWith("no available backend")
        ? `ONNX Runtime cannot begin, so ${name} cannot be loaded`
        : `${name} is not an ONNX model that can be loaded`;
      throw new ModelError(`${what}: ${why}`, { cause: error });
    }
  }

  /** All outputs in their order. */
  async run(input: Float32Array, shape: readonly number[]): Promise<ort.Tensor[]> {
    const turn = this.last.then(() => this.runNow(input, shape));
    this.last = turn.catch(() => undefined);
    return turn;
  }

  private async runNow(input: Float32Array, shape: readonly number[]): Promise<ort.Tensor[]> {
    const tensor = new this.runtime.Tensor("float32", input, shape);
    try {
      const found = await this.session.run({ [this.session.inputNames[0]]: tensor });
      return this.session.outputNames.map((name) => found[name] as ort.Tensor);
    } catch (error) {
      throw new ModelError(`${this.name} cannot be run: ${told(error)}`, { cause: error });
    }
  }

  async release(): Promise<void> {
    await this.last;
    await this.session.release();
  }
}

/** The numbers of an output. */
export function floats(tensor: ort.Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  throw new ModelError(`a network answers with ${tensor.type}; mien-web takes float32`);
}

function told(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
