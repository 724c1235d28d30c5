"""Figures per group of pictures: on whom is a model worse, and may that be chance?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..labels import LabelSet
from .metrics import BOOTSTRAP_SAMPLES, BOOTSTRAP_SEED, IntArray, bootstrap

NOT_SAID = "(not said)"
MOST = 50  # groups: of more, a table says nothing to anybody
_DEALS = 2000  # of people to groups, to see what chance does


def by_group(
    targets: IntArray,
    predicted: IntArray,
    labels: LabelSet,
    groups: Sequence[str | None],
    people: Sequence[str] | None,
    column: str,
) -> dict[str, Any]:
    """How good answers are on each group of a column, and the largest gap; JSON-ready.

    Parameters
    ----------
    targets, predicted : (N,) indices into ``labels``
    groups : (N,) texts of the column; None where a row has none, which is a group, too
    people : (N,) who is on each picture, for the intervals; None where nobody is known

    Balanced accuracy runs over the labels that every group has: only those can be compared. It is
    None where there are none; so is ``people`` where nobody is known. ``gap`` is between the best
    and the worst group that are named; ``by_chance`` says how often the best and the worst of as
    many groups lie at least as far apart where people are dealt to them at random. Raises DataError
    for a column that makes no groups.
    """
    names = [NOT_SAID if group is None else group for group in groups]
    counts = Counter(names)
    if len(counts) < 2:
        raise DataError(f"'{column}' makes one group only, '{names[0]}'; figures by it need two")
    if len(counts) > MOST:
        raise DataError(
            f"'{column}' makes {len(counts)} groups of {len(names)} pictures; write bands into the "
            "table instead (18-29, 30-44, ...)"
        )
    order = sorted(counts, key=lambda name: (name == NOT_SAID, name))
    place = np.array([order.index(name) for name in names])
    who = np.arange(len(names)) if people is None else np.unique(people, return_inverse=True)[1]
    shared = _in_all(targets, place, len(order))
    told = {
        name: _figures(targets, predicted, labels, shared, who, place == i)
        | ({"people": None} if people is None else {})
        for i, name in enumerate(order)
    }
    named = np.array([name != NOT_SAID for name in order])
    return {
        "column": column,
        "balanced_over": [labels.labels[i] for i in shared],
        "groups": told,
        "gap": {
            measure: _gap(
                told, measure, named, _values(measure, targets, predicted, shared), place, who
            )
            for measure in ("accuracy", "balanced_accuracy")
            if shared.size or measure == "accuracy"
        }
        if named.sum() > 1
        else {},
    }


def _in_all(targets: IntArray, place: IntArray, count: int) -> IntArray:
    """The labels that occur in every group."""
    sets = [set(targets[place == i].tolist()) for i in range(count)]
    return np.array(sorted(set.intersection(*sets)), np.intp)


def _figures(
    targets: IntArray,
    predicted: IntArray,
    labels: LabelSet,
    shared: IntArray,
    who: IntArray,
    mask: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    own, answers, persons = targets[mask], predicted[mask], who[mask]
    count = len(np.unique(persons))
    clusters = None if count == len(own) else [str(p) for p in persons]
    right = own == answers
    found: dict[str, Any] = {
        "n": len(own),
        "people": count,
        "accuracy": float(right.mean()),
        "accuracy_ci95": bootstrap(own, answers, len(labels), clusters)["accuracy"],
        "majority_baseline": float(np.bincount(own).max() / len(own)),
        "balanced_accuracy": None,
        "balanced_accuracy_ci95": None,
    }
    if shared.size:
        kept = np.isin(own, shared)
        recalls = [float(right[own == label].mean()) for label in shared]
        parts = None if clusters is None else [c for c, k in zip(clusters, kept, strict=True) if k]
        samples = bootstrap(own[kept], answers[kept], len(labels), parts)
        found["balanced_accuracy"] = float(np.mean(recalls))
        found["balanced_accuracy_ci95"] = samples["balanced_accuracy"]
    return found


def _values(measure: str, targets: IntArray, predicted: IntArray, shared: IntArray) -> Any:
    """(N, M) weights and (N, M) hits, of which a group's figure is the mean over M of hits/weights.

    M is one for accuracy, a column per shared label for balanced accuracy.
    """
    right = (targets == predicted).astype(np.float64)
    if measure == "accuracy":
        return np.ones((len(right), 1)), right[:, None]
    of_label = (targets[:, None] == shared[None, :]).astype(np.float64)
    return of_label, of_label * right[:, None]


def _gap(
    told: dict[str, Any],
    measure: str,
    named: npt.NDArray[np.bool_],
    values: Any,
    place: IntArray,
    who: IntArray,
) -> dict[str, Any]:
    """Best against worst of the named groups; its interval, and how often chance goes as far."""
    names = [name for name, is_named in zip(told, named, strict=True) if is_named]
    best = max(names, key=lambda name: told[name][measure])
    worst = min(names, key=lambda name: told[name][measure])
    gap = told[best][measure] - told[worst][measure]
    order = list(told)
    pair = _resampled(values, place, who, [order.index(best), order.index(worst)])
    low, high = np.nanpercentile(pair[0] - pair[1], [2.5, 97.5])
    kept = named[place]
    chance = _by_chance(tuple(v[kept] for v in values), place[kept], who[kept], gap)
    return {
        "best": best,
        "worst": worst,
        "gap": gap,
        "gap_ci95": [round(float(low), 4), round(float(high), 4)],
        "by_chance": chance,
    }


def _sums(values: Any, cells: IntArray, count: int) -> Any:
    """Weights and hits summed by cell: (count, M) each."""
    found = []
    for part in values:
        total = np.zeros((count, part.shape[1]))
        np.add.at(total, cells, part)
        found.append(total)
    return found


def _resampled(values: Any, place: IntArray, who: IntArray, groups: Sequence[int]) -> list[Any]:
    """A group's figure in each of many samples of its people, (S,); for each of some groups."""
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    found = []
    for group in groups:
        mask = place == group
        persons, cells = np.unique(who[mask], return_inverse=True)
        if len(persons) == 1:
            persons, cells = np.arange(mask.sum()), np.arange(mask.sum())
        weights, hits = _sums(tuple(v[mask] for v in values), cells, len(persons))
        draws = rng.multinomial(
            len(persons), np.full(len(persons), 1 / len(persons)), size=BOOTSTRAP_SAMPLES
        )
        found.append(_figure(draws @ hits, draws @ weights))
    return found


