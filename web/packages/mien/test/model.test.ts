/** What a model file says of itself is read from the file, or refused with what to do. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ModelError } from "../src/index.js";
import { readInfo } from "../src/model.js";
import { metadata } from "../src/onnx.js";
import { bytes, numbers, withMetadata } from "./given.js";

const META = {
  schema: "mien-model/1",
  name: "two",
  label_set: "own",
  labels: ["yes", "no"],
  preprocess: { size: 64, color: "gray", light: "plain" },
  align: "similarity",
  temperature: 1.5,
  base_rates: [0.25, 0.75],
  uncertain_below: 0.6,
  intensity: { weights: null, offsets: [] },
  card: { licence: "own" },
};

function read(meta: unknown): ReturnType<typeof readInfo> {
  return readInfo(withMetadata("mien", JSON.stringify(meta)), "two.onnx", numbers);
}

async function refused(meta: unknown, why: RegExp): Promise<void> {
  await assert.rejects(read(meta), (error) => {
    assert.ok(error instanceof ModelError);
    assert.match(error.message, why);
    assert.match(error.message, /^two/);
    return true;
  });
}

test("the default model says what it is", async () => {
  const info = await readInfo(bytes("mien.onnx"), "mien.onnx", numbers);
  assert.equal(info.name, "mien");
  assert.equal(info.labels.length, 8);
  assert.equal(info.baseRates.length, 8);
  assert.match(info.sha256 ?? "", /^[0-9a-f]{64}$/);
  assert.ok(info.uncertainBelow > 0 && info.uncertainBelow < 1);
  assert.ok("licence" in info.card);
});

test("what a file leaves out has its meaning", async () => {
  const info = await read(META);
  assert.deepEqual(info.labels, ["yes", "no"]);
  assert.equal(info.offsets, null);
  assert.equal(info.lookAgainBelow, 0);
  assert.deepEqual(info.strengths, { weights: null, offsets: [] });
  assert.equal((await read({ ...META, align: undefined })).align, "box");
  assert.equal((await read({ ...META, intensity: undefined })).strengths, null);
});

test("foreign and damaged metadata is refused", async () => {
  await refused({ ...META, schema: "mien-model/9" }, /mien-model\/9.*reads mien-model\/1/);
  await refused({ ...META, labels: ["one"] }, /fewer than two labels/);
  await refused({ ...META, labels: "yes" }, /fewer than two labels/);
  await refused({ ...META, base_rates: [1] }, /base_rates are not 2 numbers/);
  await refused({ ...META, temperature: "1" }, /temperature is no number/);
  await refused({ ...META, temperature: 0 }, /temperature is 0/);
  await refused({ ...META, intensity: { weights: [[1, 2]], offsets: [0] } }, /intensities of 1 labels/);
  await refused([], /no JSON table/);
});

test("what only Python reads is refused by name", async () => {
  await refused({ ...META, align: "mouth" }, /aligned by 'mouth'.*box or similarity/);
  const equal = { ...META.preprocess, light: "equal" };
  await refused({ ...META, preprocess: equal }, /light 'equal'/);
  await refused({ ...META, preprocess: { ...META.preprocess, color: "yuv" } }, /color 'yuv'/);
});

test("a file without mien's metadata says how to get one with", async () => {
  const file = withMetadata("producer", "x");
  await assert.rejects(readInfo(file, "x.onnx", numbers), /no 'mien' metadata.*mien export/);
});

test("what is no ONNX file, or only a part of one, is refused", () => {
  const whole = bytes("mien.onnx");
  assert.throws(() => metadata(whole.slice(0, 1000)), /not a whole ONNX file/);
  assert.throws(() => metadata(new TextEncoder().encode("<!doctype html>")), ModelError);
  assert.equal(metadata(new Uint8Array()).size, 0);
});
