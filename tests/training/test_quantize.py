"""Models in eight bits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.app.verbs import main
from mien.data import table
from mien.data.table import Table
from mien.errors import DataError, ModelError
from mien.expression.baserates import BaseRates
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.training import quantize
from mien.training.export import metadata
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
    small = quantize.finder(whole, few, "small")
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
