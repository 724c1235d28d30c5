"""Names of files: when two of them mean one file, and whether one stays in its folder."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import ItemsView, Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Generic, TypeVar

T = TypeVar("T")


def folded(name: str) -> str:
    r"""What names share that mean one file to somebody: a Mac, Windows, or whoever wrote a list.

    Letters with marks are spelt in two ways in Unicode, and a Mac has its own; upper case, ``.JPG``
    above all, comes and goes; and Windows writes ``\``.

    >>> folded("Happy/A.PNG") == folded(".\\happy\\a.png")
    True
    """
    text = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", posixpath.normpath(text.replace("\\", "/")))


def spelt(name: str) -> str:
    r"""A name as UTF-8 can hold it: a disk may have one whose bytes are no text, spelt out then.

    >>> spelt("caf\udce9.png") == "caf\\udce9.png", spelt("Zoë")
    (True, 'Zoë')
    """
    return name.encode(errors="backslashreplace").decode()


def is_inside(name: str) -> bool:
    r"""Whether a name leads to a file below the folder that it is joined to, on any system.

    >>> [is_inside(n) for n in ("a/b.png", "a/../b.png", "../b.png", "/b.png", "C:\\b.png")]
    [True, True, False, False, False]
    """
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(name)
        if path.anchor or path.drive:
            return False
    return not posixpath.normpath(name.replace("\\", "/")).startswith("..")


def is_plain(name: str) -> bool:
    r"""Whether a name can be that of one folder or file: no path, and no word for a place.

    >>> [is_plain(name) for name in ("resnet10", "a/b", "..", "", "a\\b", "C:x")]
    [True, False, False, False, False, False]
    """
    return name not in ("", ".", "..") and not any(mark in name for mark in "/\\:\0")


class Spelled(Generic[T]):
    """What a list says of files, by their names, however those are spelt.

    Examples
    --------
    >>> people = Spelled({"a/zoe.png": "zoe", "b.png": "ben", "B.png": "bo"})
    >>> people.get("a/Zoe.PNG"), people.get("B.png"), people.get("B.PNG")
    ('zoe', 'bo', None)
    >>> people.unused()
    ['b.png']
    """

    def __init__(self, values: Mapping[str, T]) -> None:
        self._values = values
        self._alike: dict[str, list[str]] = {}
        for name in values:
            self._alike.setdefault(folded(name), []).append(name)
        self._used: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> ItemsView[str, T]:
        """What is said under each name, as it was spelt."""
        return self._values.items()

    def get(self, name: str) -> T | None:
        """What is said of a file: under its very name, or the only one that is spelt alike."""
        alike = [name] if name in self._values else self._alike.get(folded(name), [])
        if len(alike) != 1:
            return None
        self._used.add(alike[0])
        return self._values[alike[0]]

    def unused(self) -> list[str]:
        """The names that no file had so far."""
        return [name for name in self._values if name not in self._used]
