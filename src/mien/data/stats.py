"""What a table holds: its gray levels, labels, splits, picture sizes and people, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..labels import CANONICAL, NOT_EMOTIONS
from .table import Table

_LEVELS = 256
_ORDER = (*CANONICAL, *NOT_EMOTIONS)


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the greatest of some lengths in pixels."""

    min: int
    median: float
    max: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What a table holds.

    pixels : how many there are in all pictures together.
    mean, std : per channel R, G, B over all those pixels, gray levels 0..255; the deviation is
        the population's (divided by N), the number networks are normalised with.
    gray : every picture has R == G == B everywhere.
    counts : rows per split and label; every split names every label of the table.
    width, height : of the decoded pictures.
    subjects : how many people, None where the table names none; subject_rows : rows that name one.
    """

    name: str
    rows: int
    pixels: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    gray: bool
    counts: dict[str, dict[str, int]]
    width: Spread
    height: Spread
    subjects: int | None
    subject_rows: int

    @property
    def unit_mean(self) -> tuple[float, ...]:
        """The mean for gray levels scaled to [0, 1]."""
        return tuple(level / 255 for level in self.mean)

    @property
    def unit_std(self) -> tuple[float, ...]:
        """The standard deviation for gray levels scaled to [0, 1]."""
        return tuple(level / 255 for level in self.std)

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {**asdict(self), "unit_mean": self.unit_mean, "unit_std": self.unit_std}


def label_order(table: Table) -> tuple[str, ...]:
    """The labels a table uses: mien's own order, then what taggers said instead, then others."""
    used = {row.label for row in table.rows}
    return (*(label for label in _ORDER if label in used), *sorted(used.difference(_ORDER)))


def channel_stats(table: Table) -> Stats:
    """Gray levels per channel over every pixel, and what else the table holds.

    Each channel is kept as a histogram, so sums and squares are whole numbers and exact however
    many pixels there are; and a large picture weighs more than a small one, as it must (the mean
    of the pictures' means is another number, and the mean of their deviations a wrong one).
    """
    if not len(table):
        raise DataError(f"{table.name} holds no pictures")
    histogram = np.zeros((3, _LEVELS), np.int64)
    widths, heights, gray = [], [], True
    for picture in table.pictures():
        channels = picture.reshape(-1, 3).T  # (3, H*W)
        histogram += [np.bincount(channel, minlength=_LEVELS) for channel in channels]
        gray = gray and bool((channels == channels[0]).all())
        heights.append(picture.shape[0])
        widths.append(picture.shape[1])
    red, green, blue = (_mean_std(levels) for levels in histogram)
    subjects = [row.subject for row in table.rows if row.subject is not None]
    return Stats(
        name=table.name,
        rows=len(table),
        pixels=int(histogram[0].sum()),
        mean=(red[0], green[0], blue[0]),
        std=(red[1], green[1], blue[1]),
        gray=gray,
        counts=_counts(table),
        width=_spread(widths),
        height=_spread(heights),
        subjects=len(set(subjects)) or None,
        subject_rows=len(subjects),
    )


def _mean_std(histogram: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Mean and deviation of the levels in one channel's (256,) histogram.

    Python's whole numbers do not overflow and lose no digit, where N * sum(x^2) - sum(x)^2 in
    floats is a small difference of two huge numbers.
    """
    counts = [int(count) for count in histogram]
    n = sum(counts)
    total = sum(level * count for level, count in enumerate(counts))
    squares = sum(level * level * count for level, count in enumerate(counts))
    return total / n, ((n * squares - total * total) / (n * n)) ** 0.5


def _counts(table: Table) -> dict[str, dict[str, int]]:
    counted = Counter((row.split, row.label) for row in table.rows)
    labels = label_order(table)
    return {split: {label: counted[split, label] for label in labels} for split in table.splits}


def _spread(lengths: list[int]) -> Spread:
    return Spread(min(lengths), float(np.median(lengths)), max(lengths))
