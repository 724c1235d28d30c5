"""A model trained on a few hundred pictures of one's own, against the default model it began as.

    python benchmarks/own_pictures.py jaffe.parquet

``mien train --data`` with its own settings, once for each of five folds that keep people whole; the
answers for the tested people of all folds are pooled. The recipe's settings were chosen on LFW, so
JAFFE is the honest set here.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch loads

import numpy as np
import typer

from mien import provenance
from mien.data import table as tables
from mien.data.splits import split as dealt
from mien.evaluation import metrics
from mien.expression.baserates import default_for
from mien.expression.recognize import load_model
from mien.labels import subset
from mien.training import finetune, folder_run
from mien.training.recipes import ExpressionRecipe, read, shipped
from mien.weights.catalogue import DEFAULT_MODEL

FOLDS = 5


class Silent:
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


def main(
    data: Path, out: Annotated[Path, typer.Option()] = Path("benchmarks/results/own_pictures.json")
) -> None:
    answers: dict[str, list[Any]] = {"trained": [], DEFAULT_MODEL: []}
    targets, people, seconds = [], [], []
    for fold in range(FOLDS):
        settings = [f"split.folds={FOLDS}", f"split.fold={fold}", "split.by=subject"]
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            run = Path(folder) / "run"
            trained = finetune.train_folder(data, run, Silent(), settings, "cpu")
            seconds.append(time.perf_counter() - started)
            faces = tables.read(run / folder_run.FACES)
            recipe = read(shipped()[finetune.RECIPE], settings)
            assert isinstance(recipe, ExpressionRecipe)
            assert recipe.split
            tested = dealt(faces, recipe.split).of_split(recipe.data.test)
            names = subset(list(load_model(trained.model).info.label_set.labels))
            pictures = list(tested.pictures())
            for name, file in (("trained", trained.model), (DEFAULT_MODEL, DEFAULT_MODEL)):
                model = load_model(file)
                probs = model.probabilities(pictures, default_for(model.info.base_rates))
                chosen = probs[:, names.permutation_from(model.info.label_set)]
                answers[name].append(chosen / chosen.sum(axis=1, keepdims=True))
            targets.append(tested.targets(names))
            people += [row.subject or row.id for row in tested.rows]
    wanted = np.concatenate(targets)
    result = provenance.environment() | {
        "data": tables.read(data).name,
        "folds": FOLDS,
        "seconds": [round(value, 1) for value in seconds],
        "models": {
            name: metrics.score(np.concatenate(parts), wanted, names, people)
            for name, parts in answers.items()
        },
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    for name, score in result["models"].items():
        typer.echo(f"{name}: {score['accuracy']:.3f} {score['accuracy_ci95']}, n {score['n']}")


if __name__ == "__main__":
    typer.run(main)
