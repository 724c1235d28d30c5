"""What can be known before the work is told before it: nothing is read, nothing is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mien.analysis import batch
from mien.analysis.pipeline import Analyzer, Settings
from mien.app import files, laboratory
from mien.errors import ModelError, OutputError
from mien.face import Face, Frame
from mien.install import adding
from mien.testing import FakeDetector, FakeRecognizer
from mien.weights import catalogue
from tests.app.running import Call

GONE = "/nowhere/table.parquet"
OUT = {
    "data import": ("folder", "/nowhere"),
    "data align": (GONE, "--align", "box"),
    "data strong": (GONE,),
    "data decoys": ("/nowhere",),
    "data join": (GONE,),
    "data split": (GONE, "--by", "random"),
    "data sheet": (GONE,),
    "data stats": (GONE,),
    "data audit": (GONE,),
    "evaluate": (catalogue.DEFAULT_MODEL, GONE),
    "calibrate": (catalogue.DEFAULT_MODEL, GONE),
    "quantize": (catalogue.DEFAULT_MODEL, GONE),
    "export": ("/nowhere", "--data", GONE),
    "explain": ("/nowhere/a.png",),
    "train": ("--data", GONE),
    "reproduce": ("iliev2022",),
    "summary": (GONE,),
    "person export": ("nobody",),
}


@pytest.mark.parametrize("verb", OUT)
def test_a_file_that_cannot_be_written_is_told_first(call: Call, tmp_path: Path, verb: str) -> None:
    """Before the input is even looked for, which is not there."""
    (tmp_path / "file").write_bytes(b"")
    done = call(*verb.split(), *OUT[verb], "--out", tmp_path / "file" / "deeper" / "out.parquet")
    assert done.status == 1
    assert "is a file, no folder" in done.err
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_folder_that_takes_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(OutputError, match="takes no new files"):
        files.ready(tmp_path / "new" / "a.json")
    with pytest.raises(OutputError, match="takes no new files"):
        files.ready_folder(tmp_path / "new")


def test_nothing_is_made_where_all_is_well(tmp_path: Path) -> None:
    files.ready(tmp_path / "new" / "a.json")
    files.ready_folder(tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("verb", "library"),
    [
        ("data import", "pyarrow"),
        ("reproduce", "markdown-it-py"),
        ("reproduce", "matplotlib"),
    ],
)
def test_a_library_that_is_missing_is_told_first(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, library: str
) -> None:
    gone = library.replace("markdown-it-py", "markdown_it")
    monkeypatch.setattr(laboratory, "find_spec", lambda name: None if name == gone else object())
    done = call(*verb.split(), *OUT[verb], "--out", tmp_path / "out.parquet")
    assert done.status == 1
    extra = {"pyarrow": "table", "matplotlib": "plot"}.get(library, "train")
    assert f"needs {library}, which is not installed: {adding(extra)}" in done.err


class Broken(FakeDetector):
    """A detector whose network cannot be loaded, which shows when it is first used."""

    def detect(self, frame: Frame, known: object = ()) -> list[Face]:
        raise ModelError("proposals.onnx is damaged")


def test_a_network_that_cannot_be_loaded_is_no_picture_s_fault(smile: Path) -> None:
    analyzer = Analyzer(Settings(), recognizer=FakeRecognizer(), detector=Broken())
    with pytest.raises(ModelError, match="is damaged"):
        list(batch.analyze_files(batch.plan([smile, smile]), analyzer))


def test_a_damaged_landmark_network_is_one_refusal(
    call: Call, smile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    row = dataclasses.replace(catalogue.spec("landmarks68"), file="elsewhere.onnx")
    (tmp_path / row.file).write_bytes(b"damaged")
    monkeypatch.setitem(catalogue.CATALOGUE, row.name, row)
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    done = call("analyze", smile, smile, "--out", tmp_path / "out.jsonl")
    assert done.status == 1
    assert done.err.count("is damaged or another version") == 1
    assert not (tmp_path / "out.jsonl").exists()
