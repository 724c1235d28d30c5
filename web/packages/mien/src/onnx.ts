/** An ONNX file as what it is, one protobuf message: what it says of itself, and its fields. */

import { ModelError } from "./errors.js";

const METADATA_PROPS = 14; // of a ModelProto
const KEY = 1; // of a StringStringEntryProto
const VALUE = 2;

const VARINT = 0; // ways in which a field is written
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** One field of a message: its number, its content, and all its bytes, tag included. */
export interface Field {
  readonly number: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

/** The metadata of a model file by its keys; throws ModelError for a damaged file. */
export function metadata(file: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  for (const { number, content } of fields(file)) {
    if (number !== METADATA_PROPS) continue;
    const entry = new Map([...fields(content)].map((f) => [f.number, f.content]));
    found.set(text(entry.get(KEY)), text(entry.get(VALUE)));
  }
  return found;
}

/** One entry of a model's metadata, as a field of the model. */
export function metadataField(key: string, value: string): Uint8Array {
  return field(METADATA_PROPS, joined([field(KEY, bytes(key)), field(VALUE, bytes(value))]));
}

/** Whether a field of a model is metadata. */
export const isMetadata = ({ number }: Field): boolean => number === METADATA_PROPS;

export function text(content: Uint8Array | undefined): string {
  return new TextDecoder().decode(content);
}

export function bytes(told: string): Uint8Array {
  return new TextEncoder().encode(told);
}

/** The fields of a protobuf message in their order; throws ModelError where it is damaged. */
export function* fields(message: Uint8Array): Generator<Field> {
  let at = 0;
  while (at < message.length) {
    const start = at;
    const tag = varint(message, at);
    const wire = tag.value % 8;
    let begin = tag.end;
    if (wire === VARINT) {
      at = varint(message, begin).end;
    } else if (wire === FIXED64 || wire === FIXED32) {
      at = begin + (wire === FIXED64 ? 8 : 4);
    } else if (wire === BYTES) {
      const length = varint(message, begin);
      begin = length.end;
      at = begin + length.value;
    } else {
      throw new ModelError(`not an ONNX file: it holds a field of wire type ${wire}`);
    }
    if (at > message.length) throw new ModelError("not a whole ONNX file: it ends within a field");
    const content = message.subarray(begin, at);
    yield { number: Math.floor(tag.value / 8), content, whole: message.subarray(start, at) };
  }
}

/** A number of a message, and where it ends. */
export function varint(message: Uint8Array, start: number): { value: number; end: number } {
  let [value, factor] = [0, 1];
  for (let at = start; at < message.length; at++) {
    value += (message[at] & 0x7f) * factor;
    factor *= 128;
    if (message[at] < 0x80) return { value, end: at + 1 };
  }
  throw new ModelError("not a whole ONNX file: it ends within a number");
}

/** A field that holds bytes. */
export function field(number: number, content: Uint8Array): Uint8Array {
  return joined([written(number * 8 + BYTES), written(content.length), content]);
}

/** A field that holds a number. */
export function numberField(number: number, value: number): Uint8Array {
  return joined([written(number * 8 + VARINT), written(value)]);
}

function written(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return Uint8Array.from([...out, rest]);
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
