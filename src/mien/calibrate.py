"""From logits to probabilities that mean what they say.

Trained on vote shares, a net is right more often than it says when asked for the majority label;
one temperature mends that without changing any answer (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import numpy as np

from .errors import MissingExtra
from .face import FloatArray
from .metrics import IntArray
from .recognize import softmax

ANSWERED_ACCURACY = 0.9


def temperature(logits: FloatArray, targets: IntArray) -> float:
    """The temperature at which the targets are likeliest; logits (N, K), targets (N,)."""
    try:
        from scipy.optimize import minimize_scalar
    except ImportError:
        raise MissingExtra("scipy", "train", "calibrating a model") from None
    rows = np.arange(len(targets))

    def nll(log_t: float) -> float:
        probs = softmax(logits / np.float32(np.exp(log_t)))
        return float(-np.log(np.maximum(probs[rows, targets], 1e-12)).mean())

    return float(np.exp(minimize_scalar(nll, bounds=(-3.0, 3.0), method="bounded").x))


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
