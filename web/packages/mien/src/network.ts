/** Model files in ONNX Runtime. */

import type * as ort from "onnxruntime-web";

import { ModelError } from "./errors.js";

/** The part of onnxruntime-web that is used: `import * as runtime from "onnxruntime-web/webgpu"`. */
export type Runtime = Pick<typeof ort, "InferenceSession" | "Tensor">;

/** A network that is ready to run; one run after the other, whoever asks. */
export class Network {
  private last: Promise<unknown> = Promise.resolve();
  private released: Promise<void> | null = null;

  private constructor(
    private readonly runtime: Runtime,
    private session: ort.InferenceSession,
    private readonly name: string,
    /** Loads it anew without the first provider; null where there is no other. */
    private instead: (() => Promise<Network>) | null,
  ) {}

  /**
   * providers : in order of preference. One that fails at a run, a GPU that is lost say, gives way
   * to those after it for good. name : what an error calls it. Throws ModelError for a file that
   * cannot be loaded.
   */
  static async load(
    runtime: Runtime,
    file: Uint8Array,
    name: string,
    providers: readonly string[],
  ): Promise<Network> {
    const others = providers.slice(1);
    const instead = others.length ? () => Network.load(runtime, file, name, others) : null;
    try {
      const options = { executionProviders: providers, logSeverityLevel: 3 as const };
      const session = await runtime.InferenceSession.create(file, options);
      return new Network(runtime, session, name, instead);
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
      if (this.instead === null) {
        throw new ModelError(`${this.name} cannot be run: ${told(error)}`, { cause: error });
      }
      await this.takeOver(await this.instead());
      return this.runNow(input, shape);
    }
  }

  private async takeOver(other: Network): Promise<void> {
    await this.session.release().catch(() => undefined); // nothing more is to be had of it
    this.session = other.session;
    this.instead = other.instead;
  }

  /** A second time does nothing. */
  release(): Promise<void> {
    return (this.released ??= this.last.then(() => this.session.release()));
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
