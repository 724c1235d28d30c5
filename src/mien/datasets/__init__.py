"""One adapter per data set: its owner's layout -> a mien table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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

from . import ferplus, folder, jaffe  # noqa: E402  (they register themselves)

__all__ = ["Importer", "ferplus", "folder", "importers", "jaffe"]
