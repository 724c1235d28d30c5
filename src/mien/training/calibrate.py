"""From logits to probabilities that mean what they say.

Trained on vote shares, a net is right more often than it says when asked for the majority label,
and a label that often comes second in the votes is the majority less often than its shares. A
temperature and an offset per label mend both (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.table import Table
from ..errors import DataError, MissingExtra, ModelError
from ..evaluation import metrics
from ..evaluation.metrics import IntArray
from ..expression import intensity, sets, typical
from ..expression.baserates import BaseRates, reweight
from ..expression.logits import calibrated, softmax
from ..expression.recognize import ModelInfo, OnnxRecognizer
from ..face import FloatArray, ImageArray
from ..labels import LabelSet, subset

ANSWERED_ACCURACY = 0.9
PRIOR_FACES = 1.75
FEWEST_CHECKED = 100
_TURNS, _SEED = 5, 0
_STEEPEST = 5.0  # the logarithm of a temperature
# On PublicTest looking twice below 0.7 (a fifth of the faces) gains what looking twice always does.
LOOK_AGAIN_BELOW = 0.7


def reading(
    looks: Sequence[FloatArray],
    targets: IntArray,
    base_rates: Sequence[float],
    names: LabelSet,
    rated: FloatArray | None = None,
    offsets: bool = True,
) -> dict[str, Any]:
    """How a model file's answers are to be read, as its metadata says it.

    looks : its logits (N, K) for N faces, and for their mirror images where it looks twice.
    targets : (N,) what the faces show. rated : (N, K) how strongly, if people said so; else no
        intensities follow.
    """
    meta: dict[str, Any] = _calibration(looks, targets, offsets)
    looked = _looked(looks, meta)
    meta["intensity"] = None if rated is None else intensity.fit(looked, rated).as_dict()
    # The threshold belongs to the probabilities a user sees: those at the default base rates.
    probs = softmax(calibrated(looked, meta["temperature"], meta["offsets"]))
    meta["typical"] = typical.fit(probs, targets)
    training = np.array(base_rates, np.float32)
    seen = reweight(probs, BaseRates().weights(names, training))
    meta["uncertain_below"] = uncertain_below(seen, targets)
    fitted = sets.fit(seen, targets, BaseRates())
    checked = _cross_fit(looks, targets, training, names, offsets)
    meta["prediction_sets"] = replace(fitted, checked=checked).as_dict()
    return meta


def _cross_fit(
    looks: Sequence[FloatArray],
    targets: IntArray,
    training: FloatArray,
    names: LabelSet,
    offsets: bool,
) -> dict[str, Any] | None:
    """What prediction sets are worth, each face's made without it; None for too few faces.

    Temperature, offsets and thresholds come from four fifths and are asked of the last, in turns.
    What chose the weights has seen all of them: faces of another set may fare worse.
    """
    if len(targets) < FEWEST_CHECKED:
        return None
    turn = np.random.default_rng(_SEED).permutation(len(targets)) % _TURNS
    rates = BaseRates()
    weights = rates.weights(names, training)
    inside = {c: np.zeros(looks[0].shape, bool) for c in metrics.COVERAGES}
    for out in (turn == i for i in range(_TURNS)):
        meta = _calibration([look[~out] for look in looks], targets[~out], offsets)
        logits = _looked(looks, meta)
        probs = reweight(softmax(calibrated(logits, meta["temperature"], meta["offsets"])), weights)
        fitted = sets.fit(probs[~out], targets[~out], rates)
        for coverage, members in inside.items():
            members[out] = fitted.of(probs[out], coverage)
    return {f"{c:g}": metrics.set_score(m, targets, names) for c, m in inside.items()}


def again(recognizer: OnnxRecognizer, table: Table, offsets: bool = True) -> dict[str, Any]:
    """``reading`` of a model file on faces of one's own, already cut as it wants them.

    Intensities follow from the faces that people graded, as ``graded`` has them; without any, they
    stay as they were. Raises DataError for a table without faces of two labels that it answers,
    ModelError for a file of another maker, whose base rates nobody knows.
    """
    info = recognizer.info
    base_rates = _base_rates(info)
    table, targets = _of_its_labels(info, table)
    if targets.min() == targets.max():
        raise DataError(
            f"of what {info.name} answers, {table.name} shows {info.label_set.labels[targets[0]]} "
            "only; how sure an answer may be shows where two expressions or more are told apart"
        )
    seen = _seen(recognizer, table)
    meta = reading(seen, targets, base_rates, info.label_set, None, offsets)
    meta["intensity"] = _strengths(info, _looked(seen, meta), table)
    return meta


def intensities(recognizer: OnnxRecognizer, table: Table) -> dict[str, Any]:
    """How a model file's intensities are read, fitted to faces that people graded; see ``again``.

    Raises DataError where nobody graded one, or too few of the labels for a model that told no
    intensities before.
    """
    info = recognizer.info
    _base_rates(info)
    names, rated = graded(info, table)
    if not names:
        raise DataError(f"{table.name} has no votes or ratings of what {info.name} answers")
    table = table.keep(rated)
    if info.strengths and info.strengths.weights is None:
        raise DataError(
            f"{info.name} was trained for intensities, and has nothing to fit; train it further: "
            "mien train RECIPE --init"
        )
    own = {"temperature": info.temperature, "offsets": info.offsets or 0.0}
    found = _strengths(info, _looked(_seen(recognizer, table), own), table)
    if found is None:
        missing = ", ".join(label for label in info.label_set.labels if label not in names)
        raise DataError(
            f"{info.name} tells no intensities yet, and {table.name} has no ratings of {missing}"
        )
    return found


def typical_answers(recognizer: OnnxRecognizer, table: Table) -> typical.Typical:
    """What is typical to a model file, by labelled faces that are cut as it wants them.

    Raises DataError for a table without a face of any label it answers, ModelError for a file of
    another maker.
    """
    info = recognizer.info
    _base_rates(info)
    table, targets = _of_its_labels(info, table)
    own = {"temperature": info.temperature, "offsets": info.offsets or 0.0}
    answers = calibrated(_looked(_seen(recognizer, table), own), info.temperature, info.offsets)
    return typical.fit(softmax(answers), targets)


def _of_its_labels(info: ModelInfo, table: Table) -> tuple[Table, IntArray]:
    """The rows that show what a model answers, and what they show, (N,)."""
    targets = table.targets(info.label_set)
    table, targets = table.keep(targets >= 0), targets[targets >= 0]
    if not len(table):
        raise DataError(f"{table.name} has no face of a label that {info.name} answers")
    return table, targets


def graded(info: ModelInfo, table: Table) -> tuple[tuple[str, ...], npt.NDArray[np.bool_]]:
    """The labels of a model whose strength people told here, and of which rows they did, (N,).

    Ratings may be of some labels only. Votes are of all: a share is one of a whole. Without a row
    there is no label.
    """
    names, rated = table.graded(info.label_set), table.is_rated
    whole = bool(table.intensity_labels) or names == info.label_set.labels
    return names if whole and rated.any() else (), rated


def _strengths(info: ModelInfo, looked: FloatArray, table: Table) -> dict[str, Any] | None:
    """Intensities fitted to those who graded a table; what the model had where nobody did.

    looked : its answers (N, K) to the table's N faces. None where it had nothing, and the table
    does not tell all of its labels.
    """
    before, labels = info.strengths, info.label_set.labels
    names, rows = graded(info, table)
    if before is None and len(names) < len(labels):
        return None
    if before is not None and (before.weights is None or not names):
        return before.as_dict()  # without weights its sigmoids are intensities already
    rated = np.full((int(rows.sum()), len(labels)), np.nan, np.float32)
    rated[:, [labels.index(name) for name in names]] = table.keep(rows).strengths(subset(names))
    return intensity.fit(looked[rows], rated, before).as_dict()


def _base_rates(info: ModelInfo) -> tuple[float, ...]:
    if info.base_rates is None:
        raise ModelError(f"{info.name} is none of mien's own model files: it has no base rates")
    return info.base_rates


def _seen(recognizer: OnnxRecognizer, table: Table) -> list[FloatArray]:
    """``looks`` of a table's faces, the mirrored ones only where the model looks again."""
    seen = looks(recognizer, list(table.pictures()))
    return seen if recognizer.info.look_again_below else seen[:1]


