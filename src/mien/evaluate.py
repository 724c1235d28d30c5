"""A model against a labelled table, through the same code a user's pictures take."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import metrics, provenance
from .audit import audit
from .baserates import BaseRates
from .errors import DataError
from .face import FloatArray
from .labels import CANONICAL, LabelSet, subset
from .recognize import OnnxRecognizer
from .table import Table

_TRAINING = "Training"


def shared_labels(model: LabelSet, table: Table) -> LabelSet:
    """The expressions that occur in the table and that the model can answer, canonical order."""
    occurring = {row.label for row in table.rows} & set(model.labels)
    if not occurring:
        raise DataError(f"{table.name} has no label that {model.name} can answer")
    return subset([label for label in CANONICAL if label in occurring], "evaluated")


def restrict(probs: FloatArray, model: LabelSet, labels: LabelSet) -> FloatArray:
    """Probabilities over ``labels`` alone, rows summing to 1 again."""
    chosen = probs[:, labels.permutation_from(model)]
    return np.asarray(chosen / np.maximum(chosen.sum(1, keepdims=True), 1e-12), np.float32)


def predict(recognizer: OnnxRecognizer, table: Table, rates: BaseRates) -> FloatArray:
    """Probabilities (N, K) of a table's pictures, each taken as one face crop."""
    return recognizer.probabilities(list(table.pictures()), rates)


def evaluate(
    recognizer: OnnxRecognizer,
    table: Table,
    split: str | None,
    rates: Sequence[BaseRates],
) -> dict[str, Any]:
    """Figures of a model on a split (None: every row), once per base-rate setting, JSON-ready.

    Rows whose label the model cannot answer are left out and counted. Where the table also has a
    Training split, the figures come again without the rows whose pixels occur there, and once
    more without its near duplicates (``mien.audit``): a network may remember what it has seen.
    """
    part = table.of_split(split) if split else table
    labels = shared_labels(recognizer.info.label_set, part)
    answerable = part.keep(row.label in labels.labels for row in part.rows)
    left_out = [row.label for row in part.rows if row.label not in labels.labels]
    result: dict[str, Any] = {
        **provenance.environment(),
        "model": {"name": recognizer.info.name, "sha256": recognizer.info.sha256},
        "data": {"name": table.name, "split": split or "all", "rows": len(part)},
        "labels": list(labels.labels),
        "left_out": {label: left_out.count(label) for label in dict.fromkeys(left_out)},
        "results": [],
    }
    subsets = _apart_from_training(table, answerable, split)
    for setting in rates:
        probs = restrict(
            predict(recognizer, answerable, setting), recognizer.info.label_set, labels
        )
        entry = {"base_rates": dataclasses.asdict(setting)} | _score(probs, answerable, labels)
        for name, kept in subsets.items():
            entry[name] = _score(probs[kept], answerable.keep(kept), labels)
        result["results"].append(entry)
    return result


def _score(probs: FloatArray, table: Table, labels: LabelSet) -> dict[str, Any]:
    people = [row.subject or row.id for row in table.rows]  # an unknown person stands alone
    known = any(row.subject for row in table.rows)
    return metrics.score(probs, table.targets(labels), labels, people if known else None)


def _apart_from_training(
    table: Table, part: Table, split: str | None
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which rows of ``part`` have nothing to do with the Training split, by how strictly."""
    if split is None or split == _TRAINING or _TRAINING not in table.splits:
        return {}
    both = table.of_split(_TRAINING, split)
    found = audit(both).overlap(split, _TRAINING)
    subsets = {
        "without_pixels_in_training": found.exact,
        "without_near_duplicates_in_training": found.either,
    }
    result = {}
    for name, places in subsets.items():
        seen = {both.rows[place].id for place in places}
        if seen:
            result[name] = np.array([row.id not in seen for row in part.rows])
    return result
