"""Prediction sets: the expressions among which the raters' answer is, at a promised rate.

Split conformal prediction (Vovk, Gammerman & Shafer 2005) with the score 1 - p(label), which gives
the smallest sets on average (Sadinle, Lei & Wasserman 2019, arXiv:1609.00451): on labelled faces
the network has not learnt from, note how improbable it found what the raters said; what is no more
improbable than the coverage's share of those is in the set. On faces like those, whatever the
network is worth, the set then holds the raters' answer at least that often: over all faces, not
for each expression. The likeliest expression is always in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import foreign
from ..errors import ConfigError
from ..face import FloatArray
from .baserates import BaseRates

LEAST, MOST = 0.5, 0.999
"""The coverages that can be asked for. Half the answers are right without any set."""
STEPS = 1000
_LEVELS = round((MOST - LEAST) * STEPS) + 1
_DIGITS = 1e5  # thresholds are kept to so many parts of 1


@dataclass(frozen=True, slots=True)
class PredictionSets:
    """How a model's prediction sets are made.

    rates : the base rates of the probabilities they are made of. At others nothing is promised.
    faces : how many labelled faces they were calibrated on.
    thresholds : of each coverage from ``LEAST`` to ``MOST`` in thousandths, up to which
        1 - p(label) a label belongs to the set.
    checked : by coverage, what came of it on those faces, each left out of the fit in its turn
        (``mien.evaluation.metrics.set_score``); None where they are too few.
    """

    rates: BaseRates
    faces: int
    thresholds: tuple[float, ...]
    checked: Mapping[str, Any] | None = field(default=None, compare=False)

    def of(self, probs: FloatArray, coverage: float) -> npt.NDArray[np.bool_]:
        """Which labels belong to each face's set, (N, K); probs : (N, K) at ``rates``."""
        level = math.ceil(round((asked(coverage) - LEAST) * STEPS, 6))
        members = _scores(probs) <= self.thresholds[level]
        members[np.arange(len(probs)), probs.argmax(axis=1)] = True
        return members

    def as_dict(self) -> dict[str, Any]:
        """What a model file keeps."""
        rates = {"target": self.rates.target, "strength": self.rates.strength}
        kept = {"base_rates": rates, "faces": self.faces, "thresholds": list(self.thresholds)}
        return kept | {"checked": self.checked}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PredictionSets:
        """What a model file keeps; raises KeyError, ValueError, ConfigError for another's."""
        rates = foreign.table(values["base_rates"], "base_rates")
        target = foreign.word(rates["target"], "target")
        if target not in ("training", "equal"):
            raise ValueError(f"prediction sets are at training or equal rates, got {target!r}")
        told = foreign.listed(values["thresholds"], "thresholds", _LEVELS)
        thresholds = tuple(foreign.number(v, "a threshold", 0, 1) for v in told)
        if any(later < earlier for earlier, later in pairwise(thresholds)):
            raise ValueError("the thresholds of prediction sets go up with the coverage")
        seen = values["checked"]
        return cls(
            BaseRates(target, foreign.number(rates["strength"], "strength", 0, 1)),
            foreign.whole(values["faces"], "faces"),
            thresholds,
            None if seen is None else foreign.table(seen, "checked"),
        )


def asked(coverage: float) -> float:
    """The coverage itself; raises ConfigError for one that cannot be asked for."""
    plain = isinstance(coverage, int | float) and not isinstance(coverage, bool)
    if plain and LEAST <= coverage <= MOST:
        return coverage
    percent = plain and LEAST <= coverage / 100 <= MOST
    hint = f"; percent? write {coverage / 100:g}" if percent else ""
    raise ConfigError(f"a coverage lies in [{LEAST:g}, {MOST:g}], got {coverage!r}{hint}")


def fit(probs: FloatArray, targets: npt.NDArray[np.intp], rates: BaseRates) -> PredictionSets:
    """Sets calibrated on faces that the network has not learnt from.

    probs : (N, K) at ``rates``. targets : (N,) what the raters said.

    The threshold is the score of rank ceil((N + 1) coverage) (Lei et al. 2018, theorem 2.2): the
    new face counts as one more. Where there is no such rank, every label is in the set: N faces
    promise no more than N / (N + 1).
    """
    n = len(targets)
    scores = np.sort(_scores(probs)[np.arange(n), targets])
    coverages = LEAST + np.arange(_LEVELS) / STEPS
    ranks = np.ceil(np.round((n + 1) * coverages, 6)).astype(int)
    kept = np.append(scores, 1.0)[np.minimum(ranks, n + 1) - 1]
    up = np.minimum(np.ceil(kept * _DIGITS) / _DIGITS, 1.0)  # never down: that would promise less
    return PredictionSets(rates, n, tuple(up.tolist()))


def _scores(probs: FloatArray) -> npt.NDArray[np.float64]:
    return 1.0 - np.asarray(probs, np.float64)