def fit(logits: FloatArray, targets: IntArray, offsets: bool = True) -> tuple[float, FloatArray]:
    """The temperature and the offsets (K,) at which the targets are likeliest.

    ``softmax(logits / temperature + offsets)``: a temperature for how sure, an offset per label for
    how often (Guo et al. 2017, vector scaling with one scale for all labels). Offsets are drawn
    towards 0 and the temperature towards 1, since some labels have a handful of faces and some
    users a few dozen in all, on which every answer may be right. logits (N, K), targets (N,).

    offsets : fit them, too; without, they are 0. They fit the labels of these faces the better, and
        those of other data sets the worse: how often a label is given is a matter of who gives it.
    """
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise MissingExtra("scipy", "train", "calibrating a model") from None
    rows = np.arange(len(targets))
    penalty = PRIOR_FACES / len(targets)  # one for all faces together: of many, it is nothing

    def loss(x: npt.NDArray[np.float64]) -> float:
        probs = softmax(calibrated(logits, _temperature(x), x[1:] if offsets else None))
        nll = -np.log(np.maximum(probs[rows, targets], 1e-12)).mean()
        return float(nll + penalty * (x**2).sum())

    labels = logits.shape[1]
    found = minimize(loss, np.zeros(1 + labels if offsets else 1), method="Powell").x
    moved = found[1:] - found[1:].mean() if offsets else np.zeros(labels)
    return _temperature(found), np.asarray(moved, np.float32)


