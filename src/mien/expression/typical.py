"""Where a model's answers lie for each expression, and where other people's lie instead.

A network that ranks the expressions of one group of people rightly may still call most of them
neutral: their answers lie beside those of the people it learnt from, all by the same step. The step
can be told without labels. It leads from the mean answer to these faces to what that mean was where
the labels were known, mixed by how common each expression is taken to be. Subtracting what is
usual for a person is known from action units (Baltrusaitis, Mahmoud & Robinson, FG 2015,
"person-specific normalisation"); here it is done where the expressions are told apart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..face import FloatArray
from ..labels import LabelSet

LEAST = 1e-5
"""Smaller probabilities count as this: records hold five digits."""
PRIOR_FACES = 6
"""Faces' worth of doubt, times the chance that two faces of a mix show different expressions: the
mean of few tells which of them these happen to show. Of faces at rest one is enough."""

Typical = tuple[tuple[float, ...] | None, ...]
"""For each label the mean of ``centred`` answers to faces of it, (K,); None without any face."""


def centred(probs: FloatArray) -> FloatArray:
    """Logarithms of probabilities (N, K), less each row's mean: logits but for what is left open.

    Examples
    --------
    >>> centred(np.array([[0.8, 0.2]], np.float32)).round(3)
    array([[ 0.693, -0.693]], dtype=float32)
    """
    logs = np.log(np.maximum(probs, LEAST))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True), np.float32)


def fit(probs: FloatArray, targets: npt.NDArray[np.int64]) -> Typical:
    """What is typical of faces whose expression is known.

    probs : (N, K) calibrated, at the training's base rates. targets : (N,) their labels.
    """
    answers = centred(probs)
    of_each = (answers[targets == label] for label in range(probs.shape[1]))
    return tuple(
        tuple(round(float(v), 4) for v in own.mean(axis=0)) if len(own) else None for own in of_each
    )


def step(probs: FloatArray, typical: Typical, mix: FloatArray) -> FloatArray:
    """What to add to calibrated logits (K,) so that these faces lie where labelled ones lay.

    probs : (N, K) as of ``fit``, of faces that nobody labelled; at least one. mix : (K,) how common
    each expression is among them. A label that nobody knew a face of is left out of the mix.

    Raises DataError where that leaves nothing.
    """
    known = np.array([row is not None for row in typical])
    shares = np.where(known, mix, 0)
    if not shares.sum() > 0:
        raise DataError("what is typical of these expressions is not known to the model")
    shares = shares / shares.sum()
    rows = np.array([row or (0.0,) * len(typical) for row in typical])
    expected = shares @ rows
    trusted = len(probs) / (len(probs) + PRIOR_FACES * (1 - (shares**2).sum()))
    return np.asarray(trusted * (expected - centred(probs).mean(axis=0)), np.float32)


def at_rest(labels: LabelSet) -> FloatArray:
    """The mix (K,) of faces that show nothing; raises DataError without a label for that."""
    if "neutral" not in labels.labels:
        raise DataError(f"the model has no 'neutral' among its labels: {', '.join(labels.labels)}")
    return np.asarray([label == "neutral" for label in labels.labels], np.float32)
