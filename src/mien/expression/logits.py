"""What a network's answers mean: shares of one certainty, or a strength each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..face import FloatArray


def softmax(logits: FloatArray) -> FloatArray:
    """Rows of (N, K) as probabilities; the maximum is taken off first, so nothing overflows."""
    if not len(logits):
        return np.asarray(logits, np.float32)
    exp = np.exp(logits - np.maximum.reduce(logits, 1, keepdims=True))
    return np.asarray(exp / np.add.reduce(exp, 1, keepdims=True), np.float32)


def sigmoid(logits: FloatArray) -> FloatArray:
    """Each by itself in [0, 1]."""
    within = np.minimum(np.maximum(logits, -30), 30)
    return np.asarray(1 / (1 + np.exp(-within)), np.float32)


def calibrated(
    logits: FloatArray,
    temperature: float,
    offsets: Sequence[float] | npt.NDArray[np.floating[Any]] | None,
) -> FloatArray:
    """Logits (N, K) whose softmax is calibrated."""
    moved = logits / np.float32(temperature)
    return moved if offsets is None else moved + np.asarray(offsets, np.float32)
