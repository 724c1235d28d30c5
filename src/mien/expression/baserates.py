"""Base rates: how common each expression is taken to be before looking at the face.

A net trained on web pictures learns that most faces are happy or neutral, and then leans that way
on everybody else's. Bayes' rule turns its answer to other base rates: with p(y) the rate in
training and q(y) the wanted one, the probabilities become proportional to p(y|x) q(y)/p(y)
(Saerens, Latinne & Decaestecker 2002, eq. 4). A strength below 1 goes part of the way, the ratio
raised to that power: the training set's rates are partly the world's and partly an accident.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from .. import foreign
from ..errors import ConfigError
from ..face import FloatArray
from ..jsontext import parse
from ..labels import LabelSet

DEFAULT_STRENGTH = 0.75


@dataclass(frozen=True, slots=True)
class BaseRates:
    """Which rates to turn probabilities to, and how far.

    Attributes
    ----------
    target
        "training" (leave them), "equal", or the path of a JSON or TOML file with a rate per label.
    strength
        0 (leave them) .. 1 (all the way).
    told
        What the file said when ``read`` looked, of each label of a model. None before, and for
        "training" and "equal".
    """

    target: str = "equal"
    strength: float = DEFAULT_STRENGTH
    told: tuple[float, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.target, str | os.PathLike):
            raise ConfigError(
                "base rates are 'training', 'equal' or the path of a JSON or TOML file with a rate "
                f"per label, got {self.target!r}"
            )
        if not (isinstance(self.strength, Real) and 0 <= self.strength <= 1):
            raise ConfigError(f"the strength of base rates lies in [0, 1], got {self.strength}")

    def __str__(self) -> str:
        """As a person says it.

        >>> str(BaseRates()), str(BaseRates("training"))
        ('equal (strength 0.75)', 'training')
        """
        return (
            self.target
            if self.target == "training"
            else f"{self.target} (strength {self.strength:g})"
        )

    def read(self, labels: LabelSet) -> BaseRates:
        """The same with what their file says now: a run is read with what it began with.

        Raises ConfigError for a file that does not say it.
        """
        if self.told is not None or self.target in ("training", "equal") or self.strength == 0:
            return self
        return replace(self, told=tuple(read_rates(Path(self.target), labels).tolist()))

    def plain(self) -> dict[str, Any]:
        """As JSON holds it, with what a file said."""
        told = {"target": self.target, "strength": self.strength}
        return told if self.told is None else told | {"told": list(self.told)}

    def weights(self, labels: LabelSet, training: FloatArray | None) -> FloatArray:
        """Factors (K,) for the probabilities; all 1 where nothing is to change.

        Raises ConfigError where the model does not say how often each label occurred.
        """
        if self.target == "training" or self.strength == 0:
            return np.ones(len(labels), np.float32)
        if training is None:
            raise ConfigError(
                "this model file does not say its training base rates; use --base-rates training"
            )
        wanted = self._wanted(labels)
        ratio = wanted / np.maximum(training, 1e-6)
        return np.asarray(ratio**self.strength, np.float32)

    def shares(self, labels: LabelSet, training: Sequence[float] | None) -> FloatArray:
        """The rates themselves (K,); raises ConfigError where the model does not say its own."""
        if self.target != "training":
            return self._wanted(labels)
        if training is None:
            raise ConfigError(
                "this model file does not say its training base rates; say how common each "
                "expression is: --base-rates FILE"
            )
        return np.array(training, np.float32)

    def _wanted(self, labels: LabelSet) -> FloatArray:
        if self.target == "equal":
            return np.full(len(labels), 1 / len(labels), np.float32)
        if self.told is not None:
            return np.array(self.told, np.float32)
        return read_rates(Path(self.target), labels)


def asked(target: str | None, strength: float | None) -> BaseRates | None:
    """What somebody asked for, who may have left either out; None where they left out both."""
    if target is None and strength is None:
        return None
    return BaseRates(target or "equal", DEFAULT_STRENGTH if strength is None else strength)


def default_for(training: Sequence[float] | None) -> BaseRates:
    """What a model is read with unless asked otherwise: untouched where its rates are unknown."""
    return BaseRates("training") if training is None else BaseRates()


def reweight(probs: FloatArray, weights: FloatArray) -> FloatArray:
    """Probabilities (N, K) times weights (K,), each row summing to 1 again.

    Examples
    --------
    >>> p = np.array([[0.6, 0.4]], np.float32)
    >>> reweight(p, np.array([0.5 / 0.75, 0.5 / 0.25], np.float32)).round(3)
    array([[0.333, 0.667]], dtype=float32)
    """
    # A net sure of itself says exactly 0 elsewhere; were all weight there, nothing would be left.
    changed = np.maximum(probs, 1e-30) * weights
    return np.asarray(changed / changed.sum(axis=1, keepdims=True), np.float32)


def read_rates(path: Path, labels: LabelSet) -> FloatArray:
    """Rates (K,) summing to 1 from a file like ``{"neutral": 0.5, "happy": 0.3, ...}``.

    Counts do as well. Every label needs one: a forgotten label would never be answered again.
    """
    from ..config import parse_toml  # here, because it takes time that few need

    try:
        content = foreign.content(path)
        values = (parse_toml if path.suffix == ".toml" else parse)(content)
    except FileNotFoundError:
        raise ConfigError(f"base rates are training, equal or a file; no file '{path}'") from None
    except OSError as err:
        raise ConfigError(f"cannot read {path}: {err.strerror}") from err
    except ValueError as err:
        raise ConfigError(f"{path} is not readable JSON or TOML: {err}") from err
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds one rate per label, got {foreign.shown(values)}")
    rates = np.zeros(len(labels), np.float32)
    spelt: dict[int, str] = {}
    for label, rate in values.items():
        i = labels.index(label)
        if i in spelt:
            raise ConfigError(f"{path} gives two rates to one label, as {spelt[i]} and as {label}")
        try:
            # counts, too, but none so large that their sum is none of float32's numbers
            rates[i] = foreign.number(rate, f"the rate of {label}", 0, 1e30)
        except ValueError as err:
            raise ConfigError(f"{path}: {err}") from None
        spelt[i] = label
    missing = [label for i, label in enumerate(labels.labels) if i not in spelt]
    if missing:
        raise ConfigError(
            f"{path} has no rate for {', '.join(missing)}; "
            "give 0 to an expression that cannot occur"
        )
    if rates.sum() <= 0:
        raise ConfigError(f"{path}: the rates add up to nothing")
    return np.asarray(rates / rates.sum(), np.float32)
