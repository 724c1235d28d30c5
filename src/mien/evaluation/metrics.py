"""How good a set of answers is: never an accuracy without its interval and its baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MissingExtra, ShapeError
from ..face import FloatArray
from ..labels import LabelSet

IntArray = npt.NDArray[np.intp]
BOOTSTRAP_SAMPLES = 2000
BOOTSTRAP_SEED = 20130707
ECE_BINS = 15
_Z95 = 1.959964  # of a normal distribution
_SUREST = 1e-7  # an intensity is taken for at least this far from 0 and 1, where it has a logarithm
COVERAGES = (0.8, 0.9, 0.95)
"""At which prediction sets are measured."""


def score(
    probs: FloatArray,
    targets: IntArray,
    labels: LabelSet,
    clusters: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Every figure of merit for one set of answers, JSON-ready.

    Parameters
    ----------
    probs : (N, K) probabilities over ``labels``
    targets : (N,) indices into ``labels``
    clusters : (N,) names of what belongs together (the person), for the intervals; rows are
        taken as independent where None

    Balanced accuracy (mean recall) and macro-F1 run over the labels that occur in ``targets``.
    """
    if probs.ndim != 2 or probs.shape != (len(targets), len(labels)) or len(targets) == 0:
        raise ShapeError(
            f"need (N, {len(labels)}) probabilities and (N,) targets with N > 0, "
            f"got {probs.shape} and {targets.shape}"
        )
    sk = _sklearn_metrics()
    predicted = probs.argmax(axis=1)
    present = np.unique(targets)
    confusion = sk.confusion_matrix(targets, predicted, labels=range(len(labels)))
    intervals = bootstrap(targets, predicted, len(labels), clusters)
    return {
        "n": len(targets),
        "accuracy": float(sk.accuracy_score(targets, predicted)),
        "accuracy_ci95": intervals["accuracy"],
        "majority_baseline": float(np.bincount(targets).max() / len(targets)),
        "balanced_accuracy": float(_recalls(confusion)[present].mean()),
        "balanced_accuracy_ci95": intervals["balanced_accuracy"],
        **_without_contempt(confusion, labels),
        "macro_f1": float(
            sk.f1_score(targets, predicted, labels=present, average="macro", zero_division=0)
        ),
        "nll": float(-np.log(np.maximum(probs[np.arange(len(targets)), targets], 1e-12)).mean()),
        "ece": expected_calibration_error(probs, targets),
        "reliability": reliability(probs, targets),
        "per_class": _per_class(sk, targets, predicted, confusion, labels),
        "confusion": {"labels": list(labels.labels), "rows_actual": confusion.tolist()},
    }


def set_score(
    members: npt.NDArray[np.bool_],
    targets: IntArray,
    labels: LabelSet,
    clusters: Sequence[str] | None = None,
) -> dict[str, Any]:
    """What prediction sets are worth, JSON-ready.

    members : (N, K) which labels are in each face's set. targets, clusters : as of ``score``.
    ``coverage`` is how often the raters' answer is in the set, with its 95 % interval; ``size`` the
    mean number of labels in it, ``single`` how many sets have one alone.
    """
    held = members[np.arange(len(targets)), targets]
    # A label outside the set stands for a wrong answer, whichever: the interval is accuracy's.
    answered = np.where(held, targets, (targets + 1) % len(labels))
    sizes = members.sum(axis=1)
    return {
        "n": len(targets),
        "coverage": float(held.mean()),
        "coverage_ci95": bootstrap(targets, answered, len(labels), clusters)["accuracy"],
        "size": float(sizes.mean()),
        "single": float((sizes == 1).mean()),
        "per_class": {
            label: float(held[targets == i].mean())
            for i, label in enumerate(labels.labels)
            if (targets == i).any()
        },
    }


def holds(figures: Mapping[str, Any], coverage: float) -> bool:
    """Whether sets may well hold what was promised: the interval reaches up to it."""
    return bool(figures["coverage_ci95"][1] >= coverage)


