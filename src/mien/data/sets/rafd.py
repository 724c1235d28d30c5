"""RaFD, the Radboud Faces Database (Langner et al. 2010): eight expressions, three gazes, five
cameras.

``Rafd090_01_Caucasian_female_angry_frontal.jpg`` is camera 90 (in front) of person 01, who looks
into it.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...labels import canonical
from ..table import Table
from . import Importer
from .collection import Collection

EXAMPLE = "Rafd090_01_Caucasian_female_angry_frontal.jpg"
LAYOUT = f"{EXAMPLE} and so on, in any folders"
TERMS = "non-commercial research only, no redistribution; cite Langner et al. 2010"
_EXPRESSIONS = "angry|contemptuous|disgusted|fearful|happy|neutral|sad|surprised"
_NAME = re.compile(
    rf"Rafd(\d{{3}})_(\d+)_([a-z]+)_(female|male)_({_EXPRESSIONS})_(frontal|left|right)",
    re.IGNORECASE,
)


def read_rafd(path: Path) -> Table:
    """Every picture in the owners' naming; its camera and its gaze are columns."""
    collection = Collection("rafd", path)
    for file, named in collection.named(_NAME, EXAMPLE):
        expression, gaze = named[5].lower(), named[6].lower()
        more = {"camera": named[1], "gaze": gaze}
        collection.add(
            file,
            file.stem,
            "all",
            canonical(expression),
            subject=named[2],
            sequence=f"{expression}_{gaze}",  # five cameras at one moment
            more=more,
        )
    return collection.table(f"files named like {EXAMPLE}")


def rafd() -> Importer:
    return Importer(read_rafd, LAYOUT, TERMS)
