"""Models in eight bits."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

from mien.app.verbs import main
from mien.data import table
from mien.data.table import Table
from mien.errors import DataError, ModelError
from mien.expression.baserates import BaseRates
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.training import quantize
from mien.training.export import metadata
from mien.weights.session import Session
from tests import FIRST_MODEL


@pytest.fixture(scope="module")
def faces(ferplus_table: Table) -> Table:
    part = ferplus_table.of_split("PublicTest")
    return part.keep(i < 200 for i in range(len(part)))


def test_a_quarter_of_the_size_and_the_same_answers(
    faces: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = tmp_path / "faces.parquet", tmp_path / "small.onnx"
    table.write(faces, data)
    monkeypatch.setattr(
        "sys.argv", ["mien", "quantize", str(FIRST_MODEL), str(data), "-o", str(out)]
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert " of 200 faces" in capsys.readouterr().err
    whole, small = load_model(FIRST_MODEL), load_model(out)
    assert out.stat().st_size < 0.35 * len(whole.content)
    assert small.info.name == "small"
    assert small.info.card["bits"]["of"] == "resnet10-ferplus"
    assert small.info.temperature == whole.info.temperature
    crops = list(faces.pictures())
    near = np.abs(small.probabilities(crops, BaseRates()) - whole.probabilities(crops, BaseRates()))
    assert near.mean() < 0.02


def test_eight_bits_are_not_rounded_again(faces: Table) -> None:
    model = load_model()
    assert isinstance(model, OnnxRecognizer)
    with pytest.raises(ModelError, match="mien is in eight bits already"):
        quantize.quantized(model, list(faces.pictures()), "smaller")


def test_no_faces_no_scales(faces: Table) -> None:
    with pytest.raises(DataError, match="no faces to take the scales from"):
        quantize.some(faces.keep([False] * len(faces)))
    assert len(quantize.some(faces)) == 200


@pytest.mark.parametrize("name", sorted(quantize.FINDERS))
def test_networks_that_find_faces(name: str, w300_table: Table, tmp_path: Path) -> None:
    whole = quantize.read_finder(name)
    assert whole is not None
    few = w300_table.keep(i < 16 for i in range(len(w300_table)))
    if "bits" in json.loads(metadata(whole))["card"]:
        with pytest.raises(ModelError, match=f"{name} is in eight bits already"):
            quantize.finder(whole, few, "small")
        return
    level = logging.getLogger().level
    small = quantize.finder(whole, few, "small")
    assert logging.getLogger().level == level
    meta = json.loads(metadata(small))
    assert (meta["name"], meta["card"]["bits"]["pictures"]) == ("small", 16)
    assert len(small) < 0.4 * len(whole)
    assert quantize.difference(whole, small, few) < 0.05
    (tmp_path / "small.onnx").write_bytes(small)
    assert quantize.read_finder(str(tmp_path / "small.onnx")) == small


def test_other_models_find_no_faces() -> None:
    assert quantize.read_finder("mien") is None
    assert quantize.read_finder(str(FIRST_MODEL)) is None


def test_no_landmarks_no_scales(faces: Table) -> None:
    whole = quantize.read_finder("landmarks68")
    assert whole is not None
    with pytest.raises(DataError, match="no faces to take the scales from"):
        quantize.finder(whole, faces, "small")


def averaging(pads: list[int], in_bytes: bool = True) -> onnx.ModelProto:
    """Means of two by two of (N, 3, H, W), in steps of .02 from bytes to bytes, or in floats."""
    step, zero = np.array(0.02, np.float32), np.array(100, np.uint8)
    node = onnx.helper.make_node
    means = node(
        "AveragePool", ["y"], ["z"], "means", kernel_shape=[2, 2], strides=[2, 2], pads=pads
    )
    nodes = [
        node("QuantizeLinear", ["x", "step", "zero"], ["bytes"]),
        node("DequantizeLinear", ["bytes", "step", "zero"], ["y"]),
        means,
        node("QuantizeLinear", ["z", "step", "zero"], ["less"]),
        node("DequantizeLinear", ["less", "step", "zero"], ["out"]),
    ]
    if not in_bytes:
        nodes = [node("Relu", ["x"], ["y"]), means, node("Relu", ["z"], ["out"])]
    shape = ("n", 3, "h", "w")
    sides = [
        onnx.helper.make_tensor_value_info(s, onnx.TensorProto.FLOAT, shape) for s in ("x", "out")
    ]
    steps = [onnx.numpy_helper.from_array(step, "step"), onnx.numpy_helper.from_array(zero, "zero")]
    graph = onnx.helper.make_graph(nodes, "averaging", sides[:1], sides[1:], steps)
    opset = [onnx.helper.make_opsetid("", 18)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)


def test_averages_of_bytes_are_convolutions_that_answer_the_same() -> None:
    plain = averaging([0, 0, 0, 0])
    before = Session(plain.SerializeToString(), "before", 1)
    model = quantize.averaged_by_convolutions(plain)
    onnx.checker.check_model(model)
    assert "AveragePool" not in {node.op_type for node in model.graph.node}
    after = Session(model.SerializeToString(), "after", 1)
    x = np.random.default_rng(7).uniform(-2, 3, (2, 3, 10, 7)).astype(np.float32)
    ours, theirs = (session.run(None, {"x": x})[0] for session in (after, before))
    assert ours.shape == (2, 3, 5, 3)
    rounded = np.round(x / 0.02)[:, :, :10, :6].reshape(2, 3, 5, 2, 3, 2)
    np.testing.assert_allclose(ours, rounded.mean(axis=(3, 5)) * 0.02, atol=0.0101)
    np.testing.assert_allclose(
        ours, theirs, atol=0.0201
    )  # a mean between two steps may go either way


@pytest.mark.parametrize("kept", [averaging([1, 1, 1, 1]), averaging([0, 0, 0, 0], in_bytes=False)])
def test_other_averages_stay(kept: onnx.ModelProto) -> None:
    """What lies beyond a border counts in some, and floats are averaged fast enough."""
    before = kept.SerializeToString()
    assert quantize.averaged_by_convolutions(kept).SerializeToString() == before
