/** The networks, off the page's own thread: it stays quick whatever they do. */

import { Analyzer, InputError, type Numbers, type Picture, type Shown, type Square, type Stream } from "mien-web";
import numbers from "../../packages/mien/models/numbers.json";
import * as runtime from "onnxruntime-web/wasm";
import module from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { KeptSample } from "./store";
import type { Word } from "./words";

/** person : whose own recogniser is to read, "" for nobody's. */
export type Asked =
  | { kind: "wake" }
  | { kind: "use"; person: string; file: Uint8Array }
  | { kind: "forget"; person: string }
  | { kind: "picture" | "explain"; picture: Blob; person: string }
  | { kind: "sample"; picture: Blob; shown: Shown }
  | { kind: "learn"; samples: KeptSample[] }
  | {
      kind: "frame";
      stream: number;
      smooth: boolean;
      frame: ImageBitmap;
      timeS: number;
      person: string;
    }
  | { kind: "end"; stream: number };

export type Answer = { id: number } & (
  | { found: unknown }
  | { why: "load"; detail: string }
  | { why: Word; detail: string; filled?: Record<string, string | number> }
);

/** A face of a picture: what the recogniser sees of it, and where it speaks for each expression. */
export interface Explained {
  emotions: Readonly<Record<string, number>>;
  top: string;
  portrait: ImageData;
  heats: Readonly<Record<string, Square>>;
}

const MOST_PIXELS = 50_000_000; // as the service has it: two hundred megabytes of memory
const PORTRAIT = 256; // pixels of a face that is explained
const streams = new Map<number, { person: string; stream: Stream }>();
const own = new Map<string, Analyzer>();

/** A problem of the picture's, in a word of the page's table. */
class Unfit extends Error {
  constructor(
    readonly word: Word,
    detail = "",
    readonly filled: Record<string, string | number> = {},
  ) {
    super(detail);
  }
}

let loading: Promise<Analyzer> | null = null;

function analyzer(): Promise<Analyzer> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Analyzer> {
  runtime.env.wasm.wasmPaths = {
    mjs: new URL(module, self.location.href).href,
    wasm: new URL(wasm, self.location.href).href,
  };
  const listed = await fetch(new URL("../weights.json", self.location.href));
  if (!listed.ok) throw new Error(`weights.json: ${listed.status}`);
  const files: Record<string, string> = await listed.json();
  const at = (name: string) => new URL(`../${files[name]}`, self.location.href);
  return Analyzer.load({
    models: {
      recognizer: at("mien.onnx"),
      landmarks: at("landmarks68.onnx"),
      proposals: at("proposals.onnx"),
    },
    numbers: numbers as unknown as Numbers, // JSON knows no tuples,
    runtime,
  });
}

async function answered(asked: Asked): Promise<unknown> {
  const general = await analyzer();
  switch (asked.kind) {
    case "wake":
      return null;
    case "use":
      await forget(asked.person);
      own.set(asked.person, await general.withRecognizer(asked.file));
      return null;
    case "forget":
      return forget(asked.person);
    case "end":
      streams.delete(asked.stream);
      return null;
    case "sample":
      return sample(general, asked.picture, asked.shown);
    case "learn":
      return learn(general, asked.samples);
  }
  const reader = asked.person ? own.get(asked.person) : general;
  if (!reader) throw new Unfit("own.none");
  if (asked.kind === "frame") {
    const picture = pixels(asked.frame);
    const faces = await streamOf(asked, reader).next(picture, asked.timeS);
    return reader.recordOf(picture, faces, { timeS: asked.timeS });
  }
  const picture = pixels(await decoded(asked.picture));
  return asked.kind === "explain"
    ? explained(reader, picture)
    : reader.recordOf(picture, await reader.analyze(picture));
}

function streamOf(asked: { stream: number; smooth: boolean; person: string }, reader: Analyzer): Stream {
  const known = streams.get(asked.stream);
  if (known) return known.stream;
  const stream = reader.stream({ smooth: asked.smooth ? "causal" : "none" });
  streams.set(asked.stream, { person: asked.person, stream });
  return stream;
}

/** Streams that read with it begin anew, with another if there is one by then. */
async function forget(person: string): Promise<null> {
  for (const [id, begun] of streams) if (begun.person === person) streams.delete(id);
  await own.get(person)?.release();
  own.delete(person);
  return null;
}

async function explained(reader: Analyzer, picture: Picture): Promise<Explained[]> {
  const found: Explained[] = [];
  for (const face of await reader.analyze(picture)) {
    const { emotions, top } = face;
    const portrait = rgba(reader.portrait(picture, face, PORTRAIT));
    found.push({ emotions, top, portrait, heats: await reader.explain(picture, face) });
  }
  return found;
}

/** RGB as a canvas takes it. */
function rgba({ width, height, data }: { width: number; height: number; data: Uint8Array }): ImageData {
  const image = new ImageData(width, height);
  image.data.fill(255);
  for (let i = 0; i < width * height; i++) image.data.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
  return image;
}

async function sample(reader: Analyzer, file: Blob, shown: Shown): Promise<unknown> {
  const picture = pixels(await decoded(file));
  const found = reader.sampleOf(picture, await reader.analyze(picture), shown);
  return typeof found === "string" ? found : { sample: found.sample, picture: await png(found.picture) };
}

async function png({ width, height, data }: Picture): Promise<ArrayBuffer> {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")!.putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0);
  return (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer();
}

async function learn(reader: Analyzer, kept: KeptSample[]): Promise<unknown> {
  const learner = await reader.learner();
  try {
    const samples = [];
    for (const { sample, picture } of kept) {
      samples.push({ sample, picture: pixels(await decoded(new Blob([picture]))) });
    }
    return await learner.train(samples);
  } finally {
    await learner.release();
  }
}

async function decoded(picture: Blob): Promise<ImageBitmap> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(picture);
  } catch {
    throw new Unfit("picture.undecodable");
  }
  if (bitmap.width * bitmap.height > MOST_PIXELS) {
    const filled = { n: Math.round((bitmap.width * bitmap.height) / 1e6) };
    bitmap.close();
    throw new Unfit("picture.large", "", filled);
  }
  return bitmap;
}

/** Its pixels; the bitmap is given back. */
function pixels(bitmap: ImageBitmap): ImageData {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

async function answer(asked: Asked & { id: number }): Promise<Answer> {
  const { id } = asked;
  try {
    await analyzer();
  } catch (err) {
    return { id, why: "load", detail: String(err instanceof Error ? err.message : err) };
  }
  try {
    return { id, found: await answered(asked) };
  } catch (err) {
    if (err instanceof Unfit) return { id, why: err.word, detail: err.message, filled: err.filled };
    const detail = err instanceof Error ? err.message : String(err);
    return { id, why: err instanceof InputError ? "service.unreadable" : "device.failed", detail };
  }
}

/** One after the other: the networks take one picture at a time. */
let turn = Promise.resolve();
self.onmessage = (event: MessageEvent<Asked & { id: number }>) => {
  turn = turn.then(async () => self.postMessage(await answer(event.data)));
};
