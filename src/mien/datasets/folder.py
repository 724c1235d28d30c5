"""A folder of one's own: ``<label>/*.jpg``, or ``<split>/<label>/*.jpg``, with an optional table.

``people.csv`` (or ``subjects.csv``) beside the folders, with the columns ``file`` and ``subject``,
says who is on a picture, so that a person can be kept on one side of a split.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError, ImageError, UnknownName
from ..image import SUFFIXES, file_bytes, read_bytes
from ..labels import canonical
from ..table import Row, Table
from . import Importer, csv_rows, importers, label_of, visible_folders

_ONE_SPLIT = "all"
_SUBJECT_TABLES = ("people.csv", "subjects.csv")


def _is_label(name: str) -> bool:
    try:
        canonical(name)
    except UnknownName:
        return False
    return True


def _label_folders(root: Path) -> Iterator[tuple[str, str, Path]]:
    """(split, label, folder) of every folder named after a label, one or two levels down."""
    for first in visible_folders(root):
        inner = visible_folders(first)
        if _is_label(first.name) or not inner:
            yield _ONE_SPLIT, label_of(first), first
            continue
        for second in inner:
            yield first.name, label_of(second), second


def _subjects(root: Path) -> dict[str, str]:
    for name in _SUBJECT_TABLES:
        path = root / name
        if path.is_file():
            rows = csv_rows(path, ("file", "subject"))
            return {r["file"]: r["subject"] for r in rows if r["subject"]}
    return {}


def read_folder(path: Path) -> Table:
    """Every picture under folders named after labels; unreadable ones are listed in the notes."""
    if not path.is_dir():
        raise DataError(f"no such folder: {path}")
    subjects = _subjects(path)
    name_of_set = path.resolve().name  # "." has no name of its own
    rows: list[Row] = []
    unreadable: dict[str, str] = {}
    labels: set[str] = set()
    for split, label, folder in _label_folders(path):
        labels.add(label)
        for file in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
            name = file.relative_to(path).as_posix()
            try:
                content = file_bytes(file)
                height, width = read_bytes(content, name).shape[:2]
            except ImageError as err:
                unreadable[name] = str(err)
                continue
            rows.append(
                Row(
                    f"{name_of_set}/{name}",
                    split,
                    label,
                    content,
                    width,
                    height,
                    subject=subjects.get(name),
                    source=name,
                )
            )
    if unreadable and not rows:
        raise DataError(f"no picture in {path} can be read: {next(iter(unreadable.values()))}")
    if not rows:
        raise DataError(f"no pictures in {path}; expected <label>/*.jpg or <split>/<label>/*.jpg")
    if subjects and not any(row.subject for row in rows):
        raise DataError(
            f"the table of people in {path} names files like '{next(iter(subjects))}', but the "
            f"pictures are called like '{rows[0].source}'"
        )
    empty = sorted(labels - {row.label for row in rows})
    return Table(name_of_set, rows, notes={"unreadable": unreadable, "empty": empty})


@importers.register("folder")
def folder() -> Importer:
    return Importer(read_folder, "<label>/*.jpg or <split>/<label>/*.jpg", "your own")
