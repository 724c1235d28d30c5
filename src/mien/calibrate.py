"""From logits to probabilities that mean what they say.

Trained on vote shares, a net is right more often than it says when asked for the majority label,
and a label that often comes second in the votes is the majority less often than its shares. A
temperature and an offset per label mend both (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .errors import MissingExtra
from .face import FloatArray
from .logits import calibrated, softmax
from .metrics import IntArray

ANSWERED_ACCURACY = 0.9
PRIOR_FACES = 1.75
_STEEPEST = 5.0  # the logarithm of a temperature


def fit(logits: FloatArray, targets: IntArray) -> tuple[float, FloatArray]:
    """The temperature and the offsets (K,) at which the targets are likeliest.

    ``softmax(logits / temperature + offsets)``: a temperature for how sure, an offset per label for
    how often (Guo et al. 2017, vector scaling with one scale for all labels). Offsets are drawn
    towards 0 and the temperature towards 1, since some labels have a handful of faces and some
    users a few dozen in all, on which every answer may be right. logits (N, K), targets (N,).
    """
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise MissingExtra("scipy", "train", "calibrating a model") from None
    rows = np.arange(len(targets))
    penalty = PRIOR_FACES / len(targets)  # one for all faces together: of many, it is nothing

    def loss(x: npt.NDArray[np.float64]) -> float:
        probs = softmax(calibrated(logits, _temperature(x), x[1:]))
        nll = -np.log(np.maximum(probs[rows, targets], 1e-12)).mean()
        return float(nll + penalty * (x**2).sum())

    found = minimize(loss, np.zeros(1 + logits.shape[1]), method="Powell").x
    return _temperature(found), np.asarray(found[1:] - found[1:].mean(), np.float32)


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
