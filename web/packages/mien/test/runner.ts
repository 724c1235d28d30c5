/**
 * Reads what a file of jobs asks for, and writes what comes out as JSON: how Python compares.
 *
 *     node build/test/runner.js JOBS.json ANSWERS.json
 *
 * Pictures lie as raw RGBA beside the jobs, crops as raw gray levels or RGB.
 */

import { readFileSync, writeFileSync } from "node:fs";

import {
  Analyzer,
  type Crop,
  type Numbers,
  type Picture,
  type Raster,
  type RecognizedFace,
  type Sample,
  type Shown,
  type Stream,
} from "mien-web";
import * as runtime from "onnxruntime-web";

import { cut } from "../src/align.js";
import { prepare } from "../src/preprocess.js";
import { searched } from "../src/proposals.js";
import { Causal, type Values } from "../src/smooth.js";

interface Raw {
  readonly file: string;
  readonly width: number;
  readonly height: number;
}

interface Jobs {
  /** Left out where no network is needed. */
  readonly models?: { readonly recognizer: string; readonly landmarks: string; readonly proposals: string };
  readonly numbers: string;
  /** Read as stills. */
  readonly pictures?: readonly (Raw & { readonly source?: string })[];
  /** Read as face crops that are cut already. */
  readonly crops?: readonly Raw[];
  /** Read as the frames of one recording. */
  readonly frames?: readonly (Raw & { readonly time_s: number })[];
  /** Pictures of which samples of a person are taken. */
  readonly taken?: readonly (Raw & Shown)[];
  /** Samples that a person's recogniser is learned from; then it reads the crops, too. */
  readonly person?: readonly { readonly sample: Sample; readonly picture: Raw }[];
  /** Face crops that are cut already, and explained. */
  readonly explained?: readonly Raw[];
  /** Values of faces over time that are only smoothed. */
  readonly smoothed?: readonly { readonly time_s: number; readonly faces: readonly Told[] }[];
  /** Crops that are only cut, in gray or RGB. */
  readonly cuts?: readonly { readonly picture: Raw; readonly crop: Crop; readonly channels: 1 | 3 }[];
  /** RGB rasters that are only prepared for a network. */
  readonly prepared?: readonly { readonly raster: Raw; readonly size: number; readonly color: string }[];
  /** Pictures of which only what the proposal network would get is asked for. */
  readonly searched?: readonly Raw[];
}

interface Told extends Values {
  readonly track: number;
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

const numbers = JSON.parse(readFileSync(jobs.numbers, "utf8")) as Numbers;

/** What needs the networks. */
async function read(models: NonNullable<Jobs["models"]>): Promise<object> {
  const begun = performance.now();
  const analyzer = await Analyzer.load({
    models: {
      recognizer: bytes(models.recognizer),
      landmarks: bytes(models.landmarks),
      proposals: bytes(models.proposals),
    },
    numbers,
    runtime,
  });
  const loadS = (performance.now() - begun) / 1000;
  const answers = {
    load_s: loadS,
    pictures: await pictures(analyzer),
    crops: await crops(analyzer),
    frames: await frames(analyzer.stream()),
    taken: await taken(analyzer),
    person: jobs.person ? await person(analyzer, jobs.person) : null,
    explained: await explained(analyzer),
  };
  await analyzer.release();
  return answers;
}

async function crops(analyzer: Analyzer): Promise<object[]> {
  const read = await analyzer.read((jobs.crops ?? []).map(raster));
  return read.map(({ probs, intensity }) => ({
    probs: Array.from(probs),
    intensity: intensity && Array.from(intensity),
  }));
}

async function pictures(analyzer: Analyzer): Promise<object[]> {
  const found = [];
  for (const raw of jobs.pictures ?? []) {
    const given = picture(raw);
    const start = performance.now();
    const faces = await analyzer.analyze(given);
    const seconds = (performance.now() - start) / 1000;
    const origin = raw.source === undefined ? {} : { source: raw.source };
    found.push({ seconds, faces: faces.map(plain), record: analyzer.recordOf(given, faces, origin) });
  }
  return found;
}

async function taken(analyzer: Analyzer): Promise<object[]> {
  const found = [];
  for (const raw of jobs.taken ?? []) {
    const given = picture(raw);
    const one = analyzer.sampleOf(given, await analyzer.analyze(given), raw);
    found.push(typeof one === "string" ? { left: one } : { sample: one.sample, picture: written(one.picture) });
  }
  return found;
}

async function person(analyzer: Analyzer, told: NonNullable<Jobs["person"]>): Promise<object> {
  const learner = await analyzer.learner();
  const samples = told.map(({ sample, picture: raw }) => ({ sample, picture: picture(raw) }));
  const features = await learner.features(samples);
  const start = performance.now();
  const { file, ...trained } = await learner.train(samples);
  const seconds = (performance.now() - start) / 1000;
  await learner.release();
  const own = await analyzer.withRecognizer(file);
  const answers = {
    ...trained,
    seconds,
    features: features.map((row) => Array.from(row)),
    file: Buffer.from(file).toString("base64"),
    crops: await crops(own),
  };
  await own.release();
  return answers;
}

/** Of each crop where it speaks for each expression. */
async function explained(analyzer: Analyzer): Promise<object[]> {
  const found = [];
  for (const raw of jobs.explained ?? []) {
    const whole: Crop = { matrix: [1, 0, 0, 0, 1, 0], size: raw.width };
    const heats = Object.entries(await analyzer.explain(picture(raw), { crop: whole }));
    const plainly = heats.map(([label, { side, values }]) => [label, { side, values: Array.from(values) }]);
    found.push(Object.fromEntries(plainly));
  }
  return found;
}

async function frames(stream: Stream): Promise<object[]> {
  const found = [];
  for (const raw of jobs.frames ?? []) {
    const given = picture(raw);
    const start = performance.now();
    const faces = await stream.next(given, raw.time_s);
    found.push({ seconds: (performance.now() - start) / 1000, faces: faces.map(plain) });
  }
  return found;
}

function written({ width, height, data, ...rest }: Raster | Picture): object {
  const channels = "channels" in rest ? rest.channels : 4;
  return { width, height, channels, data: Buffer.from(data).toString("base64") };
}

/** Each frame's faces in the order they were given. */
function smoothed(): object[] {
  const smoother = new Causal(numbers.smooth);
  return (jobs.smoothed ?? []).map(({ time_s, faces }) => {
    const found = smoother.push(time_s, new Map(faces.map((face) => [face.track, face])));
    return faces.map(({ track }) => found.get(track) as Values);
  });
}

const answers = {
  ...(jobs.models ? await read(jobs.models) : {}),
  smoothed: smoothed(),
  cuts: (jobs.cuts ?? []).map(({ picture: raw, crop, channels }) =>
    written(cut(picture(raw), crop, channels, numbers.align)),
  ),
  prepared: (jobs.prepared ?? []).map(({ raster: raw, size, color }) =>
    written(prepare(raster(raw), { size, color }, numbers.preprocess.rest)),
  ),
  searched: (jobs.searched ?? []).map((raw) => written(searched(picture(raw), numbers.proposals).whole)),
};
writeFileSync(answersFile, JSON.stringify(answers));
