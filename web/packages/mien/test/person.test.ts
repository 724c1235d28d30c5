/** What a person's own recogniser is made with; Python compares what comes of it (tests/browser). */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Analyzer, InputError, labelsOf, ModelError, type RecognizedFace, wordOf } from "mien-web";
import { head, tail, withHead, withOutput } from "../src/graph.js";
import { byCodePoints } from "../src/labels.js";
import { metadata } from "../src/onnx.js";
import { Random } from "../src/random.js";
import { analyzer, bytes, numbers, plain, withMetadata } from "./given.js";

test("random numbers are NumPy's", () => {
  const begun = numbers.person.head.random; // np.random.default_rng(1)
  assert.deepEqual(new Random(begun).permutation(11), [7, 10, 5, 4, 0, 1, 8, 2, 9, 6, 3]);
  const many = new Random(begun).permutation(300);
  assert.deepEqual(many.slice(0, 6), [167, 184, 23, 9, 121, 286]);
  assert.deepEqual(many.slice(-6), [174, 246, 205, 187, 102, 255]);
  const drawn = new Random(begun);
  const sevens = Array.from({ length: 14 }, () => drawn.below(7));
  assert.deepEqual(sevens, [3, 3, 5, 6, 0, 1, 5, 6, 1, 2, 6, 2, 1, 5]);
  assert.equal(drawn.below(1), 0);
});

test("a label is mien's own name, or a word", () => {
  assert.equal(wordOf(" Joy ", numbers), "happiness");
  assert.equal(wordOf("Very   tired", numbers), "very tired");
  assert.equal(wordOf("constructor", numbers), "constructor");
  for (const none of ["", "  ", "face", "intensity_x", "a|b", "x".repeat(41), "a\u0007b"]) {
    assert.throws(() => wordOf(none, numbers), InputError, none);
  }
});

test("labels come in mien's order, then as Python sorts", () => {
  const told = ["\u{1f600}", "\uff5e", "sadness", "yes", "neutral", "yes", "no"];
  const wanted = ["neutral", "sadness", "no", "yes", "\uff5e", "\u{1f600}"];
  assert.deepEqual(labelsOf(told, numbers.labels), wanted);
  assert.ok(byCodePoints("a", "ab") < 0 && byCodePoints("ab", "a") > 0 && byCodePoints("a", "a") === 0);
});

test("a last layer is put in place of another", () => {
  const model = bytes("mien.onnx");
  const { weights, bias, features } = head(model);
  assert.equal(weights.length, bias.length);
  const rows = [weights[0].map((v) => v / 2), weights[3]];
  const other = withHead(model, rows, Float32Array.of(1, -2), new Map([["mien", "{}"]]));
  const found = head(other);
  assert.deepEqual(found.weights, rows);
  assert.deepEqual([...found.bias], [1, -2]);
  assert.equal(found.features, features);
  assert.deepEqual([...metadata(other)], [["mien", "{}"]]);
  assert.ok(withOutput(model, features).length > model.length);
  assert.equal(tail(model).affine, true);
});

test("a model without a last layer, or without maps, is refused", () => {
  const empty = withMetadata("mien", "{}");
  assert.throws(() => head(empty), /does not end with an inner product/);
  assert.throws(() => tail(empty), /no convolution/);
  assert.throws(() => head(bytes("mien.onnx").slice(0, 4000)), /not a whole ONNX file/);
});

test("nothing is learned of one label, or of none", async () => {
  const reader = await analyzer();
  const learner = await reader.learner();
  const sample = {
    ...{ id: "a", label: "yes", stimulus: "yes/1", time_s: 0, date: "2026-11-30T10:00:00+00:00" },
    ...{ box: [10, 10, 60, 60], landmarks: Array.from({ length: 136 }, (_, i) => 10 + (i % 50)) },
    ...{ framing: 1.3, picture_quality: 1 },
  };
  const one = { sample, picture: plain(80, 80) };
  await assert.rejects(learner.train([one, one]), (error) => {
    assert.ok(error instanceof InputError);
    return /at least two expressions apart, got samples of \["yes"\]/.test(error.message);
  });
  await assert.rejects(learner.train([]), InputError);
  const two = [one, { sample: { ...sample, label: "no" }, picture: plain(80, 80, 60) }];
  const { file, tested, labels } = await learner.train(two);
  assert.equal(tested, null, "each label has one stimulus, of which none can be held out");
  assert.deepEqual(labels, { no: 1, yes: 1 });
  await learner.release();
  const own = await reader.withRecognizer(file);
  assert.deepEqual(own.info.labels, ["no", "yes"]);
  await own.release();
  assert.deepEqual(await reader.analyze(plain(64, 64)), [], "the general one goes on");
  await reader.release();
});

test("what is no model is no recogniser, and the general one goes on", async () => {
  const reader = await analyzer();
  await assert.rejects(reader.withRecognizer(new Uint8Array([1, 2])), ModelError);
  await assert.rejects(reader.withRecognizer(withMetadata("other", "x")), /no 'mien' metadata/);
  const gray = plain(64, 64);
  const face = { crop: { matrix: [1, 0, 0, 0, 1, 0], size: 64 } } as Pick<RecognizedFace, "crop">;
  const heats = await reader.explain(gray, face);
  assert.deepEqual(Object.keys(heats), [...reader.info.labels]);
  await assert.rejects(reader.explain({ ...gray, width: 3 }, face), InputError);
  await reader.release();
});

test("nobody gives no sample", async () => {
  const reader: Analyzer = await analyzer();
  const shown = { label: "yes", stimulus: "yes/1" };
  assert.equal(reader.sampleOf(plain(64, 64), [], shown), "nobody");
  await reader.release();
});
