"""One adapter per data set: its owner's layout -> a mien table."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from ...errors import ConfigError, DataError, UnknownName
from ...labels import canonical
from ...registry import Registry
from ..table import Row, Table
from .intensities import Scale


@dataclass(frozen=True, slots=True)
class Importer:
    """An adapter with what its user should know first.

    reader : path of the owner's layout -> Table; raises DataError where the layout is another.
    layout : what it expects to find, in one line.
    terms : the owner's terms of use, in one line.
    at_rate : the same with frames a second, where the data set is one of videos.
    on_scale : the same with the scale of its raters' intensities, where the list is one's own.
    """

    reader: Callable[[Path], Table]
    layout: str
    terms: str
    at_rate: Callable[[Path, float], Table] | None = None
    on_scale: Callable[[Path, Scale], Table] | None = None

    def read(self, path: Path, fps: float | None = None, scale: Scale | None = None) -> Table:
        """The data set as a table, its terms in the notes.

        fps : how many frames to take of each second of video; None for the reader's own choice.
        scale : of the intensities in a list of one's own; None for 0 to 1.
        Raises DataError, with the layout, where the layout is another; ConfigError for frames a
        second of what is no video, and for a scale of what has its own.
        """
        if fps is not None and self.at_rate is None:
            raise ConfigError(
                f"frames a second are for videos, and these are pictures: {self.layout}"
            )
        if fps is not None and not fps > 0:
            raise ConfigError(f"frames a second are more than 0, got {fps:g}")
        if scale is not None and self.on_scale is None:
            raise ConfigError(
                f"a scale is for intensities in lists of your own (csv, folder): {self.layout}"
            )
        try:
            if fps is not None and self.at_rate:
                table = self.at_rate(path, fps)
            elif scale is not None and self.on_scale:
                table = self.on_scale(path, scale)
            else:
                table = self.reader(path)
        except DataError as err:
            if self.layout in str(err):
                raise
            raise DataError(f"{err} (the layout is: {self.layout})") from err
        return replace(table, notes={"terms": self.terms, **table.notes})


importers: Registry[Importer] = Registry(
    "data set",
    {
        "affectnet": "mien.data.sets.affectnet:affectnet",
        "ckplus": "mien.data.sets.ckplus:ckplus",
        "folder": "mien.data.sets.folder:folder",
        "videos": "mien.data.sets.videos:videos",
        "enterface05": "mien.data.sets.enterface05:enterface05",
        "faces10k": "mien.data.sets.faces10k:faces10k",
        "fer2013": "mien.data.sets.ferplus:fer2013",
        "ferplus": "mien.data.sets.ferplus:ferplus",
        "jaffe": "mien.data.sets.jaffe:jaffe",
        "kdef": "mien.data.sets.kdef:kdef",
        "csv": "mien.data.sets.listed:listed",
        "lfw": "mien.data.sets.lfw:lfw",
        "mug": "mien.data.sets.mug:mug",
        "mug-intensity": "mien.data.sets.mug:mug_intensity",
        "mug-frames": "mien.data.sets.mug:mug_frames",
        "rafd": "mien.data.sets.rafd:rafd",
        "rafdb": "mien.data.sets.rafdb:rafdb",
        "300w": "mien.data.sets.w300:w300",
    },
)


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a CSV file that has these columns; a short row reads as empty texts.

    line : which one of the file it is, the head being the first.

    Takes Excel's byte order mark, its semicolons where the comma is for decimals, and blanks
    after commas (Kaggle's icml_face_data.csv). Raises DataError for a file that is none, and for
    one without a column; so it does for two columns of one name and for cells without a name, of
    which a row could keep one alone.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is no file, but a folder, a pipe or a device")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            mark = ";" if head.count(";") > head.count(",") else ","
            reader = csv.DictReader(
                file, skipinitialspace=True, restval="", delimiter=mark, strict=True
            )
            there = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = there
            _check_head(path, head, there, columns)
            for row in reader:
                beyond = [cell for cell in row.pop(None, ()) if cell.strip()]
                if beyond:
                    raise DataError(
                        f"{path}, line {reader.line_num}: '{beyond[0]}' stands beyond the last "
                        f"column, '{there[-1]}'; quote a text that has a '{mark}' in it"
                    )
                yield reader.line_num, row
    except UnicodeDecodeError as err:
        raise DataError(f"{path} is not readable CSV: {_NO_TEXT}") from err
    except (OSError, csv.Error) as err:
        raise DataError(f"{path} is not readable CSV: {err}") from err


_NO_TEXT = "it is no text in UTF-8; save it as that (in Excel: CSV UTF-8)"


def _check_head(path: Path, head: str, there: Sequence[str], columns: Sequence[str]) -> None:
    """Raise DataError for a file whose first line names other columns, or one of them twice."""
    if "\0" in head:
        raise DataError(f"{path} is not readable CSV: {_NO_TEXT}")
    missing = [name for name in columns if name not in there]
    if missing:
        tabs = "; its cells are parted by tabs, not by commas" if "\t" in head else ""
        raise DataError(f"{path} lacks the columns {missing}; it has {there}{tabs}")
    twice = [name for name, count in Counter(there).items() if name and count > 1]
    if twice:
        raise DataError(f"{path} has two columns called '{twice[0]}'; name each once")


def further(record: Mapping[str, str | None], own: Sequence[str]) -> dict[str, str]:
    """What a row of a list says in columns of its owner's: nothing of empty cells.

    Without columns that a mien table has another use for.
    """
    taken = {*own, *_OF_ROWS}
    return {
        name.strip(): value.strip()
        for name, value in record.items()
        if name and name.strip() not in taken and isinstance(value, str) and value.strip()
    }


_OF_ROWS = frozenset(column.name for column in fields(Row) if column.name != "subject")


def passed_over(names: Iterable[str], own: Collection[str]) -> dict[str, str]:
    """Why columns of an owner's list are not read as their names might promise, by column.

    own : the columns that are read.
    """
    why = {}
    for name in (name for name in names if name not in own):
        if name in _OF_ROWS:
            why[f"column '{name}'"] = "a mien table has another use for this name"
        elif is_label(name):
            why[f"column '{name}'"] = (
                f"kept as words; as intensities it has to be called 'intensity_{name}'"
            )
    return why


def visible_folders(root: Path) -> list[Path]:
    """The folders in a folder, sorted, without .git, .ipynb_checkpoints and their like."""
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def is_label(name: str) -> bool:
    try:
        canonical(name)
    except UnknownName:
        return False
    return True


def label_of(folder: Path) -> str:
    """The label a folder is named after; raises DataError with the nearest one."""
    try:
        return canonical(folder.name)
    except UnknownName as err:
        raise DataError(f"folder {folder} is not named after a label: {err}") from err
