/** Parts of an ONNX file: its feature maps, its last layer, and another in its place; `mien.weights.graph`. */

import { ModelError } from "./errors.js";
import {
  bytes,
  type Field,
  field,
  fields,
  isMetadata,
  joined,
  metadataField,
  numberField,
  text,
  varint,
} from "./onnx.js";

const MODEL_GRAPH = 7;
const [GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_VALUE_INFO] = [1, 5, 11, 12, 13];
const [NODE_INPUT, NODE_OUTPUT, NODE_OP, NODE_ATTRIBUTE] = [1, 2, 4, 5];
const [ATTRIBUTE_NAME, ATTRIBUTE_FLOAT, ATTRIBUTE_INT] = [1, 2, 3];
const [TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW] = [1, 2, 8, 9];
const [VALUE_NAME, VALUE_TYPE] = [1, 2];
const [TYPE_TENSOR, TENSOR_ELEMENT, TENSOR_SHAPE, SHAPE_SIDE, FLOAT] = [1, 1, 2, 1, 1];
const [SIDE_VALUE, SIDE_NAME] = [1, 2];

const ENDS_MAPS = new Set([
  ...["AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean", "ReduceSum"],
  ...["Flatten", "Gemm", "MatMul", "Reshape", "Squeeze", "Transpose"],
]);
const AFFINE = new Set([
  ...["Add", "AveragePool", "Constant", "Dropout", "Flatten", "Gemm", "GlobalAveragePool"],
  ...["Identity", "MatMul", "ReduceMean", "ReduceSum", "Reshape", "Squeeze"],
]);

interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly whole: Uint8Array;
}

/**
 * What a model makes of its last feature maps.
 *
 * maps : the tensor's name, (N, C, h, w) in the model. content : an ONNX file that takes it and gives
 * the model's first output. affine : whether that is a weighted sum of the maps and a constant.
 */
export interface Tail {
  readonly maps: string;
  readonly content: Uint8Array;
  readonly affine: boolean;
}

/**
 * The inner product that a model ends with: `features @ weights.T + bias` are its answers.
 *
 * features : the tensor's name, (N, C) in the model. weights : K rows of C.
 */
export interface Head {
  readonly features: string;
  readonly weights: readonly Float32Array[];
  readonly bias: Float32Array;
}

/** The same model with one of its tensors as a further output: protobuf merges what comes twice. */
export function withOutput(content: Uint8Array, tensor: string): Uint8Array {
  const named = field(GRAPH_OUTPUT, field(VALUE_NAME, bytes(tensor)));
  return joined([content, field(MODEL_GRAPH, named)]);
}

/**
 * The part of a model behind the maps of its last convolution.
 *
 * Those are what the last convolution gives, after whatever is done to each value apart, and before
 * they are pooled, flattened or mixed. Throws ModelError for a model without a convolution, and for
 * one that looks at its input past those maps.
 */
export function tail(content: Uint8Array): Tail {
  const parts = [...fields(content)];
  const graph = graphOf(parts);
  const nodes = graph.filter((f) => f.number === GRAPH_NODE).map(nodeOf);
  const outputs = graph.filter((f) => f.number === GRAPH_OUTPUT).map((f) => nameOf(f, VALUE_NAME));
  const stored = graph.filter((f) => f.number === GRAPH_INITIALIZER).map((f) => nameOf(f, TENSOR_NAME));
  const maps = lastMaps(nodes);
  const { kept, taken } = behind(nodes, maps, outputs[0]);
  const past = [...taken].filter((name) => name !== maps && !stored.includes(name));
  if (past.length) throw new ModelError(`the model looks past its last feature maps, at ${past.sort()}`);
  const rest = graph.filter((f) => {
    if (f.number === GRAPH_INITIALIZER) return taken.has(nameOf(f, TENSOR_NAME));
    if (f.number === GRAPH_OUTPUT) return nameOf(f, VALUE_NAME) === outputs[0];
    return ![GRAPH_NODE, GRAPH_INPUT, GRAPH_VALUE_INFO].includes(f.number);
  });
  const input = field(GRAPH_INPUT, mapsOfAnySize(maps));
  const whole = joined([...kept.map((n) => n.whole), ...rest.map((f) => f.whole), input]);
  const others = parts.filter((part) => part.number !== MODEL_GRAPH).map((part) => part.whole);
  return {
    maps,
    content: joined([...others, field(MODEL_GRAPH, whole)]),
    affine: kept.every(({ op }) => AFFINE.has(op)),
  };
}

