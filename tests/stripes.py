"""Pictures made up in a moment, and a recipe that learns to tell them apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.data import table
from mien.data.table import Row, Table
from mien.training import recipes
from mien.training.train import train as run

RECIPE = """
[data]
label_set = "mien8"
labels = ["happiness", "sadness", "fear"]
train = "train"
select = "select"
test = "select"
drop_overlap = false

[model]
name = "resnet10"
size = 16

[augment]
rotate_deg = 10.0
noise = 8.0
erase = 0.3

[train]
epochs = 2
batch = 16
lr = 0.005
warmup_epochs = 1
precision = "32-true"
"""
_SLOPES = {"happiness": (1, 0), "sadness": (0, 1), "fear": (1, 1)}


def rows(label: str, count: int, split: str, random: np.random.Generator) -> list[Row]:
    """Stripes along for happiness, across for sadness, aslant for fear; 16 x 16."""
    across, down = _SLOPES[label]
    y, x = np.mgrid[:16, :16]
    found = []
    for i in range(count):
        wave = 128 + 60 * np.sin((across * x + down * y) * 1.2 + random.uniform(0, 6))
        pixels = np.clip(wave + random.normal(0, 30, (16, 16)), 0, 255).astype(np.uint8)
        png = cv2.imencode(".png", pixels)[1].tobytes()
        found.append(Row(f"{split}/{label}/{i}", split, label, png, 16, 16))
    return found


def lay_out(folder: Path) -> Path:
    """``stripes.toml`` and ``stripes.parquet`` in a folder, and mien's console script."""
    random = np.random.default_rng(0)
    made = [row for label in _SLOPES for row in rows(label, 22, "train", random)]
    made += [row for label in _SLOPES for row in rows(label, 8, "select", random)]
    table.write(Table("stripes", made), folder / "stripes.parquet")
    (folder / "stripes.toml").write_text(RECIPE)
    (folder / "mien").write_text("from mien.start import run\nrun()\n")
    return folder


def command(folder: Path, out: str, *words: str) -> list[str]:
    """The console script as a user starts it, in ``folder``."""
    start = [sys.executable, str(folder / "mien"), "train", "stripes.toml"]
    return [*start, "--data", "stripes.parquet", "--out", out, "--accelerator", "cpu", *words]


def train(folder: Path, out: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, out, *words), cwd=folder, capture_output=True, text=True, timeout=300
    )


def log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


class Silent:
    """Listens to a run without a word."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


class _Stop(Silent):
    def epoch(self, record: dict[str, Any]) -> None:
        raise KeyboardInterrupt


def stop_after_one_epoch(folder: Path, out: str) -> None:
    """A run that was interrupted when its first epoch was over."""
    recipe = recipes.read(folder / "stripes.toml")
    with pytest.raises(KeyboardInterrupt):
        run(recipe, folder / "stripes.parquet", folder / out, _Stop(), "cpu")
