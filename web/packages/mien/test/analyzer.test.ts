/** Loading, bad input, and calls that overlap. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Analyzer, InputError, MienError, ModelError, type Numbers } from "mien-web";
import { shipped } from "mien-web/shipped";
import { analyzer, bytes, models, numbers, plain } from "./given.js";

const loaded = analyzer();

test("it loads from addresses and from bytes", async () => {
  const files = { recognizer: bytes("mien.onnx"), landmarks: bytes("landmarks68.onnx") };
  const buffer = bytes("proposals.onnx").buffer as ArrayBuffer;
  const other = await analyzer({ models: { ...files, proposals: buffer } });
  assert.deepEqual(other.info, (await loaded).info);
  await other.release();
  await other.release(); // twice is no more than once
});

test("what comes with the package is found beside it", () => {
  const names = [...Object.values(shipped.models), shipped.numbers].map((file) => file.pathname);
  assert.deepEqual(
    names.map((name) => name.split("/").slice(-2).join("/")),
    ["models/mien.onnx", "models/landmarks68.onnx", "models/proposals.onnx", "models/numbers.json"],
  );
});

test("a file that is not there, or none of a network's, is told by its name", async () => {
  const gone = new URL("models/none.onnx", models.recognizer);
  await assert.rejects(analyzer({ models: { ...models, recognizer: gone } }), /cannot read .*none\.onnx/);
  const broken = bytes("proposals.onnx").slice(0, 5000);
  await assert.rejects(
    analyzer({ models: { ...models, proposals: broken } }),
    (error) => error instanceof ModelError && /'proposals' is not an ONNX model/.test(error.message),
  );
});

test("numbers of another release are refused", async () => {
  const other = { ...numbers, schema: "mien-numbers/0" } as Numbers;
  await assert.rejects(analyzer({ numbers: other }), /mien-numbers\/0.*reads mien-numbers\/1/);
});

test("base rates that are none are refused", async () => {
  await assert.rejects(analyzer({ baseRates: { target: "equal", strength: 2 } }), InputError);
  await assert.rejects(analyzer({ baseRates: { target: "even" as "equal" } }), /"even"/);
});

test("what is no picture is refused with what one is", async () => {
  const reader = await loaded;
  await assert.rejects(reader.analyze({ width: 0, height: 5, data: new Uint8Array() }), /at least one pixel/);
  const rgb = { width: 4, height: 4, data: new Uint8Array(48) };
  await assert.rejects(reader.analyze(rgb), /64 bytes of RGBA, got 48/);
  await assert.rejects(reader.recognize(rgb, []), InputError);
  const shares = { width: 4, height: 4, data: new Float32Array(64) as unknown as Uint8Array };
  await assert.rejects(reader.analyze(shares), /bytes, 0 to 255, got Float32Array/);
  await assert.rejects(reader.analyze(null as unknown as typeof rgb), InputError);
  await assert.rejects(reader.stream().next(rgb, 0), InputError);
});

test("a frame needs a time, and smoothing has a name", async () => {
  const reader = await loaded;
  await assert.rejects(reader.stream().next(plain(40, 30), Number.NaN), /its time in seconds, got NaN/);
  assert.throws(() => reader.stream({ smooth: "two-sided" as "none" }), /"causal" or "none"/);
});

test("nobody is found where nobody is, and the record says so", async () => {
  const reader = await loaded;
  const picture = plain(90, 60);
  const faces = await reader.analyze(picture);
  assert.deepEqual(faces, []);
  const record = reader.recordOf(picture, faces, { source: "gray.png", frame: 3, timeS: 0.1 });
  assert.deepEqual(record, {
    schema: "mien/2",
    source: "gray.png",
    frame: 3,
    time_s: 0.1,
    status: "no_face",
    width: 90,
    height: 60,
    faces: [],
  });
});

test("calls may overlap", async () => {
  const reader = await loaded;
  const pictures = [plain(90, 60), plain(300, 200, 30), plain(64, 64, 200)];
  const together = await Promise.all(pictures.map((picture) => reader.analyze(picture)));
  assert.deepEqual(together, [[], [], []]);
  const stream = reader.stream();
  const frames = await Promise.all([0, 0.1, 0.2].map((t) => stream.next(pictures[0], t)));
  assert.deepEqual(frames, [[], [], []]);
});

test("a bad frame does not end a stream", async () => {
  const stream = (await loaded).stream({ smooth: "none" });
  await assert.rejects(stream.next({ width: 2, height: 2, data: new Uint8Array(3) }, 0), MienError);
  assert.deepEqual(await stream.next(plain(50, 50), 0.1), []);
});

test("without settings of its own it reads with what comes with the package", async () => {
  const reader = await Analyzer.load(shipped);
  assert.equal(reader.info.sha256, (await loaded).info.sha256);
  assert.deepEqual(await reader.analyze(plain(64, 64)), []);
  await reader.release();
  await (await loaded).release();
});
