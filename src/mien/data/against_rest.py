"""One expression told from all the others: which pictures a fold holds.

A table is dealt once, so that each picture is in the test of one fold at most, whatever the
expression; of its part a fold's test takes as many pictures of the expression as of all the others
together, and of the others as many of each as can be had (autoencoder2018: 140, and 20 of each of
seven). Training and selection are drawn alike from the parts that are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DataError
from ..labels import label_set
from . import splits
from .splits import Split
from .table import Table

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Folds:
    """How each expression of a label set is told from all the others, fold by fold.

    label_set : its expressions that occur in the table take their turns.
    by : what stays together, as in ``Split``.
    count : parts the table is dealt into; each is a test once, and the next one selects.
    run : how many of these folds are run.
    positives : pictures of the expression in a test, and as many of the others together.
    train_positives : the same in training.
    autoencoder_rows : training pictures of a fold that its autoencoder learns.
    expressions : only these take their turns, each against all the others; empty for all.
    """

    label_set: str
    by: str = "stratified"
    count: int = 10
    run: int = 10
    positives: int = 140
    train_positives: int = 860
    autoencoder_rows: int = 8000
    seed: int = 1
    expressions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        labels = label_set(self.label_set)
        for name in self.expressions:
            labels.index(name)  # raises UnknownName
        Split(self.by, folds=self.count)  # raises where they do not fit
        if not 1 <= self.run <= self.count:
            raise ConfigError(f"folds.run lies in 1..{self.count}, got {self.run}")
        if min(self.positives, self.train_positives, self.autoencoder_rows) < 1:
            raise ConfigError("folds' numbers of pictures are at least 1")


@dataclass(frozen=True, slots=True)
class Drawn:
    """rows : (n,) places in the table, positives first. positives : how many of them."""

    rows: IntArray
    positives: int


@dataclass(frozen=True, slots=True)
class Fold:
    """Where each side of a fold lies: rows of the whole side, in table order."""

    number: int
    train: IntArray
    select: IntArray
    test: IntArray


def named(table: Table, settings: Folds) -> Table:
    """The rows that show an expression of the label set; raises DataError for one or none."""
    labels = label_set(settings.label_set)
    kept = table.keep(table.targets(labels) >= 0)
    if len({row.label for row in kept.rows}) < 2:
        raise DataError(f"{table.name} has fewer than two of the expressions of {labels.name}")
    return kept


def expressions(table: Table, settings: Folds) -> list[str]:
    """Those of the label set that occur and take their turns, in its order.

    Raises DataError where one that was asked for does not occur.
    """
    occurring = {row.label for row in table.rows}
    lacking = [label for label in settings.expressions if label not in occurring]
    if lacking:
        raise DataError(f"no picture of {table.name} shows {', '.join(lacking)}")
    asked = settings.expressions or occurring
    labels = label_set(settings.label_set).labels
    return [label for label in labels if label in occurring and label in asked]


def folds(table: Table, settings: Folds) -> Iterator[Fold]:
    """The folds to run, each part of the table tested once."""
    for number in range(settings.run):
        split = Split(settings.by, folds=settings.count, fold=number, seed=settings.seed)
        side = np.array([row.split for row in splits.split(table, split).rows])
        rows = (np.flatnonzero(side == name) for name in splits.SIDES)
        yield Fold(number, *rows)


def draw(
    table: Table, rows: IntArray, expression: str, positives: int, rng: np.random.Generator
) -> Drawn:
    """Up to ``positives`` rows of an expression and as many of the others, evenly, of ``rows``.

    Where there are too few of either, both sides are as large as the smaller. Raises DataError
    where one has none.
    """
    label = np.array([table.rows[row].label for row in rows])
    others = [rows[label == name] for name in np.unique(label[label != expression])]
    wanted = rows[label == expression]
    n = min(positives, len(wanted), sum(map(len, others)))
    if n == 0:
        raise DataError(
            f"a fold of {table.name} holds {len(wanted)} pictures of {expression} and "
            f"{len(rows) - len(wanted)} of others; take fewer folds, or leave {expression} out"
        )
    parts = [rng.choice(wanted, n, replace=False)]
    for name, share in zip(others, evenly([len(o) for o in others], n, rng), strict=True):
        parts.append(rng.choice(name, share, replace=False))
    return Drawn(np.concatenate(parts), n)


def evenly(available: list[int], wanted: int, rng: np.random.Generator) -> list[int]:
    """How many to take of each kind for ``wanted`` in all, one at most more of one than of another.

    A kind with too few gives all it has; who gives one more is drawn.
    """
    order = rng.permutation(len(available))
    taken, left = [0] * len(available), min(wanted, sum(available))
    while left:
        for kind in order:
            if left and taken[kind] < available[kind]:
                taken[kind] += 1
                left -= 1
    return taken


def generator(settings: Folds, fold: int, expression: str, side: str) -> np.random.Generator:
    """Random numbers of one draw, independent of which others were made."""
    place = label_set(settings.label_set).index(expression)
    return np.random.default_rng([settings.seed, fold, place, splits.SIDES.index(side)])
