/** What an ONNX file says of itself, which onnxruntime-web does not tell. */

import { ModelError } from "./errors.js";

const METADATA_PROPS = 14; // of a ModelProto
const KEY = 1; // of a StringStringEntryProto
const VALUE = 2;

interface Field {
  readonly number: number;
  readonly content: Uint8Array;
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

function text(content: Uint8Array | undefined): string {
  return new TextDecoder().decode(content);
}

/** The fields of a protobuf message that have a content of bytes, in their order. */
function* fields(message: Uint8Array): Generator<Field> {
  let at = 0;
  while (at < message.length) {
    const tag = varint(message, at);
    const wire = tag.value % 8;
    at = tag.end;
    if (wire === 0) {
      at = varint(message, at).end;
    } else if (wire === 1 || wire === 5) {
      at += wire === 1 ? 8 : 4;
    } else if (wire === 2) {
      const length = varint(message, at);
      at = length.end + length.value;
      if (at > message.length) throw new ModelError("not a whole ONNX file: it ends within a field");
      yield { number: Math.floor(tag.value / 8), content: message.subarray(length.end, at) };
    } else {
      throw new ModelError(`not an ONNX file: it holds a field of wire type ${wire}`);
    }
  }
}

function varint(message: Uint8Array, start: number): { value: number; end: number } {
  let [value, factor] = [0, 1];
  for (let at = start; at < message.length; at++) {
    value += (message[at] & 0x7f) * factor;
    factor *= 128;
    if (message[at] < 0x80) return { value, end: at + 1 };
  }
  throw new ModelError("not a whole ONNX file: it ends within a number");
}
