/** The networks, off the page's own thread: it stays quick whatever they do. */

import { Analyzer, InputError, type Numbers, type Stream } from "mien-web";
import numbers from "../../packages/mien/models/numbers.json";
import * as runtime from "onnxruntime-web/wasm";
import module from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { PictureRecord } from "./record";
import type { Word } from "./words";

export type Asked =
  | { kind: "wake" }
  | { kind: "picture"; picture: Blob }
  | { kind: "frame"; stream: number; smooth: boolean; frame: ImageBitmap; timeS: number }
  | { kind: "end"; stream: number };

export type Answer = { id: number } & (
  | { record: PictureRecord | null }
  | { why: "load"; detail: string }
  | { why: Word; detail: string; filled?: Record<string, string | number> }
);

const MOST_PIXELS = 50_000_000; // as the service has it: two hundred megabytes of memory
const streams = new Map<number, Stream>();

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

async function answered(asked: Asked): Promise<PictureRecord | null> {
  if (asked.kind === "end") {
    streams.delete(asked.stream);
    return null;
  }
  const reader = await analyzer();
  if (asked.kind === "wake") return null;
  const bitmap = asked.kind === "frame" ? asked.frame : await decoded(asked.picture);
  const picture = pixels(bitmap);
  if (asked.kind === "picture") {
    return reader.recordOf(picture, await reader.analyze(picture));
  }
  let stream = streams.get(asked.stream);
  if (!stream) {
    stream = reader.stream({ smooth: asked.smooth ? "causal" : "none" });
    streams.set(asked.stream, stream);
  }
  const faces = await stream.next(picture, asked.timeS);
  return reader.recordOf(picture, faces, { timeS: asked.timeS });
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
    await (asked.kind === "end" ? null : analyzer());
  } catch (err) {
    return { id, why: "load", detail: String(err instanceof Error ? err.message : err) };
  }
  try {
    return { id, record: await answered(asked) };
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
