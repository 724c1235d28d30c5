"""What is read of an ONNX file without the onnx package, checked with it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.errors import ModelError
from mien.expression.recognize import OnnxRecognizer
from mien.face import FloatArray
from mien.weights import catalogue, graph, session

FLOAT = TensorProto.FLOAT


def model(nodes: list[onnx.NodeProto], **stored: FloatArray) -> bytes:
    """A graph from "x" (N, 1, 8, 8) to "y", with its weights."""
    tensors = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    x = helper.make_tensor_value_info("x", FLOAT, ["n", 1, 8, 8])
    y = helper.make_tensor_value_info("y", FLOAT, ["n", "k"])
    made = helper.make_graph(nodes, "made", [x], [y], tensors)
    opset = helper.make_opsetid("", 18)
    content: bytes = helper.make_model(
        made, opset_imports=[opset], ir_version=9
    ).SerializeToString()
    return content


def floats(*shape: int) -> FloatArray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


CONV = helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1])
RELU = helper.make_node("Relu", ["c"], ["r"])
FLAT = helper.make_node("Flatten", ["r"], ["f"])
DENSE = helper.make_node("MatMul", ["f", "d"], ["y"])


def test_the_tail_of_the_default_model_answers_as_the_whole() -> None:
    _, content = catalogue.read(catalogue.spec(catalogue.DEFAULT_MODEL))
    tail = graph.tail(content)
    whole = graph.with_output(content, tail.maps)
    onnx.checker.check_model(onnx.load_from_string(tail.content))
    assert tail.affine
    kept = onnx.load_from_string(tail.content).graph.initializer
    size = sum(len(tensor.SerializeToString()) for tensor in kept)
    assert size < len(content) / 50, "the weights before the maps are left out"
    face = np.random.default_rng(0).uniform(0, 255, (2, 1, 64, 64)).astype(np.float32)
    logits, maps = session.Session(whole, "whole", 1).run(None, {"face": face})
    assert maps.shape == (2, 192, 8, 8)
    (again,) = session.Session(tail.content, "tail", 1).run(None, {tail.maps: maps})
    np.testing.assert_allclose(again, logits, atol=1e-5)
    assert OnnxRecognizer(whole, "whole", "").info.name == catalogue.DEFAULT_MODEL


def test_maps_are_taken_behind_the_activation() -> None:
    content = model([CONV, RELU, FLAT, DENSE], w=floats(3, 1, 3, 3), d=floats(192, 4))
    tail = graph.tail(content)
    assert (tail.maps, tail.affine) == ("r", True)
    part = onnx.load_from_string(tail.content).graph
    assert [node.op_type for node in part.node] == ["Flatten", "MatMul"]
    assert [tensor.name for tensor in part.initializer] == ["d"]


def test_a_dense_layer_with_an_activation_is_not_affine() -> None:
    hidden = helper.make_node("MatMul", ["f", "d"], ["h"])
    bent = helper.make_node("Relu", ["h"], ["b"])
    last = helper.make_node("MatMul", ["b", "e"], ["y"])
    content = model(
        [CONV, RELU, FLAT, hidden, bent, last],
        w=floats(3, 1, 3, 3),
        d=floats(192, 5),
        e=floats(5, 4),
    )
    assert not graph.tail(content).affine


def test_no_convolution_and_a_look_past_the_maps() -> None:
    flat = helper.make_node("Flatten", ["x"], ["f"])
    with pytest.raises(ModelError, match="no convolution"):
        graph.tail(model([flat, DENSE], d=floats(64, 4)))
    beside = helper.make_node("Flatten", ["x"], ["g"])
    dense = helper.make_node("MatMul", ["f", "d"], ["p"])
    other = helper.make_node("MatMul", ["g", "e"], ["q"])
    both = helper.make_node("Add", ["p", "q"], ["y"])
    nodes = [beside, CONV, RELU, FLAT, dense, other, both]
    content = model(nodes, w=floats(3, 1, 3, 3), d=floats(192, 4), e=floats(64, 4))
    with pytest.raises(ModelError, match=r"looks past its last feature maps, at \['x'\]"):
        graph.tail(content)
    only_maps = helper.make_node("Relu", ["c"], ["y"])
    with pytest.raises(ModelError, match="no answer made of them"):
        graph.tail(model([CONV, only_maps], w=floats(3, 1, 3, 3)))


@pytest.mark.parametrize("cut", [1, 100, 2000])
def test_a_damaged_file_is_told(cut: int) -> None:
    content = model([CONV, RELU, FLAT, DENSE], w=floats(3, 1, 3, 3), d=floats(192, 4))
    with pytest.raises(ModelError, match="not a whole ONNX file"):
        graph.tail(content[:-cut])
    with pytest.raises(ModelError, match="not an ONNX file"):
        graph.tail(b"\x0f" + content)
