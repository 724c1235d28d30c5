"""Models in eight bits."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from mien.app.verbs import main
from mien.data import table
from mien.data.table import Row, Table, png
from mien.errors import DataError, ModelError
from mien.expression.baserates import BaseRates
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import ImageArray
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


def test_its_scales_are_of_faces_cut_as_the_model_takes_them(
    astronaut: ImageArray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not of whole photographs, nor of faces that were cut in another way."""
    photograph = Row("a", "all", "happiness", png(astronaut), *astronaut.shape[1::-1])
    wall = Row("b", "all", "fear", png(np.full((200, 200, 3), 90, np.uint8)), 200, 200)
    level = [Row("c", "all", "fear", png(astronaut[60:180, 170:290]), 120, 120)]
    table.write(Table("photos", [photograph, wall]), tmp_path / "photos.parquet")
    other = Table("level", level, notes={"align": "similarity"})
    table.write(other, tmp_path / "level.parquet")
    said = []
    for name in ("photos", "level"):
        words = [
            str(FIRST_MODEL),
            str(tmp_path / f"{name}.parquet"),
            "-o",
            str(tmp_path / "s.onnx"),
        ]
        monkeypatch.setattr("sys.argv", ["mien", "quantize", *words])
        with pytest.raises(SystemExit):
            main()
        said.append(capsys.readouterr().err)
    assert "1 faces found in 2 pictures" in said[0]
    assert " of 1 faces" in said[0]
    assert "are cut by 'similarity', and" in said[1]


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


def test_what_is_no_model_and_what_only_has_the_name_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file called mien is not the model called mien, here as everywhere."""
    monkeypatch.chdir(tmp_path)
    for name in ("mien", "bad.onnx"):
        Path(name).write_text("hello")
    assert quantize.read_finder("mien") is None
    with pytest.raises(ModelError, match="files that mien exported, and this is no model"):
        quantize.read_finder("bad.onnx")


def test_no_landmarks_no_scales(faces: Table) -> None:
    whole = quantize.read_finder("landmarks68")
    assert whole is not None
    with pytest.raises(DataError, match="no faces to take the scales from"):
        quantize.finder(whole, faces, "small")


def averaging(
    kernel: int = 1, pads: Sequence[int] = (0, 0, 0, 0), used_again: bool = False
) -> onnx.ModelProto:
    """A convolution of 2 x 2 pixels' means, of (N, 3, H, W)."""
    node = onnx.helper.make_node
    nodes = [
        node("AveragePool", ["x"], ["means"], kernel_shape=[2, 2], strides=[2, 2], pads=pads),
        node("Conv", ["means", "weight", "bias"], ["y"]),
        *([node("Relu", ["means"], ["again"])] if used_again else []),
    ]
    random = np.random.default_rng(7)
    weights = [
        onnx.numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in (("weight", (5, 3, kernel, kernel)), ("bias", (5,)))
    ]
    x, *made = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("n", c, "h", "w"))
        for name, c in (("x", 3), ("y", 5), *([("again", 3)] if used_again else []))
    )
    graph = onnx.helper.make_graph(nodes, "averaging", [x], made, weights)
    opset = [onnx.helper.make_opsetid("", 18)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)


def test_a_convolution_of_averages_takes_their_pixels_and_answers_the_same() -> None:
    plain = averaging()
    before = Session(plain.SerializeToString(), "before", 1)
    model = quantize.averaged_within_convolutions(plain)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    after = Session(model.SerializeToString(), "after", 1)
    x = np.random.default_rng(8).uniform(-2, 3, (2, 3, 10, 7)).astype(np.float32)
    ours, theirs = (session.run(None, {"x": x})[0] for session in (after, before))
    assert ours.shape == (2, 5, 5, 3)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    "kept", [averaging(pads=[1, 1, 1, 1]), averaging(kernel=3), averaging(used_again=True)]
)
def test_other_averages_stay(kept: onnx.ModelProto) -> None:
    """What lies beyond a border counts in some; larger convolutions and others need the means."""
    before = kept.SerializeToString()
    assert quantize.averaged_within_convolutions(kept).SerializeToString() == before


def test_no_average_is_left_in_a_model_in_eight_bits(faces: Table) -> None:
    whole = load_model(FIRST_MODEL)
    content = quantize.quantized(whole, list(quantize.some(faces).pictures()), "small")
    kinds = [
        [n.op_type for n in onnx.load_from_string(c).graph.node] for c in (whole.content, content)
    ]
    assert kinds[0].count("AveragePool") == 3
    assert kinds[0].count("Conv") == kinds[1].count("Conv")
    assert "AveragePool" not in kinds[1]
