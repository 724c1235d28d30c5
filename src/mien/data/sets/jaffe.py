"""JAFFE (Lyons et al. 1998; zenodo 3451524): ten women, seven expressions, 213 pictures.

The owners' files lie in one folder and say who and what in their names: ``KA.AN1.39.tiff`` is
subject KA, anger, first pose, serial number 39. Sixty people rated how strongly each of six
expressions shows; their means, from 1 (none) to 5, lie beside the pictures in ``ratings.csv`` or in
a text as the owners wrote it, ``39 1.55 1.90 2.10 4.32 3.90 1.81 KA-AN1``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError
from ...labels import canonical, label_set
from ...names import Spelled
from ..table import Table
from . import Importer, csv_rows
from .collection import Collection

LAYOUT = "KA.AN1.39.tiff and so on, with the ratings in ratings.csv or the owners' text, if any"
TERMS = "non-commercial research only, no redistribution; cite Lyons et al. 1998"
RATED = label_set("jaffe").native[:6]
_NAME = re.compile(r"([A-Z]{2})[.-](AN|DI|FE|HA|NE|SA|SU)(\d)\.(\d+)")
_LINE = re.compile(r"(\d+)((?:\s+\d\.\d+){6})\s+[A-Z]{2}-[A-Z]{2}\d", re.MULTILINE)
_NONE, _HIGH = 1.0, 5.0


def _intensity(given: Sequence[str], where: str) -> tuple[float, ...]:
    """Ratings 1..5 as intensities in [0, 1]; raises DataError."""
    try:
        values = [float(value) for value in given]
    except ValueError as err:
        raise DataError(f"{where}: ratings are numbers: {err}") from err
    if not all(_NONE <= value <= _HIGH for value in values):
        raise DataError(f"{where}: ratings lie between 1 and 5, got {values}")
    return tuple((value - _NONE) / (_HIGH - _NONE) for value in values)


def read_ratings(folder: Path) -> dict[str, tuple[float, ...]]:
    """File name, or serial number in the owners' text -> intensity of each of ``RATED``."""
    table = folder / "ratings.csv"
    if table.is_file():
        return {
            row["file"]: _intensity([row[name] for name in RATED], f"{table}, line {line}")
            for line, row in csv_rows(table, ("file", *RATED))
        }
    # By number, not by name: the owners' text has a slip of the pen in a name.
    lines = (
        (path, line)
        for path in sorted(p for p in folder.glob("*.txt") if p.is_file())
        for line in _LINE.findall(path.read_text(encoding="utf-8", errors="replace"))
    )
    return {
        serial: _intensity(given.split(), f"{path}, {serial}") for path, (serial, given) in lines
    }


def read_jaffe(path: Path) -> Table:
    """The pictures of a folder in the owners' naming, with their ratings where there are some."""
    collection = Collection("jaffe", path)
    ratings = Spelled(read_ratings(path))
    for file, named in collection.named(_NAME, "KA.AN1.39.tiff"):
        intensity = ratings.get(file.name) or ratings.get(named[4])
        label = canonical(named[2])
        collection.add(file, file.stem, "all", label, subject=named[1], intensity=intensity)
    labels = tuple(map(canonical, RATED)) if ratings else ()
    table = collection.table("files named like KA.AN1.39.tiff", intensity_labels=labels)
    if ratings and not any(row.intensity for row in table.rows):
        raise DataError(
            f"the ratings in {path} are of files like '{next(iter(ratings))}', but the pictures "
            f"are called like '{table.rows[0].source}'"
        )
    return table


def jaffe() -> Importer:
    return Importer(read_jaffe, LAYOUT, TERMS)
