"""Parts of an ONNX file, without the onnx package: its feature maps, and what follows from them.

An ONNX file is one protobuf message (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Only
the few fields that say how a graph hangs together are read; all others are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from ..face import FloatArray

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 1, 5, 11, 12, 13
_MODEL_METADATA, _ENTRY_KEY, _ENTRY_VALUE = 14, 1, 2
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_FLOAT, _ATTRIBUTE_INT = 1, 2, 3
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_ELEMENT, _TENSOR_SHAPE, _SHAPE_SIDE, _FLOAT = 1, 1, 2, 1, 1
_SIDE_VALUE, _SIDE_NAME = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

PRECISIONS = {"tensor(float)": _FLOAT, "tensor(float16)": 10, "tensor(double)": 11}
"""What ONNX Runtime calls arrays of floats, and ONNX's numbers for these."""

_ENDS_MAPS = {
    *("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean", "ReduceSum"),
    *("Flatten", "Gemm", "MatMul", "Reshape", "Squeeze", "Transpose"),
}
_AFFINE = {
    *("Add", "AveragePool", "Constant", "Dropout", "Flatten", "Gemm", "GlobalAveragePool"),
    *("Identity", "MatMul", "ReduceMean", "ReduceSum", "Reshape", "Squeeze"),
}


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a message: its number, its content, and all its bytes, tag included."""

    number: int
    content: bytes
    whole: bytes


@dataclass(frozen=True, slots=True)
class _Node:
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    whole: bytes


@dataclass(frozen=True, slots=True)
class Tail:
    """What a model makes of its last feature maps.

    maps : the tensor's name, (N, C, h, w) in the model.
    content : an ONNX file that takes it and gives the model's first output.
    affine : whether that is a weighted sum of the maps and a constant.
    """

    maps: str
    content: bytes
    affine: bool


def with_output(content: bytes, tensor: str) -> bytes:
    """The same model with one of its tensors as a further output.

    Protobuf merges a message that occurs twice, so the file only grows by the name.
    """
    named = _encoded(_GRAPH_OUTPUT, _encoded(_VALUE_NAME, tensor.encode()))
    return content + _encoded(_MODEL_GRAPH, named)


def tail(content: bytes, precision: str = "tensor(float)") -> Tail:
    """The part of a model behind the maps of its last convolution.

    precision : of these maps, one of ``PRECISIONS``; the file itself need not say it.
    Those are what the last convolution gives, after whatever is done to each value apart, and
    before they are pooled, flattened or mixed. Raises ModelError for a model without a convolution,
    and for one that looks at its input past those maps.
    """
    parts = list(_fields(content))
    graph = _graph(parts)
    nodes = [_node(f) for f in graph if f.number == _GRAPH_NODE]
    outputs = [_name(f, _VALUE_NAME) for f in graph if f.number == _GRAPH_OUTPUT]
    stored = {_name(f, _TENSOR_NAME) for f in graph if f.number == _GRAPH_INITIALIZER}
    maps = _last_maps(nodes)
    kept, taken = _behind(nodes, maps, outputs[0])
    if past := taken - stored - {maps}:
        raise ModelError(f"the model looks past its last feature maps, at {sorted(past)}")
    new = [node.whole for node in kept]
    for field in graph:
        if field.number == _GRAPH_INITIALIZER and _name(field, _TENSOR_NAME) not in taken:
            continue
        if field.number == _GRAPH_OUTPUT and _name(field, _VALUE_NAME) != outputs[0]:
            continue
        if field.number not in (_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_VALUE_INFO):
            new.append(field.whole)
    new.append(_encoded(_GRAPH_INPUT, _maps_of_any_size(maps, PRECISIONS[precision])))
    rest = [part.whole for part in parts if part.number != _MODEL_GRAPH]
    model = b"".join([*rest, _encoded(_MODEL_GRAPH, b"".join(new))])
    return Tail(maps, model, all(node.op in _AFFINE for node in kept))


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The inner product that a model ends with: ``features @ weights.T + bias`` are its answers.

    features : the tensor's name, (N, C) in the model.
    weights : (K, C) float32. bias : (K,) float32.
    """

    features: str
    weights: FloatArray
    bias: FloatArray


