/**
 * Reads what a file of jobs asks for, and writes what comes out as JSON: how Python compares.
 *
 *     node build/test/runner.js JOBS.json ANSWERS.json
 *
 * Pictures lie as raw RGBA beside the jobs, crops as raw gray levels or RGB.
 */

import { readFileSync, writeFileSync } from "node:fs";

import * as runtime from "onnxruntime-web/wasm";

import { Analyzer, type Picture, type Raster, type RecognizedFace } from "../src/index.js";

interface Raw {
  readonly file: string;
  readonly width: number;
  readonly height: number;
}

interface Jobs {
  readonly models: { readonly recognizer: string; readonly landmarks: string; readonly proposals: string };
  readonly numbers: string;
  /** Read as stills. */
  readonly pictures?: readonly Raw[];
  /** Read as face crops that are cut already. */
  readonly crops?: readonly Raw[];
  /** Read as the frames of one recording. */
  readonly frames?: readonly (Raw & { readonly time_s: number })[];
  readonly smooth?: "causal" | "none";
}

const [jobsFile, answersFile] = process.argv.slice(2);
const jobs = JSON.parse(readFileSync(jobsFile, "utf8")) as Jobs;
runtime.env.wasm.numThreads = 1;

function bytes(file: string): Uint8Array {
  return new Uint8Array(readFileSync(file));
}

function picture({ file, width, height }: Raw): Picture {
  return { width, height, data: bytes(file) };
}

function raster({ file, width, height }: Raw): Raster {
  return { width, height, channels: 3, data: bytes(file) };
}

/** All of a face to its last digit, which records round. */
function plain(face: RecognizedFace): unknown {
  return { ...face, landmarks: face.landmarks && Array.from(face.landmarks) };
}

const begun = performance.now();
const analyzer = await Analyzer.load({
  models: {
    recognizer: bytes(jobs.models.recognizer),
    landmarks: bytes(jobs.models.landmarks),
    proposals: bytes(jobs.models.proposals),
  },
  numbers: JSON.parse(readFileSync(jobs.numbers, "utf8")),
  runtime,
});
const loadS = (performance.now() - begun) / 1000;

const pictures = [];
for (const raw of jobs.pictures ?? []) {
  const given = picture(raw);
  const start = performance.now();
  const faces = await analyzer.analyze(given);
  const seconds = (performance.now() - start) / 1000;
  const record = analyzer.recordOf(given, faces, { source: raw.file });
  pictures.push({ seconds, faces: faces.map(plain), record });
}

const crops = await analyzer.read((jobs.crops ?? []).map(raster));

const frames = [];
const stream = analyzer.stream(jobs.smooth ? { smooth: jobs.smooth } : {});
for (const raw of jobs.frames ?? []) {
  const given = picture(raw);
  const start = performance.now();
  const faces = await stream.next(given, raw.time_s);
  frames.push({ seconds: (performance.now() - start) / 1000, faces: faces.map(plain) });
}

const answers = {
  load_s: loadS,
  pictures,
  crops: crops.map(({ probs, intensity }) => ({
    probs: Array.from(probs),
    intensity: intensity && Array.from(intensity),
  })),
  frames,
};
writeFileSync(answersFile, JSON.stringify(answers));
await analyzer.release();
