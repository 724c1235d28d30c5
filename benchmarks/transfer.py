r"""How far a backbone is trained, on a part of dobes2023's pictures: last layer, or inceptions too.

The recipe's own runs of GoogLeNet, those whose name ends in -top and those of the last layer
alone, on every fifth of its pictures, the same sides for both. What is measured is kept at once,
and the same command goes on with what is missing. Needs ``MIEN_MODELS``.

    python benchmarks/transfer.py fer2013.parquet --work runs/transfer
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from mien import provenance
from mien.data import table
from mien.data.table import Table, file_sha256
from mien.evaluation import metrics, runlog
from mien.expression.logits import softmax
from mien.papers import plans
from mien.training import arrange, checkpoint, recipes, transfer
from mien.training.recipes import ExpressionRecipe
from mien.training.train import task_of, train

HIDDEN = ("none", "mouth", "eyes", "nose")
TRAINED = {"top": "{}-top", "last": "{}"}  # in this order: the last layer goes on from its features
KEPT = ("n", "accuracy", "accuracy_ci95", "majority_baseline", "balanced_accuracy", "macro_f1")


class Told:
    """Says every epoch."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...

    def epoch(self, record: dict[str, Any]) -> None:
        typer.echo(json.dumps(record), err=True)


def main(
    fer2013: Path,
    work: Annotated[Path, typer.Option(help="Where runs and features are kept.")],
    every: Annotated[int, typer.Option(help="One picture of so many is taken.")] = 5,
    seeds: Annotated[int, typer.Option()] = 1,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/transfer.json"),
) -> None:
    """Train and test every cell that the result has not, and write it as JSON."""
    few = _few(fer2013, every, work)
    result: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"cells": {}}
    result |= {**provenance.environment(), "every": every, "data_sha256": file_sha256(few)}
    for name, recipe in _recipes(seeds):
        if name not in result["cells"]:
            result["cells"][name] = _cell(recipe, few, work / name, work / transfer.FOLDER)
            out.write_text(json.dumps(result, indent=2) + "\n")
            typer.echo(f"{name}: {result['cells'][name]['test']['accuracy']:.3f}")


def _few(fer2013: Path, every: int, work: Path) -> Path:
    """One of so many pictures of each of the recipe's expressions, as they come."""
    path = work / f"every-{every}.parquet"
    if not path.exists():
        recipe = recipes.read(recipes.find("dobes2023"))
        assert isinstance(recipe, ExpressionRecipe)
        whole = table.read(fer2013)
        targets = whole.targets(recipe.data.names)
        chosen = [np.flatnonzero(targets == k)[::every] for k in range(len(recipe.data.names))]
        places = np.isin(np.arange(len(whole)), np.concatenate(chosen))
        work.mkdir(parents=True, exist_ok=True)
        table.write(whole.keep(places), path)
    return path


def _recipes(seeds: int) -> Iterator[tuple[str, ExpressionRecipe]]:
    """The cells by name ("mouth.top.1"), those of the first seed first."""
    plan = plans.read(recipes.find("dobes2023"))
    named = dict(zip((run.name for run in plan.runs), plan.recipes, strict=True))
    for seed in range(1, seeds + 1):
        for hidden in HIDDEN:
            for trained, run in TRAINED.items():
                recipe = named[run.format(hidden)]
                assert isinstance(recipe, ExpressionRecipe)
                assert recipe.split
                again = replace(
                    recipe,
                    train=replace(recipe.train, seed=seed),
                    split=replace(recipe.split, seed=seed),
                )
                yield f"{hidden}.{trained}.{seed}", again


def _cell(recipe: ExpressionRecipe, data: Path, run: Path, features: Path) -> dict[str, Any]:
    weights = train(recipe, data, run, Told(), "cpu", features=features)
    top = task_of(recipe).network()
    checkpoint.load_weights(top, weights)
    faces = arrange.read(recipe, data)
    kept = transfer.Features(recipe, faces, features, torch.device("cpu"))

    def scored(side: Table) -> dict[str, Any]:
        probs = softmax(transfer.logits(top, kept.of(side))[0])
        found = metrics.score(probs, side.targets(recipe.data.names), recipe.data.names, None)
        return {key: found[key] for key in KEPT}

    epochs = runlog.epochs(run / "log.jsonl")
    return {
        "model": dataclasses.asdict(recipe.model),
        "train": dataclasses.asdict(recipe.train),
        "test": scored(faces.of_split(recipe.data.test)),
        "seen": scored(faces.of_split(recipe.data.train)),
        "seconds_per_epoch": round(float(np.mean([epoch["seconds"] for epoch in epochs])), 2),
        "features": json.loads((run / "environment.json").read_text())["features"],
    }


if __name__ == "__main__":
    typer.run(main)
