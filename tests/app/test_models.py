"""``mien models`` as a person runs it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from mien.weights import catalogue
from tests.app.running import Call


def test_a_damaged_file_of_the_catalogue(
    call: Call, smile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    (tmp_path / catalogue.spec("yunet").file).write_bytes(b"damaged")
    done = call("analyze", smile, "-d", "yunet")
    assert done.status == 1
    assert "is damaged or another version: its sha256" in done.err
    assert "damaged: " + str(tmp_path) in call("models", "list").out


def test_in_a_pipe_no_line_is_folded(call: Call) -> None:
    listed, default = call("models", "list").out, catalogue.spec(catalogue.DEFAULT_MODEL)
    for said in (default.licence, default.trained_on, f"commercial use: {default.commercial}"):
        assert said in listed
    assert call("models", "card").out.startswith(f"# {catalogue.DEFAULT_MODEL}\n")


def test_every_model_is_listed(call: Call) -> None:
    listed = call("models", "list").out
    for spec in catalogue.CATALOGUE.values():
        assert re.search(rf"^{spec.name} +{spec.kind}$", listed, re.MULTILINE)
        assert spec.about in listed


def test_ones_own_networks_are_listed_and_used_by_name(
    call: Call, smile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = catalogue.locate(catalogue.spec(catalogue.DEFAULT_MODEL))
    assert default is not None
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "paper1999-mouth.onnx").write_bytes(default.read_bytes())
    (second / "broken.onnx").write_bytes(b"no network")
    (second / "yunet.onnx").write_bytes(b"a name of the catalogue's")
    monkeypatch.setenv("MIEN_MODELS", f"{first}{os.pathsep}{second}")
    listed = call("models", "list").out
    assert re.search(r"^paper1999-mouth +recognizer, not mien's$", listed, re.MULTILINE)
    assert f"file: {first / 'paper1999-mouth.onnx'}" in listed
    assert str(second / "paper1999-mouth.onnx") not in listed
    assert "answers: neutral, happiness, surprise, sadness" in listed
    assert "cannot be used: " in listed.partition("broken ")[2]
    assert "yunet.onnx" not in listed
    done = call("analyze", smile, "--model", "paper1999-mouth", "--format", "jsonl")
    assert done.status == 0
    assert json.loads(done.out)["faces"][0]["top"] == "happiness"
    assert call("models", "card", "paper1999-mouth").out.startswith("# mien\n")
    wrong = call("analyze", smile, "--model", "paper1999-mouths")
    assert (wrong.status, "did you mean paper1999-mouth?" in wrong.err) == (2, True)
