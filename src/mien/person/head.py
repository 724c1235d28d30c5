"""A last layer for one person, on the features of a model that was trained on many.

With a handful of pictures nothing but the last layer can be learned, and that only as far as the
pictures speak against what the model knew before. So it begins as the model's own, and its change
has a penalty: multinomial logistic regression with the general model as the prior. A word the
model does not know begins as the mix of expressions that its samples look like to it.

A resting face that looks sad, or a mouth that hangs on one side, is taken off first: the person's
neutral is moved to where neutral faces lie (the neutral baseline).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..expression import typical
from ..expression.baserates import default_for
from ..expression.logits import softmax
from ..expression.recognize import OnnxRecognizer
from ..face import FloatArray, ImageArray
from ..labels import LabelSet
from ..media.preprocess import batch
from ..weights import graph, session

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Manner:
    """How far the person's pictures are believed.

    penalty : on half of the squared change, beside the sum of losses; infinite for no change.
    baseline : whether the person's neutral is moved first.
    """

    penalty: float
    baseline: bool


MANNERS = (
    Manner(0.05, True),
    Manner(0.5, False),
    Manner(5.0, False),
    Manner(np.inf, False),
)
"""From pictures of one light and sitting to few pictures of many days; ``chosen`` has which.

The last believes none of them and leaves the general model as it is.
"""
NEUTRALS = 3.0
"""So many neutral samples move the baseline half way."""

_STEPS = 200
_FOLDS = 5
_LEAST = 1e-4  # a probability counts as at least that: one wild answer decides nothing
RAREST = 1e-7
"""The same where a temperature is looked for, which wild answers are to decide."""
_TEMPERATURES = np.geomspace(0.4, 4.0, 60)
_CHUNK = 64
_SEED = 1


class Trunk:
    """What a model sees in a face, before its last layer, and that layer; raises ModelError."""

    def __init__(self, model: OnnxRecognizer) -> None:
        self.info, self.content = model.info, model.content
        self.head = graph.head(model.content)
        whole = graph.with_output(model.content, self.head.features)
        self._session, self._input = session.Session(whole, model.info.name, 1), model.input

    def features(self, crops: Sequence[ImageArray]) -> FloatArray:
        """(N, C) float32 of N face crops."""
        parts = [np.empty((0, self.head.weights.shape[1]), np.float32)]
        for start in range(0, len(crops), _CHUNK):
            x = batch(crops[start : start + _CHUNK], self.info.preprocess)
            parts += self._session.run([self.head.features], {self._input: x})
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """``features @ weights.T + bias`` are logits over ``labels``.

    weights : (K, C) float64. bias : (K,).
    """

    labels: LabelSet
    weights: Doubles
    bias: Doubles
    temperature: float = 1.0

    def probs(self, features: FloatArray) -> FloatArray:
        """(N, K), rows summing to 1."""
        logits = (features @ self.weights.T + self.bias) / self.temperature
        return softmax(np.asarray(logits, np.float32))


def general(trunk: Trunk) -> Layer:
    """The model's own last layer as it answers by default: calibrated, at default base rates."""
    info = trunk.info
    rates = None if info.base_rates is None else np.array(info.base_rates, np.float32)
    lift = np.log(default_for(info.base_rates).weights(info.label_set, rates))
    own = _calibrated(trunk)
    return Layer(own.labels, own.weights, own.bias + lift)


def _calibrated(trunk: Trunk) -> Layer:
    """The model's own last layer, calibrated, at its training's base rates."""
    info = trunk.info
    offsets = np.zeros(len(info.label_set)) if info.offsets is None else np.array(info.offsets)
    weights = trunk.head.weights.astype(np.float64) / info.temperature
    bias = trunk.head.bias.astype(np.float64) / info.temperature
    return Layer(info.label_set, weights, bias + offsets)


def is_general(trunk: Trunk, layer: Layer) -> bool:
    """Whether a layer answers its labels as the model's own does."""
    known = restricted(general(trunk), layer.labels)
    return known.weights.shape == layer.weights.shape and np.array_equal(
        known.weights, layer.weights
    )


def restricted(layer: Layer, labels: LabelSet) -> Layer:
    """The same layer where it may only answer the labels of ``labels`` that it knows."""
    names = [name for name in labels.labels if name in layer.labels.labels]
    places = [layer.labels.index(name) for name in names]
    return Layer(
        LabelSet("known", tuple(names), tuple(names)), layer.weights[places], layer.bias[places]
    )


def baseline(trunk: Trunk, layer: Layer, features: FloatArray, labels: Sequence[str]) -> Layer:
    """The general layer with the person's neutral moved to where neutral faces lie.

    The more neutral samples, the further; unchanged without one, or for a model that does not say
    what is ``typical`` of neutral faces.
    """
    known, names = trunk.info.typical, trunk.info.label_set
    neutral = features[np.array([label == "neutral" for label in labels], bool)]
    if not len(neutral) or "neutral" not in names.labels:
        return layer
    if known is None or known[names.index("neutral")] is None:
        return layer
    step = typical.step(_calibrated(trunk).probs(neutral), known, typical.at_rest(names))
    share = len(neutral) / (len(neutral) + NEUTRALS)
    return Layer(layer.labels, layer.weights, layer.bias + share * step)


def fit(
    trunk: Trunk,
    features: FloatArray,
    labels: Sequence[str],
    groups: Sequence[str],
    words: LabelSet,
) -> Layer:
    """The person's last layer over ``words``; every label of ``labels`` is one of them.

    groups : the stimulus of each sample; by holding some out it is chosen how far to go.
    """
    return fitted(trunk, features, labels, words, chosen(trunk, features, labels, groups, words))


