/** What the tests are given: the package's own files, and small files that are none of mien's. */

import { readFileSync } from "node:fs";

import * as runtime from "onnxruntime-web";

import { Analyzer, type Numbers, type Picture } from "mien-web";

runtime.env.wasm.numThreads = 1;

/** The package's folder, seen from where the tests are built to. */
export const PACKAGE = new URL("../../", import.meta.url);

export function modelFile(name: string): URL {
  return new URL(`models/${name}`, PACKAGE);
}

export function bytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(modelFile(name)));
}

export const numbers = JSON.parse(readFileSync(modelFile("numbers.json"), "utf8")) as Numbers;

export const models = {
  recognizer: modelFile("mien.onnx"),
  landmarks: modelFile("landmarks68.onnx"),
  proposals: modelFile("proposals.onnx"),
};

export async function analyzer(more: Partial<Parameters<typeof Analyzer.load>[0]> = {}): Promise<Analyzer> {
  return Analyzer.load({ models, numbers, runtime, ...more });
}

/** One color all over. */
export function plain(width: number, height: number, level = 120): Picture {
  return { width, height, data: new Uint8ClampedArray(4 * width * height).fill(level) };
}

/** An ONNX file that holds metadata and nothing else. */
export function withMetadata(key: string, value: string): Uint8Array {
  const entry = [...field(1, new TextEncoder().encode(key)), ...field(2, new TextEncoder().encode(value))];
  return Uint8Array.from([0x08, 10, ...field(14, Uint8Array.from(entry))]);
}

function field(number: number, content: Uint8Array): number[] {
  return [number * 8 + 2, ...varint(content.length), ...content];
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
