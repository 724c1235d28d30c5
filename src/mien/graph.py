"""Parts of an ONNX file, without the onnx package: its feature maps, and what follows from them.

An ONNX file is one protobuf message (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Only
the few fields that say how a graph hangs together are read; all others are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .errors import ModelError

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP = 1, 2, 4
_TENSOR_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_ELEMENT, _TENSOR_SHAPE, _SHAPE_SIDE, _FLOAT = 1, 1, 2, 1, 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

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


def tail(content: bytes) -> Tail:
    """The part of a model behind the maps of its last convolution.

    Those are what the last convolution gives, after whatever is done to each value apart, and
    before they are pooled, flattened or mixed. Raises ModelError for a model without a convolution,
    and for one that looks at its input past those maps.
    """
    parts = list(_fields(content))
    graph = [f for part in parts if part.number == _MODEL_GRAPH for f in _fields(part.content)]
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
    new.append(_encoded(_GRAPH_INPUT, _maps_of_any_size(maps)))
    rest = [part.whole for part in parts if part.number != _MODEL_GRAPH]
    model = b"".join([*rest, _encoded(_MODEL_GRAPH, b"".join(new))])
    return Tail(maps, model, all(node.op in _AFFINE for node in kept))


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


def _maps_of_any_size(name: str) -> bytes:
    """A ValueInfoProto of floats with four sides."""
    element = _varint(_TENSOR_ELEMENT << 3 | _VARINT) + _varint(_FLOAT)
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