/** A model's last layer; throws ModelError where that is no inner product with a bias. */
export function head(content: Uint8Array): Head {
  const graph = graphOf([...fields(content)]);
  const { inputs } = last(graph);
  const [weights, bias] = inputs.slice(1).map((name) => {
    const found = graph.find((f) => f.number === GRAPH_INITIALIZER && nameOf(f, TENSOR_NAME) === name);
    return found && valuesOf(found);
  });
  if (!weights || !bias) {
    throw new ModelError("the model's last layer does not hold its weights as plain floats");
  }
  const width = weights.length / bias.length;
  const rows = Array.from(bias, (_, k) => weights.slice(k * width, (k + 1) * width));
  return { features: inputs[0], weights: rows, bias };
}

/** The same model with another last layer, of any number of answers, and other metadata. */
export function withHead(
  content: Uint8Array,
  weights: readonly Float32Array[],
  bias: Float32Array,
  metadata: ReadonlyMap<string, string>,
): Uint8Array {
  const parts = [...fields(content)];
  const graph = graphOf(parts);
  const { inputs, outputs } = last(graph);
  const changed = [inputs[1], inputs[2], outputs[0]];
  const namedBy = new Map([
    [GRAPH_INITIALIZER, TENSOR_NAME],
    [GRAPH_VALUE_INFO, VALUE_NAME],
    [GRAPH_OUTPUT, VALUE_NAME],
  ]);
  const kept = graph.filter((f) => {
    const named = namedBy.get(f.number);
    return named === undefined || !changed.includes(nameOf(f, named));
  });
  const flat = Float32Array.from(weights.flatMap((row) => [...row]));
  const whole = joined([
    ...kept.map((f) => f.whole),
    field(GRAPH_INITIALIZER, tensor(inputs[1], [weights.length, weights[0].length], flat)),
    field(GRAPH_INITIALIZER, tensor(inputs[2], [bias.length], bias)),
    field(GRAPH_OUTPUT, rowsOf(outputs[0], bias.length)),
  ]);
  const others = parts.filter((part) => part.number !== MODEL_GRAPH && !isMetadata(part));
  return joined([
    ...others.map((part) => part.whole),
    field(MODEL_GRAPH, whole),
    ...[...metadata].map(([key, value]) => metadataField(key, value)),
  ]);
}

function graphOf(parts: readonly Field[]): Field[] {
  return parts.filter((part) => part.number === MODEL_GRAPH).flatMap((part) => [...fields(part.content)]);
}

/** The node that gives the first output; throws ModelError unless it is x @ w.T + b. */
function last(graph: readonly Field[]): Node {
  const output = graph.find((f) => f.number === GRAPH_OUTPUT);
  const name = output && nameOf(output, VALUE_NAME);
  const nodes = graph.filter((f) => f.number === GRAPH_NODE).map(nodeOf);
  const found = nodes.find(({ outputs }) => outputs.length === 1 && outputs[0] === name);
  if (found?.op === "Gemm" && found.inputs.length === 3 && isPlain(found)) return found;
  throw new ModelError("the model does not end with an inner product and a bias");
}

