"""One adapter per data set: its owner's layout -> a mien table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, UnknownName
from ..labels import canonical
from ..registry import Registry
from ..table import Table


@dataclass(frozen=True, slots=True)
class Importer:
    """An adapter with what its user should know first.

    read : path of the owner's layout -> Table; raises DataError where the layout is another.
    layout : what it expects to find, in one line.
    terms : the owner's terms of use, in one line.
    """

    read: Callable[[Path], Table]
    layout: str
    terms: str


importers: Registry[Importer] = Registry("data set")


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file that has these columns; a short row reads as empty texts.

    Takes Excel's byte order mark and blanks after commas (Kaggle's icml_face_data.csv). Raises
    DataError for a file that is none, and for one without a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, restval="")
            there = list(reader.fieldnames or [])
            missing = [c for c in columns if c not in there]
            if missing:
                raise DataError(f"{path} lacks the columns {missing}; it has {there}")
            yield from reader
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DataError(f"{path} is not readable CSV: {err}") from err


def visible_folders(root: Path) -> list[Path]:
    """The folders in a folder, sorted, without .git, .ipynb_checkpoints and their like."""
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def label_of(folder: Path) -> str:
    """The label a folder is named after; raises DataError with the nearest one."""
    try:
        return canonical(folder.name)
    except UnknownName as err:
        raise DataError(f"folder {folder} is not named after a label: {err}") from err


from . import ferplus, folder, jaffe, w300  # noqa: E402  (they register themselves)

__all__ = ["Importer", "ferplus", "folder", "importers", "jaffe", "w300"]