def head(content: bytes) -> Head:
    """A model's last layer; raises ModelError where that is no inner product with a bias."""
    graph = _graph(list(_fields(content)))
    last = _last(graph)
    stored = {_name(f, _TENSOR_NAME): f for f in graph if f.number == _GRAPH_INITIALIZER}
    try:
        weights, bias = (_values(stored[name]) for name in last.inputs[1:])
    except (KeyError, ValueError) as err:
        raise ModelError(
            "the model's last layer does not hold its weights as plain floats"
        ) from err
    return Head(last.inputs[0], weights, bias)


def with_head(
    content: bytes, weights: FloatArray, bias: FloatArray, metadata: Mapping[str, str]
) -> bytes:
    """The same model with another last layer, (K, C) and (K,), of any K, and other metadata."""
    parts = list(_fields(content))
    graph = _graph(parts)
    last = _last(graph)
    _, weights_name, bias_name = last.inputs
    changed = {weights_name, bias_name, last.outputs[0]}
    name_of = {
        _GRAPH_INITIALIZER: _TENSOR_NAME,
        _GRAPH_VALUE_INFO: _VALUE_NAME,
        _GRAPH_OUTPUT: _VALUE_NAME,
    }
    kept = [
        field.whole
        for field in graph
        if field.number not in name_of or _name(field, name_of[field.number]) not in changed
    ]
    kept.append(_encoded(_GRAPH_INITIALIZER, _tensor(weights_name, weights)))
    kept.append(_encoded(_GRAPH_INITIALIZER, _tensor(bias_name, bias)))
    kept.append(_encoded(_GRAPH_OUTPUT, _rows_of(last.outputs[0], len(bias))))
    entries = [
        _encoded(
            _MODEL_METADATA,
            _encoded(_ENTRY_KEY, key.encode()) + _encoded(_ENTRY_VALUE, value.encode()),
        )
        for key, value in metadata.items()
    ]
    rest = [p.whole for p in parts if p.number not in (_MODEL_GRAPH, _MODEL_METADATA)]
    return b"".join([*rest, _encoded(_MODEL_GRAPH, b"".join(kept)), *entries])


def _graph(parts: list[_Field]) -> list[_Field]:
    return [f for part in parts if part.number == _MODEL_GRAPH for f in _fields(part.content)]


def _last(graph: list[_Field]) -> _Node:
    """The node that gives the first output; raises ModelError unless it is x @ w.T + b."""
    outputs = [_name(f, _VALUE_NAME) for f in graph if f.number == _GRAPH_OUTPUT]
    nodes = [_node(f) for f in graph if f.number == _GRAPH_NODE]
    found = [node for node in nodes if outputs[:1] == list(node.outputs)]
    if not found or found[0].op != "Gemm" or len(found[0].inputs) != 3 or not _plain(found[0]):
        raise ModelError("the model does not end with an inner product and a bias")
    return found[0]


