"""A folder of one's own: ``<label>/*.jpg``, or ``<split>/<label>/*.jpg``, with an optional table.

``people.csv`` (or ``subjects.csv``) beside the folders, with the columns ``file`` and ``subject``,
says who is on a picture, so that a person can be kept on one side of a split.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError, ImageError, UnknownName
from ..image import SUFFIXES, read_bytes
from ..labels import canonical
from ..table import Row, Table
from . import Importer, importers

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
    for first in sorted(p for p in root.iterdir() if p.is_dir()):
        if _is_label(first.name):
            yield _ONE_SPLIT, canonical(first.name), first
            continue
        inner = sorted(p for p in first.iterdir() if p.is_dir())
        if not inner:
            raise DataError(f"folder '{first.name}' is neither a label nor a split with labels")
        for second in inner:
            yield first.name, canonical(second.name), second


def _subjects(root: Path) -> dict[str, str]:
    for name in _SUBJECT_TABLES:
        path = root / name
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as f:
                reader = csv.DictReader(f)
                if not {"file", "subject"} <= set(reader.fieldnames or []):
                    raise DataError(f"{path} needs the columns file and subject")
                return {r["file"]: r["subject"] for r in reader if r["subject"]}
    return {}


def read_folder(path: Path) -> Table:
    """Every picture under folders named after labels; unreadable ones are listed in the notes."""
    if not path.is_dir():
        raise DataError(f"no such folder: {path}")
    subjects = _subjects(path)
    rows: list[Row] = []
    unreadable: dict[str, str] = {}
    for split, label, folder in _label_folders(path):
        for file in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
            name = file.relative_to(path).as_posix()
            try:
                content = file.read_bytes()
                height, width = read_bytes(content, name).shape[:2]
            except (ImageError, OSError) as err:
                unreadable[name] = str(err)
                continue
            rows.append(
                Row(
                    f"{path.name}/{name}",
                    split,
                    label,
                    content,
                    width,
                    height,
                    subject=subjects.get(name),
                    source=name,
                )
            )
    if not rows:
        raise DataError(f"no pictures in {path}; expected <label>/*.jpg or <split>/<label>/*.jpg")
    return Table(path.name, rows, notes={"unreadable": unreadable})


@importers.register("folder")
def folder() -> Importer:
    return Importer(read_folder, "<label>/*.jpg or <split>/<label>/*.jpg", "your own")
