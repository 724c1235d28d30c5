"""A folder of one's own: ``<label>/*.jpg``, or ``<split>/<label>/*.jpg``, with an optional table.

``people.csv`` (or ``subjects.csv``) beside the folders, with the columns ``file`` and ``subject``,
says who is on a picture, so that a person can be kept on one side of a split. What it says in other
columns (``sex``, ``age_band``, ``camera``) is kept, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import DataError
from ...names import Spelled
from ..table import Table
from . import Importer, csv_rows, further, is_label, visible_folders
from .collection import Collection

LAYOUT = "<label>/*.jpg or <split>/<label>/*.jpg"
_ONE_SPLIT = "all"
_SUBJECT_TABLES = ("people.csv", "subjects.csv")


def label_folders(collection: Collection) -> Iterator[tuple[str | None, str, Path]]:
    """(the folder around it if any, label, folder) of all that are named after a label."""
    for first in visible_folders(collection.root):
        inner = visible_folders(first)
        alone = is_label(first.name) or not inner
        for folder in [first] if alone else inner:
            label = collection.label(folder)
            if label:
                yield None if alone else first.name, label, folder


def _subjects(root: Path) -> tuple[str, Spelled[dict[str, str]]]:
    """Who is on which picture, and the name of the table that says so: each row by its file."""
    for name in _SUBJECT_TABLES:
        path = root / name
        if path.is_file():
            rows = csv_rows(path, ("file", "subject"))
            told = {r["file"].strip(): further(r, ("file",)) for r in rows}
            return name, Spelled({file: said for file, said in told.items() if said})
    return "", Spelled({})


def read_folder(path: Path) -> Table:
    """Every picture under folders named after labels; the notes list what was left out.

    A folder whose name is nearly a label is a mistake, any other one without a label and an empty
    one are left out.
    """
    collection = Collection(path.resolve().name, path)  # "." has no name of its own
    listed_in, subjects = _subjects(path)
    for split, label, folder in label_folders(collection):
        for file in collection.files(folder):
            name = collection.relative(file)
            said = dict(subjects.get(name) or {})
            subject = said.pop("subject", None)
            collection.add(file, name, split or _ONE_SPLIT, label, subject=subject, more=said)
    table = collection.table(LAYOUT)
    if subjects and not any(row.subject or row.more for row in table.rows):
        raise DataError(
            f"the table of people in {path} names files like '{next(iter(subjects))}', but the "
            f"pictures are called like '{table.rows[0].source}'"
        )
    if gaps := _unmatched(subjects, table):
        collection.left_out[listed_in] = gaps
    return table


def _unmatched(subjects: Spelled[dict[str, str]], table: Table) -> str:
    """Which rows of the table of people have no picture, and how many pictures no row."""
    unused, nobody = subjects.unused(), [row.source for row in table.rows if not row.subject]
    parts = []
    if unused:
        parts.append(f"{len(unused)} of its {len(subjects)} rows name no picture ('{unused[0]}')")
    if nobody and len(subjects):
        parts.append(f"{len(nobody)} of {len(table)} pictures have no row ('{nobody[0]}')")
    return ", and ".join(parts)


def folder() -> Importer:
    return Importer(read_folder, LAYOUT, "your own")