def _plain(node: _Node) -> bool:
    """Whether a Gemm's only change is that its weights come as (K, C)."""
    (whole,) = _fields(node.whole)
    said = dict[str, float]()
    for field in _fields(whole.content):
        if field.number == _NODE_ATTRIBUTE:
            name = _name(field, _ATTRIBUTE_NAME)
            for part in _fields(field.content):
                if part.number == _ATTRIBUTE_INT:
                    said[name] = _read_varint(part.content, 0)[0]
                elif part.number == _ATTRIBUTE_FLOAT:
                    said[name] = float(np.frombuffer(part.content, "<f4")[0])
    return {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | said == {
        "alpha": 1.0,
        "beta": 1.0,
        "transA": 0,
        "transB": 1,
    }


def _values(field: _Field) -> FloatArray:
    """A TensorProto of raw floats; raises ValueError for another."""
    dims, raw, kind = list[int](), b"", 0
    for part in _fields(field.content):
        if part.number == _TENSOR_DIMS:
            at = 0
            while at < len(part.content):  # one number, or several packed
                value, at = _read_varint(part.content, at)
                dims.append(value)
        elif part.number == _TENSOR_TYPE:
            kind = _read_varint(part.content, 0)[0]
        elif part.number == _TENSOR_RAW:
            raw = part.content
    if kind != _FLOAT:
        raise ValueError(f"a tensor of type {kind}")
    return np.frombuffer(raw, "<f4").reshape(dims)


def _tensor(name: str, values: FloatArray) -> bytes:
    """A TensorProto of floats."""
    dims = b"".join(_varint(_TENSOR_DIMS << 3 | _VARINT) + _varint(n) for n in values.shape)
    kind = _varint(_TENSOR_TYPE << 3 | _VARINT) + _varint(_FLOAT)
    raw = np.ascontiguousarray(values, "<f4").tobytes()
    return dims + kind + _encoded(_TENSOR_NAME, name.encode()) + _encoded(_TENSOR_RAW, raw)


def _rows_of(name: str, width: int) -> bytes:
    """A ValueInfoProto of floats, (any number, width)."""
    element = _varint(_TENSOR_ELEMENT << 3 | _VARINT) + _varint(_FLOAT)
    many = _encoded(_SHAPE_SIDE, _encoded(_SIDE_NAME, b"batch"))
    fixed = _encoded(_SHAPE_SIDE, _varint(_SIDE_VALUE << 3 | _VARINT) + _varint(width))
    kind = _encoded(_TYPE_TENSOR, element + _encoded(_TENSOR_SHAPE, many + fixed))
    return _encoded(_VALUE_NAME, name.encode()) + _encoded(_VALUE_TYPE, kind)


def _last_maps(nodes: list[_Node]) -> str:
    places = [i for i, node in enumerate(nodes) if node.op == "Conv"]
    if not places:
        raise ModelError("the model has no convolution, so it has no feature maps to explain it by")
    for node in nodes[places[-1] + 1 :]:  # they are sorted: each comes after what it takes
        if node.op in _ENDS_MAPS:
            return node.inputs[0]
    raise ModelError("the model gives feature maps, and no answer made of them")


def _behind(nodes: list[_Node], maps: str, output: str) -> tuple[list[_Node], set[str]]:
    """The nodes between two tensors in their order, and the tensors they take and do not make."""
    wanted, kept = {output}, list[_Node]()
    for node in reversed(nodes):
        made = wanted & set(node.outputs) - {maps}
        if made:
            kept.append(node)
            wanted = (wanted - set(node.outputs)) | {name for name in node.inputs if name}
    return kept[::-1], wanted


def _node(field: _Field) -> _Node:
    found: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: [], _NODE_OP: []}
    for part in _fields(field.content):
        if part.number in found:
            found[part.number].append(part.content.decode())
    ops, inputs, outputs = found[_NODE_OP], found[_NODE_INPUT], found[_NODE_OUTPUT]
    return _Node(ops[0], tuple(inputs), tuple(outputs), field.whole)


def _name(field: _Field, number: int) -> str:
    return next((f.content.decode() for f in _fields(field.content) if f.number == number), "")


def _maps_of_any_size(name: str, number: int) -> bytes:
    """A ValueInfoProto of floats (of ONNX's ``number``) with four sides."""
    element = _varint(_TENSOR_ELEMENT << 3 | _VARINT) + _varint(number)
    sides = _encoded(_TENSOR_SHAPE, 4 * _encoded(_SHAPE_SIDE, b""))
    kind = _encoded(_TYPE_TENSOR, element + sides)
    return _encoded(_VALUE_NAME, name.encode()) + _encoded(_VALUE_TYPE, kind)


def _fields(message: bytes) -> Iterator[_Field]:
    """The fields of a message in their order; raises ModelError where it is damaged."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _read_varint(message, at)
        number, wire = tag >> 3, tag & 7
        begin = at
        if wire == _VARINT:
            _, at = _read_varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            length, begin = _read_varint(message, at)
            at = begin + length
        else:
            raise ModelError(f"not an ONNX file: it holds a field of wire type {wire}")
        if at > len(message):
            raise ModelError("not a whole ONNX file: it ends within a field")
        yield _Field(number, message[begin:at], message[start:at])


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ModelError("not a whole ONNX file: it ends within a number")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _encoded(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content
