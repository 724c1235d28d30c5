"""Intensities in lists of one's own: how strongly each expression shows, as their raters say.

A column ``intensity`` is of the label that the picture has, and what is left of it is neutral (Xu
et al. 2019: "20 % happy and 80 % neutral"). Columns ``intensity_happy``, ``intensity_sad`` and so
on, called as in mien's results, are of each label by itself.

Whether a 1 is the least or the most that a rater can say, the numbers do not tell. So no scale is
guessed: it is 0 to 1 unless another is given, and a number outside of it is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import ConfigError, DataError, UnknownName
from ...labels import CANONICAL, canonical
from ..table import Table

OWN_LABEL, BEGINNING = "intensity", "intensity_"
_OWN = ""  # the picture's own label, whichever that is
_HINT = "--scale 0..100 for per cent, 0..5 for five levels above none, 1..5 where 1 is none"


@dataclass(frozen=True, slots=True)
class Scale:
    """What raters' numbers mean.

    none : the number of an expression that does not show at all.
    most : the number of one that shows as strongly as can be.
    """

    none: float = 0.0
    most: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.none) and math.isfinite(self.most) and self.none < self.most):
            raise ConfigError(f"a scale goes from a number up to a greater one, got {self}")

    def __str__(self) -> str:
        return f"{self.none:g}..{self.most:g}"

    def intensity(self, given: str) -> float:
        """A rater's number in [0, 1]; one with a per cent sign is per cent on every scale.

        Raises DataError.

        Examples
        --------
        >>> Scale(0, 5).intensity("3"), Scale(1, 5).intensity("3"), Scale().intensity("60 %")
        (0.6, 0.5, 0.6)
        """
        scale, number = self, given.strip()
        if number.endswith("%"):
            scale, number = PER_CENT, number[:-1].strip()
        try:
            value = float(number.replace(",", "."))  # Excel's comma for decimals
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(
                f"'{given}' is no number on the scale {scale}; leave the cell of a picture empty "
                "that nobody rated"
            )
        if not scale.none <= value <= scale.most:
            raise DataError(
                f"{given} lies outside of the scale {scale}; tell mien data import another: {_HINT}"
            )
        return (value - scale.none) / (scale.most - scale.none)


PER_CENT = Scale(0, 100)


def scale_of(text: str) -> Scale:
    """The scale that a text like ``0..5`` gives; raises ConfigError.

    Examples
    --------
    >>> str(scale_of("1..5"))
    '1..5'
    """
    none, dots, most = text.partition("..")
    try:
        if not dots:
            raise ValueError(text)
        return Scale(float(none), float(most))
    except ValueError:
        raise ConfigError(f"a scale is two numbers like 0..5, got '{text}': {_HINT}") from None


class Ratings:
    """What a list says of the strengths on its pictures, gathered row by row.

    listed_in : the list, for what is wrong in it. A picture that is rated in several rows was seen
    by several raters, whose mean counts.
    """

    def __init__(self, listed_in: Path, scale: Scale) -> None:
        self._listed_in = listed_in
        self._scale = scale
        self._columns: dict[str, str] = {}
        self._given: dict[str, list[dict[str, float]]] = {}

    def columns(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of a list's columns that hold intensities; raises DataError for a misnamed one."""
        self._columns = _columns(names, self._listed_in)
        return tuple(self._columns)

    def add(self, row_id: str, label: str, record: Mapping[str, str], line: int) -> None:
        """The ratings in a line of the list, which is of the picture ``row_id``.

        Raises DataError, naming the line, for a number outside the scale and for a row that rates
        some labels and not the others.
        """
        where = f"{self._listed_in}, line {line}"
        cells = {column: record[column].strip() for column in self._columns}
        empty = [column for column, cell in cells.items() if not cell]
        own = _OWN in self._columns.values()
        if len(empty) == len(cells):
            told = {"neutral": 1.0} if own and label == "neutral" else {}
        elif empty:
            raise DataError(
                f"{where}: {', '.join(empty)} is empty where others are not; what does not show is "
                f"{self._scale.none:g}, and a row that nobody rated has all of them empty"
            )
        else:
            read = {
                self._columns[c]: self._read(cell, f"{where}, {c}") for c, cell in cells.items()
            }
            told = _of_own(label, read[_OWN], where) if own else read
        if told:
            self._given.setdefault(row_id, []).append(told)

    def _read(self, cell: str, where: str) -> float:
        try:
            return self._scale.intensity(cell)
        except DataError as err:
            raise DataError(f"{where}: {err}") from err

    def of(self, table: Table) -> Table:
        """The table with the ratings of its rows; ``notes["intensities"]`` counts them.

        Labels that nobody rated on any of its pictures are not among its ``intensity_labels``.
        """
        if not self._columns:
            return table
        given = {row.id: self._given[row.id] for row in table.rows if row.id in self._given}
        rated = {label for several in given.values() for told in several for label in told}
        labels = tuple(label for label in CANONICAL if label in rated)
        means = {
            row_id: tuple(_mean(told.get(label, 0.0) for told in several) for label in labels)
            for row_id, several in given.items()
        }
        rows = [replace(row, intensity=means.get(row.id)) for row in table.rows]
        notes = {
            "scale": str(self._scale),
            "columns": list(self._columns),
            "rated": len(given),
            "unrated": [row.source or row.id for row in rows if row.intensity is None],
        }
        return replace(
            table, rows=rows, notes={**table.notes, "intensities": notes}, intensity_labels=labels
        )


def _columns(names: Iterable[str], where: Path) -> dict[str, str]:
    """Columns of intensities and the label each is of."""
    found: dict[str, str] = {}
    for name in names:
        if name.lower() == OWN_LABEL:
            found[name] = _OWN
        elif name.lower().startswith(BEGINNING):
            found[name] = _expression(name, where)
    if _OWN in found.values() and len(found) > 1:
        raise DataError(
            f"{where} has the columns {', '.join(found)}: either one for the picture's own label, "
            "or one for each label"
        )
    twice = next((name for name in found if [*found.values()].count(found[name]) > 1), None)
    if twice:
        raise DataError(f"{where} has two columns of intensities of {found[twice]}: {[*found]}")
    return found


def _expression(column: str, where: Path) -> str:
    try:
        label = canonical(column[len(BEGINNING) :])
    except UnknownName as err:
        raise DataError(f"the column '{column}' of {where} is named for no emotion: {err}") from err
    if label not in CANONICAL:
        raise DataError(f"the column '{column}' of {where} is named for no emotion")
    return label


def _of_own(label: str, strength: float, where: str) -> dict[str, float]:
    """The strengths on a picture of ``label``, what is left of its own being neutral.

    Of a neutral picture nothing is left: its number says that nothing, or all of neutral, shows.
    """
    if label not in CANONICAL:
        raise DataError(f"{where}: '{label}' has no intensity; leave the cell empty")
    if label != "neutral":
        return {label: strength, "neutral": 1 - strength}
    if strength not in (0.0, 1.0):
        raise DataError(
            f"{where}: no expression shows on a neutral picture, and none shows in part; leave the "
            "cell empty"
        )
    return {"neutral": 1.0}


def _mean(values: Iterable[float]) -> float:
    several = list(values)
    return sum(several) / len(several)