def _temperature(x: npt.NDArray[np.float64]) -> float:
    """Of the first number its exponential; the search also tries some that would be 0."""
    return float(np.exp(np.clip(x[0], -_STEEPEST, _STEEPEST)))


def uncertain_below(probs: FloatArray, targets: IntArray) -> float:
    """The smallest top probability from which on nine answers in ten are right.

    What lies below it is what the model would have to leave out to be right that often; 1 where
    even its surest answers are not.
    """
    top = probs.max(axis=1)
    right = probs.argmax(axis=1) == targets
    order = np.argsort(-top, kind="stable")
    accuracy = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(accuracy >= ANSWERED_ACCURACY)
    return float(top[order[enough[-1]]]) if len(enough) else 1.0


def looks(recognizer: OnnxRecognizer, pictures: list[ImageArray]) -> list[FloatArray]:
    """Logits of the pictures and of their mirror images."""
    mirrored = [np.ascontiguousarray(p[:, ::-1]) for p in pictures]
    return [recognizer.logits(pictures), recognizer.logits(mirrored)]


def _calibration(
    looks: Sequence[FloatArray], targets: IntArray, offsets: bool = True
) -> dict[str, Any]:
    """Temperature and offsets for answers that look again, mirrored, where they are unsure."""
    first, centred = fit(looks[0], targets, offsets)
    looked = _looked(looks, {"temperature": first, "offsets": centred})
    temperature, moved = fit(looked, targets, offsets)
    return {"temperature": temperature, "offsets": [round(float(v), 4) for v in moved]}


def _looked(looks: Sequence[FloatArray], meta: dict[str, Any]) -> FloatArray:
    """The first look's logits, and the mean of all where that one was unsure."""
    sure = softmax(calibrated(looks[0], meta["temperature"], meta["offsets"])).max(axis=1)
    both = np.mean(looks, axis=0, dtype=np.float32)
    return np.where((sure < LOOK_AGAIN_BELOW)[:, None], both, looks[0])