def _sklearn_metrics() -> Any:
    try:
        from sklearn import metrics
    except ImportError:
        raise MissingExtra("scikit-learn", "train", "evaluating a model") from None
    return metrics


def _recalls(confusion: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Diagonal over row sums, for (..., K, K) matrices; NaN for labels without a row."""
    actual = confusion.sum(axis=-1)
    diagonal = np.diagonal(confusion, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(diagonal / actual, np.float64)


def _without_contempt(confusion: npt.NDArray[Any], labels: LabelSet) -> dict[str, float]:
    """Mean recall over the basic seven: contempt is too rare in FER+ for a steady figure."""
    if "contempt" not in labels.labels:
        return {}
    recalls = np.delete(_recalls(confusion), labels.index("contempt"))
    return {"balanced_accuracy_without_contempt": float(np.nanmean(recalls))}


def _per_class(
    sk: Any,
    targets: IntArray,
    predicted: IntArray,
    confusion: npt.NDArray[Any],
    labels: LabelSet,
) -> dict[str, dict[str, float]]:
    values = sk.precision_recall_fscore_support(
        targets, predicted, labels=range(len(labels)), zero_division=0
    )
    names = ("precision", "recall", "f1", "support")
    return {
        label: {name: float(column[i]) for name, column in zip(names, values, strict=True)}
        | {name: one[name] for name in ("specificity", "npv")}
        for i, label in enumerate(labels.labels)
        if values[3][i] > 0
        for one in [one_against_rest(against_rest(confusion, i))]
    }


def against_rest(confusion: npt.NDArray[Any], index: int) -> npt.NDArray[np.int64]:
    """A (K, K) matrix, rows actual, as (2, 2): first the label at ``index``, then all others."""
    hits = confusion[index, index]
    missed, alarms = confusion[index].sum() - hits, confusion[:, index].sum() - hits
    return np.array([[hits, missed], [alarms, confusion.sum() - hits - missed - alarms]], np.int64)


def one_against_rest(confusion: npt.NDArray[Any]) -> dict[str, float]:
    """Accuracy, sensitivity, specificity, precision, NPV and F1 of a (2, 2) matrix.

    Rows are what is actual, columns what was answered, the label in question first in both:
    [[TP, FN], [FP, TN]]. A figure without a case (no answer at all, say) is 0, as in scikit-learn.
    """
    if np.shape(confusion) != (2, 2):
        raise ShapeError(f"need a (2, 2) matrix, rows actual, got {np.shape(confusion)}")
    (tp, fn), (fp, tn) = ((int(n) for n in row) for row in confusion)

    def share(part: int, whole: int) -> float:
        return part / whole if whole else 0.0

    return {
        "accuracy": share(tp + tn, tp + fn + fp + tn),
        "sensitivity": share(tp, tp + fn),
        "specificity": share(tn, tn + fp),
        "precision": share(tp, tp + fp),
        "npv": share(tn, tn + fn),
        "f1": share(2 * tp, 2 * tp + fp + fn),
    }


def bootstrap(
    targets: IntArray, predicted: IntArray, k: int, clusters: Sequence[str] | None = None
) -> dict[str, list[float]]:
    """95 % percentile intervals of accuracy and balanced accuracy.

    Drawing rows with replacement is drawing cells of the confusion matrix from a multinomial, so
    all samples come at once. With clusters, whole clusters are drawn: several pictures of one
    person are not several independent pictures. One person's alone can only tell of that person,
    and each counts by itself. Where all answers are right, or none, no sample differs from another,
    and the intervals are Wilson's.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    cells, right = targets * k + predicted, targets == predicted
    names = np.arange(len(cells)) if clusters is None else np.asarray(clusters)
    names, place = np.unique(names, return_inverse=True)
    if len(names) == 1:
        clusters, place = None, np.arange(len(cells))
    if right.all() or not right.any():
        return _of_constant(float(right[0]), targets, place)
    if clusters is None:
        counts = np.bincount(cells, minlength=k * k)
        draws = rng.multinomial(len(cells), counts / len(cells), size=BOOTSTRAP_SAMPLES)
    else:
        per_cluster = np.zeros((len(names), k * k), np.int64)
        np.add.at(per_cluster, (place, cells), 1)
        even = np.full(len(names), 1 / len(names))
        draws = rng.multinomial(len(names), even, size=BOOTSTRAP_SAMPLES) @ per_cluster
    confusions = draws.reshape(-1, k, k)
    hits = np.trace(confusions, axis1=1, axis2=2)
    samples = {
        "accuracy": hits / confusions.sum(axis=(1, 2)),
        "balanced_accuracy": np.nanmean(_recalls(confusions)[:, np.unique(targets)], axis=1),
    }
    return {
        name: [round(float(v), 4) for v in np.percentile(values, [2.5, 97.5])]
        for name, values in samples.items()
    }


def _of_constant(share: float, targets: IntArray, place: IntArray) -> dict[str, list[float]]:
    """The intervals where every answer is right (a share of 1) or wrong (0).

    place : (N,) the cluster of each row; clusters are the cases. The mean of recalls over n_k cases
    each varies as one share of K^2 / sum(1 / n_k) cases does.
    """
    of_each = [len(np.unique(place[targets == label])) for label in np.unique(targets)]
    cases = {
        "accuracy": len(np.unique(place)),
        "balanced_accuracy": len(of_each) ** 2 / sum(1 / n for n in of_each),
    }
    return {name: _wilson(share, n) for name, n in cases.items()}


def _wilson(share: float, n: float) -> list[float]:
    """Wilson's 95 % interval of a share of ``n`` cases.

    >>> _wilson(1.0, 10)
    [0.7225, 1.0]
    """
    spread = _Z95 * (share * (1 - share) / n + _Z95**2 / (4 * n * n)) ** 0.5
    middle, whole = share + _Z95**2 / (2 * n), 1 + _Z95**2 / n
    return [
        round(max(0.0, (middle - spread) / whole), 4),
        round(min(1.0, (middle + spread) / whole), 4),
    ]


def expected_calibration_error(probs: FloatArray, targets: IntArray) -> float:
    """Mean gap between top probability and accuracy over 15 equal bins (Guo et al. 2017, eq. 3)."""
    table = reliability(probs, targets)
    gaps = [n * abs(c - a) for n, c, a in zip(*table.values(), strict=True) if n]
    return float(sum(gaps) / len(targets))


def reliability(probs: FloatArray, targets: IntArray) -> dict[str, list[Any]]:
    """How often answers of each confidence are right, bin by bin.

    Of 15 equal bins of the top probability from 0 to 1: how many answers lie in each, their mean
    ``confidence`` and their ``accuracy``, None where there are none.
    """
    top = probs.max(axis=1).astype(np.float64)
    right = probs.argmax(axis=1) == targets
    bins = np.minimum((top * ECE_BINS).astype(int), ECE_BINS - 1)
    counts = np.bincount(bins, minlength=ECE_BINS).tolist()

    def means(values: npt.NDArray[Any]) -> list[float | None]:
        sums = np.bincount(bins, weights=values, minlength=ECE_BINS).tolist()
        return [total / n if n else None for total, n in zip(sums, counts, strict=True)]

    return {"count": counts, "confidence": means(top), "accuracy": means(right)}


def intensity_score(
    predicted: FloatArray,
    rated: FloatArray,
    labels: Sequence[str],
    clusters: Sequence[str] | None = None,
) -> dict[str, Any]:
    """How near predicted intensities are to those people rated, JSON-ready.

    Parameters
    ----------
    predicted, rated : (N, K) intensities per label
    labels : (K,) what the columns mean
    clusters : (N,) the person on each picture, for the intervals; see ``bootstrap``

    Per label, and over all of them together (every label of every picture a case): the mean
    sigmoid cross-entropy, in nats; RMSE, and ``rmse_of_mean``, the RMSE of always answering each
    label's mean of ``rated``; Pearson's
    correlation (PCC), the concordance correlation (CCC) and ICC(3,1), each with a 95 % percentile
    interval. A figure without a meaning (nothing varies) is None.
    """
    if predicted.shape != rated.shape or predicted.ndim != 2 or 0 in predicted.shape:
        raise ShapeError(f"need (N, K) intensities twice, got {predicted.shape}, {rated.shape}")
    if predicted.shape[1] != len(labels) or (clusters is not None and len(clusters) != len(rated)):
        raise ShapeError(f"{rated.shape} intensities do not go with these labels and people")
    names = np.arange(len(rated)) if clusters is None else np.asarray(clusters)
    people, place = np.unique(names, return_inverse=True)
    if len(people) == 1:  # as in ``bootstrap``
        place = np.arange(len(rated))
    columns = [[k] for k in range(len(labels))] + [list(range(len(labels)))]
    scores = [_intensity(predicted[:, k], rated[:, k], place) for k in columns]
    return {
        "n": len(rated),
        "people": None if clusters is None else len(people),
        "overall": scores[-1],
        "per_label": dict(zip(labels, scores[:-1], strict=True)),
    }


def _intensity(predicted: FloatArray, rated: FloatArray, place: IntArray) -> dict[str, Any]:
    """Figures of (N, k) intensities taken together, with intervals over the people ``place``."""
    x, y = predicted.astype(np.float64), rated.astype(np.float64)
    values = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1).sum(axis=1)  # (N, 6)
    sums = np.zeros((place.max() + 1, 6))
    np.add.at(sums, place, values)
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    even = np.full(len(sums), 1 / len(sums))
    draws = rng.multinomial(len(sums), even, size=BOOTSTRAP_SAMPLES).astype(np.float64)
    whole, samples = _agreement(sums.sum(axis=0)), _agreement(draws @ sums)
    p = np.clip(x, _SUREST, 1 - _SUREST)
    result: dict[str, Any] = {
        "cross_entropy": float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()),
        "rmse_of_mean": float((y - y.mean(axis=0)).std()),
    }
    for name, value in whole.items():
        result[name] = float(value) if np.isfinite(value) else None
        kept = samples[name][np.isfinite(samples[name])]
        low_high = np.percentile(kept, [2.5, 97.5]) if result[name] is not None else None
        result[f"{name}_ci95"] = None if low_high is None else [round(v, 4) for v in low_high]
    return result


