/** A provider that fails at a run, as a GPU that is lost does, gives way to the next for good. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ModelError } from "../src/index.js";
import { Network, type Runtime } from "../src/network.js";

/** A runtime of which some providers are lost; it tells which ones were asked to run. */
function losing(lost: readonly string[]): { runtime: Runtime; asked: string[] } {
  const asked: string[] = [];
  class Tensor {
    constructor(
      readonly type: string,
      readonly data: Float32Array,
    ) {}
  }
  const create = async (_: Uint8Array, { executionProviders }: { executionProviders: string[] }) => ({
    inputNames: ["x"],
    outputNames: ["y"],
    release: async () => undefined,
    run: async ({ x }: { x: Tensor }) => {
      asked.push(executionProviders[0]);
      if (lost.includes(executionProviders[0])) throw new Error("the device is lost");
      return { y: x };
    },
  });
  return { runtime: { Tensor, InferenceSession: { create } } as unknown as Runtime, asked };
}

const file = new Uint8Array();
const input = Float32Array.of(1, 2);

test("the next provider answers in place of one that is lost, from then on", async () => {
  const { runtime, asked } = losing(["webgpu"]);
  const network = await Network.load(runtime, file, "two.onnx", ["webgpu", "wasm"]);
  const both = await Promise.all([network.run(input, [2]), network.run(input, [2])]);
  assert.deepEqual(both.map(([y]) => y.data), [input, input]);
  assert.deepEqual(asked, ["webgpu", "wasm", "wasm"]);
});

test("where none is left an error says what cannot be run", async () => {
  const { runtime } = losing(["webgpu", "wasm"]);
  const network = await Network.load(runtime, file, "two.onnx", ["webgpu", "wasm"]);
  await assert.rejects(network.run(input, [2]), (error) => {
    assert.ok(error instanceof ModelError);
    assert.match(error.message, /^two.onnx cannot be run: the device is lost/);
    return true;
  });
});
