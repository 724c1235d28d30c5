"""JAFFE (Lyons et al. 1998; zenodo 3451524): ten women, seven expressions, 213 pictures.

The owners' files lie in one folder and say who and what in their names: ``KA.AN1.39.tiff`` is
subject KA, anger, first pose, serial number 39. Sixty people rated how strongly each of six
expressions shows; their means lie beside the pictures in ``ratings.csv``, from 1 (none) to 5.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import DataError
from ..labels import canonical, label_set
from ..table import Table
from . import Importer, csv_rows, importers
from .collection import Collection

LAYOUT = "KA.AN1.39.tiff and so on in one folder, and ratings.csv where there are ratings"
TERMS = "non-commercial research only, no redistribution; cite Lyons et al. 1998"
RATED = label_set("jaffe").native[:6]
_NAME = re.compile(r"([A-Z]{2})[.-](AN|DI|FE|HA|NE|SA|SU)(\d)\.(\d+)")
_NONE, _HIGH = 1.0, 5.0


def read_ratings(path: Path) -> dict[str, tuple[float, ...]]:
    """File name -> how strongly each of ``RATED`` shows, in [0, 1]; raises DataError."""
    ratings = {}
    for number, record in enumerate(csv_rows(path, ("file", *RATED))):
        try:
            given = [float(record[name]) for name in RATED]
        except ValueError as err:
            raise DataError(f"{path}, row {number}: ratings are numbers: {err}") from err
        if not all(_NONE <= value <= _HIGH for value in given):
            raise DataError(f"{path}, row {number}: ratings lie between 1 and 5, got {given}")
        ratings[record["file"]] = tuple((v - _NONE) / (_HIGH - _NONE) for v in given)
    return ratings


def read_jaffe(path: Path) -> Table:
    """The pictures of a folder in the owners' naming, with their ratings where there are some."""
    collection = Collection("jaffe", path)
    rated = path / "ratings.csv"
    ratings = read_ratings(rated) if rated.is_file() else {}
    for file, named in collection.named(_NAME, "KA.AN1.39.tiff"):
        label, intensity = canonical(named[2]), ratings.get(file.name)
        collection.add(file, file.stem, "all", label, subject=named[1], intensity=intensity)
    labels = tuple(map(canonical, RATED)) if ratings else ()
    table = collection.table("files named like KA.AN1.39.tiff", intensity_labels=labels)
    if ratings and not any(row.intensity for row in table.rows):
        raise DataError(
            f"{rated} rates files like '{next(iter(ratings))}', but the pictures are called like "
            f"'{table.rows[0].source}'"
        )
    return table


@importers.register("jaffe")
def jaffe() -> Importer:
    return Importer(read_jaffe, LAYOUT, TERMS)