def chosen(
    trunk: Trunk,
    features: FloatArray,
    labels: Sequence[str],
    groups: Sequence[str],
    words: LabelSet,
) -> Manner:
    """How far to go: the most careful manner that does as well on stimuli held out as the best.

    As well is within one standard error, over stimuli, of the loss (Breiman et al. 1984): what a
    few pictures say has to be plain. The first, where a label has one stimulus only.
    """
    parts, told = folds(labels, groups, _FOLDS), np.array(labels)
    rests = [np.setdiff1d(np.arange(len(told)), part) for part in parts]
    if any(len({*told[rest]}) < len(words) for rest in rests):
        return MANNERS[0]
    targets = np.array([words.labels.index(label) for label in labels])
    losses = np.zeros((len(MANNERS), len(told)))
    for row, manner in zip(losses, MANNERS, strict=True):
        for part, rest in zip(parts, rests, strict=True):
            layer = fitted(trunk, features[rest], told[rest].tolist(), words, manner)
            right = layer.probs(features[part])[np.arange(len(part)), targets[part]]
            row[part] = -np.log(right.clip(_LEAST))
    stimulus = np.unique(np.array(groups), return_inverse=True)[1]
    best = int(losses.sum(axis=1).argmin())
    for place in range(len(MANNERS) - 1, best, -1):
        more = np.bincount(stimulus, losses[place] - losses[best])
        if more.sum() <= np.sqrt(len(more)) * more.std(ddof=1):
            return MANNERS[place]
    return MANNERS[best]


def folds(labels: Sequence[str], groups: Sequence[str], most: int) -> list[npt.NDArray[np.intp]]:
    """Rows held out together: whole stimuli, each label spread over the folds."""
    label_of = dict(zip(groups, labels, strict=True))
    rng = np.random.default_rng(_SEED)
    names = [sorted(label_of)[i] for i in rng.permutation(len(label_of))]
    names.sort(key=lambda group: label_of[group])
    count = min(most, len(names))
    place = {group: i % count for i, group in enumerate(names)}
    of_row = np.array([place[group] for group in groups])
    return [np.flatnonzero(of_row == i) for i in range(count)]


def fitted(
    trunk: Trunk, features: FloatArray, labels: Sequence[str], words: LabelSet, manner: Manner
) -> Layer:
    """The same in one manner."""
    start = general(trunk)
    if manner.baseline:
        start = baseline(trunk, start, features, labels)
    start = _begun(start, features, labels, words)
    if np.isinf(manner.penalty):
        return start
    targets = np.eye(len(words))[[words.labels.index(label) for label in labels]]
    weights = (targets / targets.sum(axis=0).clip(1)).sum(axis=1)  # each label counts the same
    weights *= len(weights) / weights.sum()
    scale = float(np.sqrt((features.astype(np.float64) ** 2).sum(axis=1).mean()))
    middle = features.mean(axis=0, dtype=np.float64)
    x = np.column_stack([(features - middle) / scale, np.ones(len(features))])
    prior = features @ start.weights.T + start.bias
    change = _change(x, prior, targets, weights, manner.penalty)
    moved = change[:-1].T / scale
    return Layer(words, start.weights + moved, start.bias + change[-1] - moved @ middle)


def _begun(layer: Layer, features: FloatArray, labels: Sequence[str], words: LabelSet) -> Layer:
    """The general layer's rows for ``words``; for an unknown one the mix its samples look like."""
    probs, told = layer.probs(features), np.array(labels)
    mix = np.zeros((len(words), len(layer.labels)))
    for row, name in zip(mix, words.labels, strict=True):
        if name in layer.labels.labels:
            row[layer.labels.index(name)] = 1
        else:
            row[:] = probs[told == name].mean(axis=0)
    return Layer(words, mix @ layer.weights, mix @ layer.bias)


def _change(
    x: Doubles, prior: Doubles, targets: Doubles, weights: Doubles, penalty: float
) -> Doubles:
    """What is added to a layer, (C, K): least loss with its penalty, by accelerated descent.

    x : (N, C). prior : (N, K) logits before. Nesterov's method for strongly convex functions: the
    penalty is how curved it is at least, the largest singular value how curved at most.
    """
    most = 0.5 * np.linalg.norm(x * np.sqrt(weights)[:, None], 2) ** 2 + penalty
    root = np.sqrt(penalty / most)
    momentum = (1 - root) / (1 + root)
    here = ahead = np.zeros((x.shape[1], targets.shape[1]))
    for _ in range(_STEPS):
        logits = prior + x @ ahead
        probs = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
        slope = x.T @ ((probs - targets) * weights[:, None]) + penalty * ahead
        there = ahead - slope / most
        here, ahead = there, there + momentum * (there - here)
    return here


def temperature(logits: FloatArray, targets: npt.NDArray[np.intp]) -> float:
    """By which answers to samples that were not learned from are likeliest."""
    rows = np.arange(len(targets))
    losses = [
        -np.log(softmax(np.asarray(logits / t, np.float32))[rows, targets].clip(RAREST)).mean()
        for t in _TEMPERATURES
    ]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def model_file(trunk: Trunk, layer: Layer, meta: dict[str, object]) -> bytes:
    """The general model with the person's last layer, as an ONNX file that says what it is."""
    return graph.with_head(
        trunk.content,
        np.asarray(layer.weights, np.float32),
        np.asarray(layer.bias, np.float32),
        {session.METADATA_KEY: json.dumps(meta)},
    )
