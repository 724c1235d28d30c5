"""Labelled Faces in the Wild (Huang et al. 2007) with a table of expressions.

LFW itself says who is on a picture (``Colin_Powell_0076.jpg``), not what the face shows; labels
come from a table beside it with the columns ``file`` and ``label``, such as those that students
gave to 2,969 faces of LFW and IMFDB (github.com/muxspace/facial_expressions).
"""

from __future__ import annotations

import re
from pathlib import Path

from ..table import Table
from . import Importer
from .listed import listed_in, table_in

LAYOUT = "folders of Colin_Powell_0076.jpg beside a .csv file with the columns file,label[,subject]"
TERMS = "research use; cite Huang et al. 2007, and whoever gave the labels"
_NAME = re.compile(r"(.+)_\d{4}")


def _person(file: Path) -> str | None:
    named = _NAME.fullmatch(file.stem)
    return named[1] if named else None


def read_lfw(path: Path) -> Table:
    """The listed pictures; the person is the table's, or else the one in the file's name."""
    return listed_in(table_in(path), "lfw", _person)


def lfw() -> Importer:
    return Importer(read_lfw, LAYOUT, TERMS)
