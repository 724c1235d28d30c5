"""A table of one's own beside pictures: a CSV file with the columns ``file`` and ``label``.

``subject``, ``split`` and ``sequence`` are taken where there are such columns, intensities too
(``intensity``, ``intensity_happy``), and all others as they are (``sex``, ``age_band``,
``camera``). Files are named from the table's folder on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ...errors import DataError
from ..table import Table
from . import Importer, csv_rows, further, passed_over
from .collection import Collection
from .intensities import Ratings, Scale

LAYOUT = (
    "a .csv file with the columns file,label[,subject,split,sequence,intensity] beside the pictures"
)

_COLUMNS = ("file", "label", "subject", "split", "sequence")


def table_in(path: Path) -> Path:
    """A CSV file itself, or the only one in a folder; raises DataError."""
    if not path.is_dir():
        return path
    tables = sorted(path.glob("*.csv"))
    if len(tables) != 1:
        names = ", ".join(table.name for table in tables) or "none"
        raise DataError(f"{path} should hold one .csv file, or name it yourself; it has: {names}")
    return tables[0]


def _nobody(_: Path) -> str | None:
    return None


def listed_in(
    table: Path,
    name: str | None = None,
    subject_of: Callable[[Path], str | None] = _nobody,
    scale: Scale | None = None,
) -> Table:
    """Every picture of a list, as a mien table.

    name : of the data set; that of the list's folder if None.
    subject_of : says who is on a picture where the list does not.
    scale : of its intensities; 0 to 1 if None.

    Raises DataError for a misspelt label and for a picture that is listed twice. Labels that mien
    does not know are left out and counted.
    """
    collection = Collection(name or table.parent.resolve().name, table.parent)
    ratings = Ratings(table, scale or Scale())
    own: tuple[str, ...] = ()
    seen: set[Path] = set()
    unknown: Counter[str] = Counter()
    blank: Counter[str] = Counter()
    for line, record in csv_rows(table, ("file", "label")):
        if not own:
            own = (*_COLUMNS, *ratings.columns(record))
            collection.left_out.update(passed_over(record, own))
        told = {column: (record.get(column) or "").strip() for column in _COLUMNS}
        name, given = told["file"], told["label"]
        if not (name and given):
            blank["label" if name else "file"] += 1
            continue
        where = f"{table}, line {line}"
        label = collection.known(given, f"label '{given}'", f"{where}: '{given}' is no label")
        if not label:
            unknown[given] += 1
            continue
        file = collection.listed(name)
        if file is None:
            continue
        if file in seen:
            raise DataError(f"{where}: {name} is listed a second time; a picture has one row")
        seen.add(file)
        collection.add(
            file,
            name,
            told["split"] or "all",
            label,
            subject=told["subject"] or subject_of(file),
            sequence=told["sequence"] or None,
            more=further(record, own),
        )
        ratings.add(f"{collection.name}/{name}", label, record, line)
    for column, count in blank.items():
        collection.left_out[f"rows without a {column}"] = f"{table} has {count} of them"
    for given, count in unknown.items():
        collection.left_out[f"label '{given}'"] += f" ({count} rows)"
    return ratings.of(collection.table(f"rows in {table}"))


def read_listed(path: Path, scale: Scale | None = None) -> Table:
    """Every picture that the table names; the notes list what was left out."""
    return listed_in(table_in(path), scale=scale)


def listed() -> Importer:
    return Importer(read_listed, LAYOUT, "your own", on_scale=read_listed)
