"""The default model's programme from tables to candidates, on few faces and for an epoch each."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mien.data import table
from mien.data.table import Table
from mien.expression.recognize import load_model

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "whole_programme.py"


def programme(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1200)


@pytest.fixture(scope="module")
def runs(
    ferplus_table: Table, fer2013_table: Table, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    place = tmp_path_factory.mktemp("programme")
    tables = {"ferplus": ferplus_table, "fer2013": fer2013_table}
    for name, whole in tables.items():
        few = whole.keep(i % 200 == 0 for i in range(len(whole)))
        table.write(few, place / f"{name}.parquet")
    panel = place / "panel.toml"
    panel.write_text('[[set]]\nname = "ferplus"\ntable = "ferplus.parquet"\nsplit = "PublicTest"\n')
    options = [word for name in tables for word in (f"--{name}", place / f"{name}.parquet")]
    done = programme(place / "runs", *options, "--panel", panel, "--longer", 0.01)
    assert done.returncode == 0, done.stderr
    return place / "runs"


def test_both_models_come_out_as_they_would_ship(runs: Path) -> None:
    for name, side in (("mien", 64), ("mien-tiny", 48)):
        path = runs / "candidates" / f"{name}.onnx"
        info = load_model(path).info
        assert (info.name, info.preprocess.size) == (name, side)
        assert info.card["bits"]["bits"] == 8
        assert info.strengths is not None  # calibrated
        assert path.stat().st_size < 1.5e6


def test_each_learns_from_those_that_were_trained_for_it(runs: Path) -> None:
    def digest(run: str) -> str:
        return hashlib.sha256((runs / run / "checkpoint.safetensors").read_bytes()).hexdigest()

    told = {
        run: json.loads((runs / run / "recipe.json").read_text())
        for run in ("mien", "resnet10-slim56", "mien-tiny")
    }
    taught_by = {run: one["teacher_sha256"] for run, one in told.items()}
    assert taught_by == {
        "mien": [digest("resnet10-64")],
        "resnet10-slim56": [digest("mien")],
        "mien-tiny": [digest("mien"), digest("resnet10-slim56")],
    }
    assert told["mien"]["init_sha256"] == digest("resnet10-64")
    assert all(one["recipe"]["train"]["epochs"] == 1 for one in told.values())


def test_it_says_how_long_each_took_and_what_they_gave(runs: Path) -> None:
    done = json.loads((runs / "programme.json").read_text())
    assert list(done["seconds"]) == ["resnet10-64", "mien", "resnet10-slim56", "mien-tiny"]
    assert done["commit"]
    asked = json.loads((runs / "panel.json").read_text())["models"]
    assert [model["name"] for model in asked] == ["mien", "mien-tiny", "resnet10-ferplus"]


def test_a_step_that_fails_ends_it(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.parquet"
    done = programme(
        *(tmp_path / "runs", "--ferplus", missing, "--fer2013", missing, "--panel", missing)
    )
    assert done.returncode == 2
    assert "nowhere.parquet" in done.stderr
    assert "Traceback" not in done.stderr
