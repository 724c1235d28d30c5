"""Runs that are tested after every epoch, where a paper reports its figures step by step.

Such a run answers in training: after each epoch its averaged weights are asked about its own test
side, and about the tables that it is tested on elsewhere. No weights are kept for that. The
figure that stands for the run is that of the epoch best on the select side, as everywhere; a paper
that takes its best step by the test has looked at the answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from ..data.table import Table
from ..errors import DataError
from ..expression.logits import softmax
from ..labels import LabelSet
from . import arrange
from .expression_task import rank
from .recipes import ExpressionRecipe
from .train import answers_of

OWN = "test"
"""What a run's own test side is called among what it is asked."""
Answers = dict[str, Any]


def everything(recipe: ExpressionRecipe, path: Path) -> Table:
    """All rows of a table that a recipe's network can answer, as it would see them."""
    plain = replace(
        recipe, only={}, copies=None, split=None, data=replace(recipe.data, subject=None)
    )
    table = arrange.read(plain, path)
    return table.keep(table.targets(recipe.data.names) >= 0)


def planes(recipe: ExpressionRecipe, tables: Mapping[str, Table]) -> dict[str, Tensor]:
    """Pictures as the recipe's network takes them, by name; see ``train``'s ``asked``."""
    spec = recipe.model.preprocess
    return {name: torch.from_numpy(table.planes(spec)) for name, table in tables.items()}


def answers(
    recipe: ExpressionRecipe, run: Path, name: str, table: Table, labels: LabelSet, best: int
) -> Answers:
    """What a finished run said of a table's rows, over some of its labels, ready for JSON.

    best : the epoch whose answers stand for the run; ``steps`` has those of every epoch, by the
        number of its last step.

    Raises DataError where the run was never asked about them.
    """
    places = [recipe.data.names.index(label) for label in labels.labels]
    every = [_probs(run, epoch, name, len(table), places) for epoch in range(recipe.train.epochs)]
    return {
        "labels": list(labels.labels),
        "ids": [row.id for row in table.rows],
        "subjects": [row.subject for row in table.rows],
        "targets": table.targets(labels).tolist(),
        "probs": every[best],
        "steps": {
            str((epoch + 1) * recipe.train.epoch_steps): probs for epoch, probs in enumerate(every)
        },
    }


def _probs(run: Path, epoch: int, name: str, rows: int, places: Sequence[int]) -> list[list[float]]:
    path = answers_of(run, epoch)
    found = load_file(path).get(name) if path.is_file() else None
    if found is None or len(found) != rows:
        raise DataError(
            f"{run} was trained without being asked about {name}; remove that folder, and the same "
            "command trains it again"
        )
    rounded: list[list[float]] = np.round(softmax(found.numpy()[:, places]), 6).tolist()
    return rounded


def best_epoch(epochs: Sequence[Mapping[str, Any]]) -> int:
    """The epoch that is best on the select side, as training chooses."""
    ranks = [rank(epoch["select"]) for epoch in epochs]
    return ranks.index(max(ranks))


def at_step(parts: Sequence[Answers], step: str) -> list[Answers]:
    """The answers of several trainings after one of their steps."""
    return [{**part, "probs": part["steps"][step]} for part in parts]
