"""A folder of one's own: ``<label>/*.jpg``, or ``<split>/<label>/*.jpg``, with optional tables.

``people.csv`` (or ``subjects.csv``) beside the folders, with the columns ``file`` and ``subject``,
says who is on a picture, so that a person can be kept on one side of a split. What it says in other
columns (``sex``, ``age_band``, ``camera``) is kept, too.

``intensities.csv``, or columns of that table, says how strongly expressions show
(``mien.data.sets.intensities``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ...names import Spelled
from ..table import Row, Table
from . import Importer, csv_rows, further, is_label, passed_over, visible_folders
from .collection import Collection
from .intensities import Ratings, Scale

LAYOUT = "<label>/*.jpg or <split>/<label>/*.jpg"
_ONE_SPLIT = "all"
_PEOPLE, _INTENSITIES = ("people.csv", "subjects.csv"), "intensities.csv"
Numbered = tuple[int, dict[str, str]]  # a row of a table, and its line in the file


def label_folders(collection: Collection) -> Iterator[tuple[str | None, str, Path]]:
    """(the folder around it if any, label, folder) of all that are named after a label."""
    for first in visible_folders(collection.root):
        inner = visible_folders(first)
        alone = is_label(first.name) or not inner
        for folder in [first] if alone else inner:
            label = collection.label(folder)
            if label:
                yield None if alone else first.name, label, folder


@dataclass(frozen=True, slots=True)
class _Beside:
    """A table beside the folders, and what its rows say of each file.

    path : None where there is no such table.
    columns : all of its names. own : of those that are read as something else than words.
    """

    path: Path | None
    rows: Spelled[list[Numbered]]
    columns: tuple[str, ...]
    own: tuple[str, ...]
    ratings: Ratings

    def said(self, name: str) -> dict[str, str]:
        """The words about a file, by column."""
        words: dict[str, str] = {}
        for _, record in self.rows.get(name) or ():
            words |= further(record, self.own)
        return words

    def rate(self, name: str, row_id: str, label: str) -> None:
        """Take the ratings of a file, which is the picture ``row_id`` of a label."""
        for line, record in self.rows.get(name) or ():
            self.ratings.add(row_id, label, record, line)

    def left_out(self, table: Table, has: Callable[[Row], object]) -> dict[str, str]:
        """Rows without a picture and pictures without a row, by the table's name.

        has : whether a picture has what this table is for. Raises DataError where no row has one.
        """
        if self.path is None or not self.rows:
            return {}
        without = [row.source for row in table.rows if not has(row)]
        unused = self.rows.unused()
        if len(unused) == len(self.rows):
            raise DataError(
                f"{self.path} names files like '{unused[0]}', but the pictures are called like "
                f"'{table.rows[0].source}'"
            )
        parts = []
        if unused:
            counts = f"{len(unused)} of its {len(self.rows)} rows"
            parts.append(f"{counts} name no picture ('{unused[0]}')")
        if without:
            parts.append(f"{len(without)} of {len(table)} pictures have no row ('{without[0]}')")
        return {self.path.name: ", and ".join(parts)} if parts else {}


def _beside(root: Path, names: Sequence[str], columns: Sequence[str], scale: Scale) -> _Beside:
    """The first table of these names, each of its rows that says something by its file."""
    path = next((root / name for name in names if (root / name).is_file()), None)
    ratings = Ratings(path or root / names[0], scale)
    rows: dict[str, list[Numbered]] = {}
    there: tuple[str, ...] = ()
    own: tuple[str, ...] = ("file",)
    for line, record in csv_rows(path, columns) if path else ():
        if not there:
            there, own = tuple(record), ("file", *ratings.columns(record))
        if any(isinstance(v, str) and v.strip() for k, v in record.items() if k != "file"):
            rows.setdefault(record["file"].strip(), []).append((line, record))
    return _Beside(path, Spelled(rows), there, own, ratings)


def _people(root: Path, scale: Scale) -> _Beside:
    """Who is on which picture; raises DataError for one that is listed twice."""
    found = _beside(root, _PEOPLE, ("file", "subject"), scale)
    for name, rows in found.rows.items():
        if len(rows) > 1:
            raise DataError(
                f"{found.path}, line {rows[1][0]}: {name} is listed a second time; a picture has "
                f"one row (of several raters, in {_INTENSITIES})"
            )
    return found


def _intensities(root: Path, scale: Scale, people: _Beside) -> _Beside:
    """How strongly expressions show; raises DataError where the table says nothing of that."""
    found = _beside(root, (_INTENSITIES,), ("file",), scale)
    if found.rows and found.own == ("file",):
        raise DataError(f"{found.path} lacks a column 'intensity', or 'intensity_<label>' for each")
    if found.rows and people.own != ("file",):
        raise DataError(f"intensities stand in {people.path} and in {found.path}; leave one")
    return found


def read_folder(path: Path, scale: Scale | None = None) -> Table:
    """Every picture under folders named after labels; the notes list what was left out.

    scale : of intensities in the tables beside the folders; 0 to 1 if None.

    A folder whose name is nearly a label is a mistake, any other one without a label and an empty
    one are left out.
    """
    collection = Collection(path.resolve().name, path)  # "." has no name of its own
    people = _people(path, scale or Scale())
    graded = _intensities(path, scale or Scale(), people)
    for split, label, folder in label_folders(collection):
        for file in collection.files(folder):
            name = collection.relative(file)
            said = people.said(name)
            subject = said.pop("subject", None)
            collection.add(file, name, split or _ONE_SPLIT, label, subject=subject, more=said)
            for beside in (people, graded):
                beside.rate(name, f"{collection.name}/{name}", label)
    table = graded.ratings.of(people.ratings.of(collection.table(LAYOUT)))
    # The table's notes hold these.
    collection.left_out.update(passed_over(people.columns, people.own))
    collection.left_out.update(people.left_out(table, lambda row: row.subject))
    collection.left_out.update(
        {
            f"column '{name}'": f"only intensities are read from {_INTENSITIES}"
            for name in graded.columns
            if name not in graded.own
        }
    )
    collection.left_out.update(graded.left_out(table, lambda row: row.intensity))
    return table


def folder() -> Importer:
    return Importer(read_folder, LAYOUT, "your own", on_scale=read_folder)
