"""``mien analyze --coverage`` as a person meets it: records, a table on a terminal, refusals."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from mien.data.table import Table
from mien.face import ImageArray
from mien.training.export import recalibrated
from tests.app.running import Words, on_terminal, run, save
from tests.made import video


@pytest.fixture(scope="module")
def calibrated(ferplus_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    part = ferplus_table.of_split("PublicTest")
    content, _ = recalibrated("mien", part.keep(i < 200 for i in range(len(part))))
    path = tmp_path_factory.mktemp("calibrated") / "mine.onnx"
    path.write_bytes(content)
    return path


@pytest.fixture
def portrait(astronaut: ImageArray, tmp_path: Path) -> Path:
    return save(astronaut, tmp_path / "a.png")


def test_records_hold_each_faces_set(calibrated: Path, portrait: Path, tmp_path: Path) -> None:
    words: list[Words] = ["analyze", portrait, "--model", calibrated, "--coverage", "0.9"]
    [record] = run(*words).records
    assert record["faces"][0]["prediction_set"] == ["happiness"]
    out = tmp_path / "out.csv"
    assert run(*words, "--out", out, "--processes", "2").status == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text(encoding="utf-8-sig")))
    assert row["prediction_set"] == "happiness"
    meta = json.loads((tmp_path / "out.csv.meta.json").read_text())
    assert meta["prediction_sets"]["coverage"] == 0.9
    assert 150 < meta["prediction_sets"]["faces"] <= 200  # those with a label


def test_a_table_on_a_terminal(calibrated: Path, portrait: Path) -> None:
    words: list[Words] = ["analyze", portrait, "--model", calibrated, "--coverage", "0.9"]
    shown = on_terminal(*words, columns=100)
    head, row, *_ = shown.out.splitlines()
    assert head.split("quality")[1].strip() == "one of these, 90%"
    assert row.rstrip().endswith("happiness")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--coverage", "90"], 2, "percent? write 0.9"),
        (["--coverage", "0.9", "--base-rates", "training"], 2, "leave --base-rates"),
        (["--coverage", "0.9", "--smooth", "causal"], 2, "smoothing changes these"),
    ],
)
def test_what_cannot_be_promised_is_refused_before_anything_is_written(
    calibrated: Path, tmp_path: Path, words: list[str], status: int, says: str
) -> None:
    clip, out = video(tmp_path / "clip.mp4"), tmp_path / "out.jsonl"
    done = run("analyze", clip, "--model", calibrated, "--out", out, *words)
    assert (done.status, says in done.err) == (status, True), done.err
    assert not out.exists()
