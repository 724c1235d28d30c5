"""How good a set of answers is: never an accuracy without its interval and its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import MissingExtra, ShapeError
from .face import FloatArray
from .labels import LabelSet

IntArray = npt.NDArray[np.intp]
BOOTSTRAP_SAMPLES = 2000
BOOTSTRAP_SEED = 20130707
ECE_BINS = 15


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
        "per_class": _per_class(sk, targets, predicted, labels),
        "confusion": {"labels": list(labels.labels), "rows_actual": confusion.tolist()},
    }


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
    sk: Any, targets: IntArray, predicted: IntArray, labels: LabelSet
) -> dict[str, dict[str, float]]:
    values = sk.precision_recall_fscore_support(
        targets, predicted, labels=range(len(labels)), zero_division=0
    )
    names = ("precision", "recall", "f1", "support")
    return {
        label: {name: float(column[i]) for name, column in zip(names, values, strict=True)}
        for i, label in enumerate(labels.labels)
        if values[3][i] > 0
    }


def bootstrap(
    targets: IntArray, predicted: IntArray, k: int, clusters: Sequence[str] | None = None
) -> dict[str, list[float]]:
    """95 % percentile intervals of accuracy and balanced accuracy.

    Drawing rows with replacement is drawing cells of the confusion matrix from a multinomial, so
    all samples come at once. With clusters, whole clusters are drawn: several pictures of one
    person are not several independent pictures.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    cells = targets * k + predicted
    if clusters is None:
        counts = np.bincount(cells, minlength=k * k)
        draws = rng.multinomial(len(cells), counts / len(cells), size=BOOTSTRAP_SAMPLES)
    else:
        names, place = np.unique(np.asarray(clusters), return_inverse=True)
        per_cluster = np.zeros((len(names), k * k), np.int64)
        np.add.at(per_cluster, (place, cells), 1)
        even = np.full(len(names), 1 / len(names))
        draws = rng.multinomial(len(names), even, size=BOOTSTRAP_SAMPLES) @ per_cluster
    confusions = draws.reshape(-1, k, k)
    right = np.trace(confusions, axis1=1, axis2=2)
    samples = {
        "accuracy": right / confusions.sum(axis=(1, 2)),
        "balanced_accuracy": np.nanmean(_recalls(confusions)[:, np.unique(targets)], axis=1),
    }
    return {
        name: [round(float(v), 4) for v in np.percentile(values, [2.5, 97.5])]
        for name, values in samples.items()
    }


def expected_calibration_error(probs: FloatArray, targets: IntArray) -> float:
    """Mean gap between top probability and accuracy over 15 equal bins (Guo et al. 2017, eq. 3)."""
    top = probs.max(axis=1)
    right = probs.argmax(axis=1) == targets
    bins = np.minimum((top * ECE_BINS).astype(int), ECE_BINS - 1)
    gap = np.bincount(bins, weights=right - top, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / len(targets))
