"""What every adapter does alike: look through folders, read pictures, keep count of the rest."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection as Names
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import DataError, ImageError, UnknownName
from ...labels import canonical
from ...media.image import SUFFIXES, file_bytes, read_bytes, told
from ...names import Spelled, is_inside
from ..table import Row, Table

_ALMOST = 0.7  # "angri" is a slip of the pen, "boredom" a label that mien does not know


def files_in(folder: Path, suffixes: Names[str] = SUFFIXES) -> list[Path]:
    """The files of these kinds below a folder, sorted, without hidden ones."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.name[0] != ".")
    return sorted(found)


def _others(folder: Path, suffixes: Names[str]) -> Iterator[Path]:
    """The other files below a folder, without hidden ones."""
    for path in folder.rglob("*"):
        if path.suffix.lower() not in suffixes and path.name[0] != "." and path.is_file():
            yield path


class Collection:
    """The pictures of one data set on their way into a table.

    name : how the data set is called.
    root : its folder; raises DataError where there is none. All names are relative to it.
    unreadable : pictures and videos that cannot be read, with the reason; never the end of all.
    left_out : what was passed over for another reason (a folder, a file, a line of a list).
    """

    def __init__(self, name: str, root: Path) -> None:
        if not root.is_dir():
            raise DataError(f"{root} is no folder" if root.exists() else f"no such folder: {root}")
        self.name = name
        self.root = root
        self.rows: list[Row] = []
        self.unreadable: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self._files: Spelled[Path] | None = None

    def relative(self, path: Path) -> str:
        inside = path.is_relative_to(self.root)
        return (path.relative_to(self.root) if inside else path).as_posix()

    def listed(self, name: str) -> Path | None:
        """The file that a list names, however it spells it; None, noted, for one elsewhere."""
        if not is_inside(name):
            self.left_out[name] = (
                f"{name} lies outside of {self.root}, or is not named from there on"
            )
            return None
        exact = self.root / name
        if exact.exists():
            return exact
        if self._files is None:
            files = (path for path in self.root.rglob("*") if path.is_file())
            self._files = Spelled({self.relative(path): path for path in files})
        return self._files.get(name) or exact

    def add(self, file: Path, row_id: str, split: str, label: str, **more: Any) -> None:
        """The picture in a file as a row ``<name>/<row_id>``; ``more`` are fields of Row."""
        source = self.relative(file)
        try:
            content = file_bytes(file)
            height, width = read_bytes(content, source).shape[:2]
        except ImageError as err:
            self.unreadable[source] = str(err)
            return
        row_id = f"{self.name}/{row_id}"
        if subject := more.get("subject"):  # spelt in one way, else one person is two
            more["subject"] = unicodedata.normalize("NFC", " ".join(subject.split()))
        self.rows.append(Row(row_id, split, label, content, width, height, source=source, **more))

    def known(self, name: str, key: str, reason: str) -> str | None:
        """mien's name for a label, None for one that it does not know: left out under ``key``.

        Raises DataError, with the reason and the nearest label, for a misspelt one.
        """
        try:
            return canonical(name)
        except UnknownName as err:
            if difflib.get_close_matches(name.lower(), err.known, 1, _ALMOST):
                raise DataError(f"{reason}: {err}") from err
            self.left_out[key] = f"{reason}: {err}"
            return None

    def label(self, folder: Path) -> str | None:
        """The label that a folder is named after, as ``known`` has it."""
        reason = f"folder {folder} is not named after a label"
        return self.known(folder.name, self.relative(folder), reason)

    def files(self, folder: Path, suffixes: Names[str] = SUFFIXES) -> list[Path]:
        """``files_in`` a folder that should hold some: an empty one, and other files, are noted."""
        found = files_in(folder, suffixes)
        others = Counter(p.suffix.lower() or "without a suffix" for p in _others(folder, suffixes))
        if not found or others:
            there = f"no {_kind(suffixes)}" if not found else ""
            parts = [there, told(others) if others else ""]
            holds = " and ".join(filter(None, parts))
            self.left_out[self.relative(folder)] = f"folder {folder} holds {holds}"
        return found

    def named(self, pattern: re.Pattern[str], example: str) -> Iterator[tuple[Path, re.Match[str]]]:
        """The pictures whose stem is of a pattern, with the match; the others are noted."""
        for file in files_in(self.root):
            named = pattern.fullmatch(file.stem)
            if named:
                yield file, named
            else:
                self.left_out[self.relative(file)] = f"{file} is not named like {example}"

    def table(self, expected: str, notes: dict[str, Any] | None = None, **more: Any) -> Table:
        """The table of all that was added; raises DataError where that is nothing.

        expected : what a folder of this data set holds, for the error.
        more : fields of Table.
        """
        if not self.rows:
            came = next(iter((self.unreadable or self.left_out).values()), "")
            if self.unreadable:
                raise DataError(f"no picture in {self.root} can be read: {came}")
            came = f"; {came}" if came else ""
            raise DataError(f"no pictures in {self.root}; expected {expected}{came}")
        found = {"unreadable": self.unreadable, "left_out": self.left_out}
        return Table(self.name, self.rows, notes={**(notes or {}), **found}, **more)


def _kind(suffixes: Names[str]) -> str:
    return "pictures" if suffixes is SUFFIXES else "videos"
