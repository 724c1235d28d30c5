"""The default model's whole programme in one command: from tables to files that could ship.

Teachers, the default model and the small one, each by its recipe; then both as they would ship, in
eight bits and calibrated, on a panel beside the first default model. ``--longer`` multiplies every
recipe's epochs: 20 on a machine with a GPU, where teachers of 11 and 21 million weights take part
(``--large``); a fraction goes through all of it on a CPU. No face recognition is in it.

A run that was cut off goes on with the same command, and what is done is not done again. RUNS gets
a folder for each run, ``candidates/mien.onnx`` and ``mien-tiny.onnx``, ``panel.json`` and
``programme.json``, which says how long each took. ``benchmarks/programme.py`` then keeps what a run
gave.

    python benchmarks/whole_programme.py RUNS --ferplus ferplus.parquet --fer2013 fer2013.parquet \
        --panel panel.toml --longer 20 --large
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mien import provenance
from mien.training import recipes

KEPT = Path(__file__).parent / "training"
FIRST = "resnet10-ferplus"
"""The first default model, kept there: a teacher begins with it, candidates are put beside it."""


@dataclass(frozen=True, slots=True)
class Run:
    """A training: of which recipe, begun with which run, taught by which ones."""

    recipe: str
    init: str = ""
    teachers: tuple[str, ...] = ()


SMALL = (Run("resnet10-64"),)
LARGE = (*SMALL, Run("resnet18-64"), Run("resnet34-64"))
SHIPPED = ("mien", "mien-tiny")


def students(teachers: tuple[Run, ...]) -> tuple[Run, ...]:
    """What learns from teachers: the default model, a slim one, and the small one from both."""
    taught_by = tuple(run.recipe for run in teachers)
    return (
        Run("mien", "resnet10-64", taught_by),
        Run("resnet10-slim56", teachers=("mien",)),
        Run("mien-tiny", "resnet10-slim56", ("mien", "resnet10-slim56")),
    )


def main(
    runs: Path,
    ferplus: Annotated[Path, typer.Option()],
    fer2013: Annotated[Path, typer.Option()],
    panel: Annotated[Path, typer.Option()],
    longer: Annotated[float, typer.Option(min=0.0, help="Times every recipe's epochs.")] = 1.0,
    large: Annotated[bool, typer.Option("--large", help="With the large teachers.")] = False,
) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    teachers = LARGE if large else SMALL
    also = ("--also", f"fer2013={fer2013}")
    seconds = {}
    for run in (*teachers, *students(teachers)):
        begun = time.monotonic()
        _train(run, runs, _table(run, runs, ferplus), also, longer)
        seconds[run.recipe] = round(time.monotonic() - begun, 1)
    for name in SHIPPED:
        _candidate(name, runs, _table(Run(name), runs, ferplus), also)
    mien, tiny = (runs / "candidates" / f"{name}.onnx" for name in SHIPPED)
    beside = ("--beside", tiny, "--beside", FIRST)
    _mien("evaluate", mien, panel, "--panel", *beside, "-o", runs / "panel.json")
    done = {**provenance.environment(), "longer": longer, "large": large, "seconds": seconds}
    (runs / "programme.json").write_text(json.dumps(done, indent=2) + "\n", encoding="utf-8")


def _table(run: Run, runs: Path, ferplus: Path) -> Path:
    """FER+'s faces cut as a run's recipe wants them."""
    model = _recipe(run).model
    cut = runs / f"ferplus{model.size}.parquet"
    if not cut.exists():
        _mien("data", "align", ferplus, "--align", model.align, "--size", model.size, "-o", cut)
    return cut


def _train(run: Run, runs: Path, data: Path, also: tuple[str, ...], longer: float) -> None:
    epochs = max(1, round(_recipe(run).train.epochs * longer))
    changed = ["--set", f"train.epochs={epochs}"]
    begun = ["--init", runs / run.init] if run.init else []
    taught = [word for name in run.teachers for word in ("--teacher", runs / name)]
    out = runs / run.recipe
    _mien("train", run.recipe, "-d", data, *also, *changed, *begun, *taught, "-o", out)


def _candidate(name: str, runs: Path, data: Path, also: tuple[str, ...]) -> None:
    """A run as the file that would ship: its last weights, in eight bits, calibrated."""
    out = runs / "candidates" / f"{name}.onnx"
    out.parent.mkdir(exist_ok=True)
    whole, small = runs / name / "whole.onnx", runs / name / f"{name}.onnx"
    _mien("export", runs / name, "-d", data, *also, "--weights", "last", "-o", whole)
    _mien("quantize", whole, data, "--split", "Training", "-o", small)
    _mien("calibrate", small, data, "--split", "PublicTest", "--no-offsets", "-o", out)


def _recipe(run: Run) -> recipes.ExpressionRecipe:
    recipe = recipes.read(recipes.find(run.recipe), ())
    assert isinstance(recipe, recipes.ExpressionRecipe)
    return recipe


def _mien(*words: object) -> None:
    """One of mien's commands, its output as it is; ends the program where it fails."""
    command = [str(word) for word in words]
    typer.echo(f"mien {' '.join(command)}", err=True)
    models = os.pathsep.join(filter(None, (str(KEPT), os.environ.get("MIEN_MODELS"))))
    done = subprocess.run(
        [sys.executable, "-m", "mien", *command], env={**os.environ, "MIEN_MODELS": models}
    )
    if done.returncode:
        raise typer.Exit(done.returncode)


if __name__ == "__main__":
    typer.run(main)
