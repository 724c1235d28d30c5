"""A model against a labelled table, through the same code a user's pictures take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import provenance
from ..data.audit import audit
from ..data.cut import cut_faces
from ..data.table import Table
from ..errors import DataError
from ..expression.baserates import DEFAULT_STRENGTH, BaseRates
from ..expression.recognize import ModelInfo, Recognizer
from ..face import FloatArray, ImageArray
from ..faces import align
from ..faces.detect import FaceDetector
from ..faces.finder import Finder
from ..labels import CANONICAL, LabelSet, subset
from . import metrics
from .groups import by_group

TRAINING = "Training"
"""What FER2013 and FER+ call the rows they train on."""


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


def settings(
    recognizer: Recognizer, targets: Sequence[str] = (), strength: float | None = None
) -> list[BaseRates]:
    """The base rates that a model is scored at, one set of figures for each.

    Without targets: those of its training, and equal ones where it knows its training's. Without
    a strength: the usual one.
    """
    known = recognizer.info.base_rates is not None
    targets = targets or (["training", "equal"] if known else ["training"])
    wanted = [BaseRates(n, DEFAULT_STRENGTH if strength is None else strength) for n in targets]
    return [rates.read(recognizer.info.label_set) for rates in wanted]


def evaluate(
    recognizer: Recognizer,
    table: Table,
    split: str | None,
    rates: Sequence[BaseRates],
    detector: FaceDetector | None = None,
    pad: float = 0.0,
    alignment: str | None = None,
    trained: str = TRAINING,
    by: str | None = None,
) -> dict[str, Any]:
    """Figures of a model on a split (None: every row), once per base-rate setting, JSON-ready.

    Each picture is taken as one face crop, or with a detector its surest face is cut out first and
    pictures without one are counted in ``missed``; either is cut by ``alignment``, or else as the
    model was trained. Rows whose label the model cannot answer are left out and counted. Where the
    table also has the split ``trained``, the figures come again without the rows whose pixels occur
    there, without augmented copies of its pictures, and without its near duplicates
    (``mien.data.audit``): a network may remember what it has seen. Where people voted, they come
    for the rows that most of them agree on (``Table.is_agreed``). With ``by``, a column of the
    table, they come for each of its groups, too (``mien.evaluation.groups``).
    """
    part = table.of_split(split) if split else table
    if by:
        part.column(by)  # raises DataError for none, before the work
    labels = shared_labels(recognizer.info.label_set, part)
    if len(labels) < 2:
        raise DataError(
            f"of what {recognizer.info.name} tells, {table.name} shows {labels.labels[0]} only; "
            "asked of one expression alone every answer is right: figures need two or more"
        )
    how = align.known(alignment) or recognizer.info.align
    asked = part.keep(row.label in labels.labels for row in part.rows)
    size = recognizer.info.preprocess.size
    still_to_do = "box" if part.notes.get("align") == how else how
    answered, crops = cut_faces(asked, Finder(detector), still_to_do, size, pad)
    left_out = [row.label for row in part.rows if row.label not in labels.labels]
    subsets = _apart_from_training(table, answered, split, trained) | _agreed(answered)
    return {
        **provenance.environment(),
        "model": {
            "name": recognizer.info.name,
            "sha256": recognizer.info.sha256,
            # the file's own sha256 changes when its figures are written into it; this does not
            "weights_sha256": recognizer.info.card.get("weights_sha256"),
            "labels": list(recognizer.info.label_set.labels),
        },
        "data": {"name": table.name, "split": split or "all", "rows": len(part)},
        "labels": list(labels.labels),
        "left_out": {label: left_out.count(label) for label in dict.fromkeys(left_out)},
        "detector": {"name": detector.name, "pad": pad} if detector else None,
        "align": how,
        "missed": len(asked) - len(answered),
        "results": [
            _result(recognizer, crops, answered, labels, setting, subsets, by) for setting in rates
        ],
    }


def _result(
    recognizer: Recognizer,
    crops: list[ImageArray],
    table: Table,
    labels: LabelSet,
    rates: BaseRates,
    subsets: dict[str, npt.NDArray[np.bool_]],
    by: str | None,
) -> dict[str, Any]:
    read, model = recognizer.read(crops, rates), recognizer.info.label_set
    probs = restrict(read.probs, model, labels)
    parts = {k: _score(probs[kept], table.keep(kept), labels) for k, kept in subsets.items()}
    score = {"base_rates": rates.plain(), **_score(probs, table, labels)}
    if read.intensity is not None:
        score["intensity"] = _strengths(read.intensity, table, model)
    known = recognizer.info.prediction_sets
    if known is not None and rates == known.rates:
        score["prediction_sets"] = set_scores(recognizer.info, read.probs, table)
    if by:
        targets, tops = table.targets(labels), probs.argmax(axis=1)
        score["by"] = by_group(targets, tops, labels, table.column(by), people(table), by)
    return {**score, **parts}


def set_scores(info: ModelInfo, probs: FloatArray, table: Table) -> dict[str, Any]:
    """What a model's prediction sets are worth on a table whose labels it knows, by coverage.

    probs : (N, K) over all its labels, at the base rates its sets are made at.
    """
    assert info.prediction_sets is not None
    targets = table.targets(info.label_set)
    inside = {c: info.prediction_sets.of(probs, c) for c in metrics.COVERAGES}
    return {
        f"{c:g}": metrics.set_score(members, targets, info.label_set, people(table))
        for c, members in inside.items()
    }


def _strengths(given: FloatArray, table: Table, model: LabelSet) -> dict[str, Any] | None:
    """How near intensities (N, K) are to what people said; None where nobody graded the table."""
    names, kept = table.graded(model), table.is_rated
    if not names or not kept.any():
        return None
    graded, places = table.keep(kept), [model.index(name) for name in names]
    rated = graded.strengths(subset(names))
    return metrics.intensity_score(given[kept][:, places], rated, names, people(graded))


def _score(probs: FloatArray, table: Table, labels: LabelSet) -> dict[str, Any]:
    return metrics.score(probs, table.targets(labels), labels, people(table))


def people(table: Table) -> list[str] | None:
    """Who is on each picture, an unknown person alone; None where nobody is known."""
    known = any(row.subject for row in table.rows)
    return [row.subject or row.id for row in table.rows] if known else None


def _agreed(part: Table) -> dict[str, npt.NDArray[np.bool_]]:
    """Which rows' labels most votes are for, where some are and some are not."""
    agreed = part.is_agreed
    mixed = agreed.any() and not agreed.all()
    return {"where_most_votes_agree": agreed} if mixed else {}


def _apart_from_training(
    table: Table, part: Table, split: str | None, trained: str
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which rows of ``part`` have nothing to do with the rows that trained, by how strictly.

    Each way leaves out what the one before does, and more; one that leaves no row is not there.
    """
    if split is None or split == trained or trained not in table.splits:
        return {}
    both = table.of_split(trained, split)
    found = audit(both).overlap(split, trained)
    subsets: dict[str, Sequence[int]] = {"without_pixels_in_training": found.exact}
    if found.copies:
        subsets["without_copies_in_training"] = (*found.exact, *found.copies)
    if found.either is not None:
        subsets["without_near_duplicates_in_training"] = (*found.either, *found.copies)
    result = {}
    for name, places in subsets.items():
        seen = {both.rows[place].id for place in places}
        kept = np.array([row.id not in seen for row in part.rows], bool)
        if seen and kept.any():
            result[name] = kept
    return result