def _agreement(sums: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """RMSE, PCC, CCC and ICC(3,1) from (..., 6) sums of 1, x, y, x^2, y^2 and xy.

    CCC : 2 s_xy / (s_x^2 + s_y^2 + (mean x - mean y)^2) with moments over n (Lin 1989).
    ICC(3,1) : (BMS - EMS) / (BMS + EMS) for two raters (Shrout & Fleiss 1979), which for two is
        2 s_xy / (s_x^2 + s_y^2): a constant offset between them costs nothing.
    """
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    mean_x, mean_y = x / n, y / n
    # Where nothing varies the difference of two equal sums is rounding, not a variance.
    var_x, var_y = (_or_zero(xx / n - mean_x**2, xx / n), _or_zero(yy / n - mean_y**2, yy / n))
    cov = xy / n - mean_x * mean_y
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "rmse": np.sqrt(np.maximum((xx - 2 * xy + yy) / n, 0)),
            "pcc": cov / np.sqrt(var_x * var_y),
            "ccc": 2 * cov / (var_x + var_y + (mean_x - mean_y) ** 2),
            "icc31": 2 * cov / (var_x + var_y),
        }


def _or_zero(
    variance: npt.NDArray[np.float64], scale: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return np.where(variance > 1e-12 * scale, variance, 0.0)