def _figure(hits: Any, weights: Any) -> Any:
    """The mean over M of (S, M) hits/weights, (S,), without those that weigh nothing.

    NaN where none weighs anything: few people may be drawn without one of the shared labels.
    """
    there = weights > 0
    shares = np.divide(hits, weights, out=np.zeros_like(weights, float), where=there).sum(axis=1)
    counts = there.sum(axis=1)
    return np.divide(shares, counts, out=np.full(len(shares), np.nan), where=counts > 0)


def _by_chance(values: Any, place: IntArray, who: IntArray, gap: float) -> float:
    """The share of random deals in which best and worst lie at least ``gap`` apart.

    People are dealt where each is in one group only; else each person's pictures among themselves,
    as of two cameras that saw the same faces. Where each group is one person, pictures are dealt.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    groups, place = np.unique(place, return_inverse=True)
    if len(np.unique(who)) == len(groups) == len(set(zip(who, place, strict=True))):
        who = np.arange(len(who))
    persons, who = np.unique(who, return_inverse=True)
    first = np.zeros(len(persons), np.intp)
    first[who] = place
    whole = bool((first[who] == place).all())
    by_person = np.argsort(who, kind="stable")
    reached = 0
    for _ in range(_DEALS):
        if whole:
            dealt = rng.permutation(first)[who]
        else:
            dealt = np.empty_like(place)
            shuffled = by_person[np.lexsort((rng.random(len(who)), who[by_person]))]
            dealt[by_person] = place[shuffled]
        weights, hits = _sums(values, dealt, len(groups))
        figures = _figure(hits, weights)
        figures = figures[np.isfinite(figures)]
        reached += bool(figures.size) and bool(np.ptp(figures) >= gap - 1e-12)
    return round((reached + 1) / (_DEALS + 1), 4)