/** Whether a Gemm's only change is that its weights come as K rows. */
function isPlain(node: Node): boolean {
  const [whole] = fields(node.whole);
  const said: Record<string, number> = { alpha: 1, beta: 1, transA: 0, transB: 0 };
  for (const attribute of fields(whole.content)) {
    if (attribute.number !== NODE_ATTRIBUTE) continue;
    const name = nameOf(attribute, ATTRIBUTE_NAME);
    for (const { number, content } of fields(attribute.content)) {
      if (number === ATTRIBUTE_INT) said[name] = varint(content, 0).value;
      if (number === ATTRIBUTE_FLOAT) said[name] = floatsOf(content)[0];
    }
  }
  return said.alpha === 1 && said.beta === 1 && said.transA === 0 && said.transB === 1;
}

/** Little-endian floats, wherever they begin. */
function floatsOf(content: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(content).buffer); // a copy: Node's buffers share theirs
}

/** The values of a tensor of raw floats; null for another. */
function valuesOf(initializer: Field): Float32Array | null {
  const parts = [...fields(initializer.content)];
  const kind = parts.find(({ number }) => number === TENSOR_TYPE);
  const raw = parts.find(({ number }) => number === TENSOR_RAW);
  if (!kind || !raw || varint(kind.content, 0).value !== FLOAT) return null;
  return floatsOf(raw.content);
}

function tensor(name: string, dims: readonly number[], values: Float32Array): Uint8Array {
  return joined([
    ...dims.map((n) => numberField(TENSOR_DIMS, n)),
    numberField(TENSOR_TYPE, FLOAT),
    field(TENSOR_NAME, bytes(name)),
    field(TENSOR_RAW, new Uint8Array(values.buffer)),
  ]);
}

/** What an output says of itself: floats, any number of rows of a width. */
function rowsOf(name: string, width: number): Uint8Array {
  const many = field(SHAPE_SIDE, field(SIDE_NAME, bytes("batch")));
  const fixed = field(SHAPE_SIDE, numberField(SIDE_VALUE, width));
  return valueOf(name, [many, fixed]);
}

function mapsOfAnySize(name: string): Uint8Array {
  return valueOf(name, Array(4).fill(field(SHAPE_SIDE, new Uint8Array())));
}

function valueOf(name: string, sides: readonly Uint8Array[]): Uint8Array {
  const shape = field(TENSOR_SHAPE, joined(sides));
  const kind = field(TYPE_TENSOR, joined([numberField(TENSOR_ELEMENT, FLOAT), shape]));
  return joined([field(VALUE_NAME, bytes(name)), field(VALUE_TYPE, kind)]);
}

function lastMaps(nodes: readonly Node[]): string {
  const place = nodes.findLastIndex(({ op }) => op === "Conv");
  if (place < 0) {
    throw new ModelError("the model has no convolution, so it has no feature maps to explain it by");
  }
  // They are sorted: each comes after what it takes.
  const ends = nodes.slice(place + 1).find(({ op }) => ENDS_MAPS.has(op));
  if (!ends) throw new ModelError("the model gives feature maps, and no answer made of them");
  return ends.inputs[0];
}

/** The nodes between two tensors in their order, and the tensors they take and do not make. */
function behind(
  nodes: readonly Node[],
  maps: string,
  output: string,
): { kept: Node[]; taken: ReadonlySet<string> } {
  const wanted = new Set([output]);
  const kept: Node[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((name) => name !== maps && wanted.has(name))) continue;
    kept.push(node);
    for (const name of node.outputs) wanted.delete(name);
    for (const name of node.inputs) if (name) wanted.add(name);
  }
  return { kept: kept.reverse(), taken: wanted };
}

function nodeOf({ content, whole }: Field): Node {
  const parts = [...fields(content)];
  const named = (number: number): string[] =>
    parts.filter((part) => part.number === number).map((part) => text(part.content));
  return { op: named(NODE_OP)[0], inputs: named(NODE_INPUT), outputs: named(NODE_OUTPUT), whole };
}

function nameOf(message: Field, number: number): string {
  return text([...fields(message.content)].find((part) => part.number === number)?.content);
}
