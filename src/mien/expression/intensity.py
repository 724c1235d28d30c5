"""How strongly each expression shows, from the same answers of a network as its probabilities.

Probabilities share out one certainty among the labels; a strength belongs to its label alone, and
none, one or several may be high. People's strengths are ratings (JAFFE's sixty raters), or shares
of votes: where two taggers of ten say happiness, it shows at 20 % (Xu et al. 2019 label so).

A network trained for strengths gives them as the sigmoid of its answers. One trained to tell
expressions apart knows them too, but on another scale; ``fit`` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import foreign
from ..errors import DataError, MissingExtra, ShapeError
from ..face import FloatArray
from .logits import sigmoid, softmax

_SUREST = 1e-5  # a probability is taken for at least this far from 0 and 1
_PENALTY = 1e-3  # on squared weights: labels with a handful of votes must not run away
_PRIOR_FACES = 1.0  # that weights fitted before count for, where the new ones are few


@dataclass(frozen=True, slots=True)
class Strengths:
    """From a network's answers (N, K) to intensities (N, K).

    weights : (K, K), a row per intensity, what each label's log-odds in the softmax count for; None
        where the network was trained for intensities, whose sigmoid they are.
    offsets : (K,), what is added; none without weights.
    """

    weights: tuple[tuple[float, ...], ...] | None = None
    offsets: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        rows = self.weights or ()
        if len(self.offsets) != len(rows) or any(len(row) != len(rows) for row in rows):
            raise ShapeError(f"{len(rows)} rows of weights and {len(self.offsets)} offsets")

    def of(self, logits: FloatArray) -> FloatArray:
        """Each in [0, 1], float32."""
        if self.weights is None:
            return sigmoid(logits)
        weights, offsets = _arrays(self)
        return sigmoid(log_odds(logits) @ weights.T + offsets)

    def as_dict(self) -> dict[str, Any]:
        """What a model file keeps."""
        rounded = self.weights and [[round(v, 5) for v in row] for row in self.weights]
        return {"weights": rounded, "offsets": [round(v, 5) for v in self.offsets]}


@lru_cache(16)
def _arrays(strengths: Strengths) -> tuple[FloatArray, FloatArray]:
    """Its weights and offsets as NumPy has them; a recording asks for every frame."""
    return np.array(strengths.weights, np.float32), np.array(strengths.offsets, np.float32)


def from_dict(values: dict[str, Any]) -> Strengths:
    """What a model file keeps; raises KeyError, ValueError, ShapeError for another's."""
    rows = None
    if values["weights"] is not None:
        rows = tuple(_numbers(row) for row in foreign.listed(values["weights"], "weights"))
    return Strengths(rows, _numbers(values["offsets"]))


def _numbers(row: object) -> tuple[float, ...]:
    what = "an intensity's weights and offsets"
    return tuple(foreign.number(v, "a weight or offset") for v in foreign.listed(row, what))


def log_odds(logits: FloatArray) -> FloatArray:
    """Of each label against all the others together, (N, K), in the softmax of ``logits``."""
    probs = np.minimum(np.maximum(softmax(logits), _SUREST), 1 - _SUREST)
    return np.asarray(np.log(probs / (1 - probs)), np.float32)


def fit(logits: FloatArray, rated: FloatArray, before: Strengths | None = None) -> Strengths:
    """The weights and offsets at which ``rated`` is likeliest: sigmoid cross-entropy.

    logits : (N, K) of a network that tells labels apart; rated : (N, K) in [0, 1], by people, NaN
        all along a label that they did not rate.
    before : what was fitted to other people's ratings, which weights are drawn towards; else 0. A
        label that is not rated keeps its weights. Raises DataError for one that has none to keep.
    """
    if logits.shape != rated.shape or logits.ndim != 2:
        raise ShapeError(f"need (N, K) answers and ratings, got {logits.shape}, {rated.shape}")
    odds = log_odds(logits).astype(np.float64)
    labels = rated.shape[1]
    start = np.zeros((labels, labels + 1))
    told, penalty = np.array(~np.isnan(rated).all(axis=0)), _PENALTY
    if before is not None and before.weights is not None:
        start = np.column_stack([before.weights, before.offsets])
        penalty = max(penalty, _PRIOR_FACES / len(logits))
    elif not told.all():
        raise DataError(f"{int((~told).sum())} of {labels} labels have no ratings to fit by")
    rows = [
        _fit_one(odds, rated[:, k].astype(np.float64), start[k], penalty) if told[k] else start[k]
        for k in range(labels)
    ]
    return Strengths(
        tuple(tuple(float(v) for v in row[:-1]) for row in rows),
        tuple(float(row[-1]) for row in rows),
    )


def _fit_one(
    odds: npt.NDArray[np.float64],
    rated: npt.NDArray[np.float64],
    start: npt.NDArray[np.float64],
    penalty: float,
) -> Any:
    """Weights of K log-odds, and behind them the offset, for one label's ratings (N,).

    penalty : on the square of how far a weight is from where it starts.
    """
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise MissingExtra("scipy", "train", "fitting intensities") from None
    x = np.column_stack([odds, np.ones(len(odds))])

    def loss(w: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        score, moved = x @ w, (w - start)[:-1]
        value = (np.logaddexp(0, score) - rated * score).mean() + penalty * (moved**2).sum()
        slope = x.T @ (1 / (1 + np.exp(-score)) - rated) / len(x)
        return float(value), slope + np.append(2 * penalty * moved, 0.0)

    return minimize(loss, start, jac=True, method="L-BFGS-B").x
