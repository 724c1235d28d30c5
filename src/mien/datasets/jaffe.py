"""JAFFE (Lyons et al. 1998; zenodo 3451524): ten women, seven expressions, 213 pictures.

The owners' files lie in one folder and say who and what in their names: ``KA.AN1.39.tiff`` is
subject KA, anger, first pose, serial number 39.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import DataError
from ..image import file_bytes, read_bytes
from ..labels import canonical
from ..table import Row, Table
from . import Importer, importers

TERMS = "non-commercial research only, no redistribution; cite Lyons et al. 1998"
_NAME = re.compile(r"([A-Z]{2})[.-](AN|DI|FE|HA|NE|SA|SU)(\d)\.(\d+)$")


def read_jaffe(path: Path) -> Table:
    """The pictures of a folder in the owners' naming; other files are passed over."""
    if not path.is_dir():
        raise DataError(f"no such folder: {path}")
    rows = []
    for file in sorted(path.iterdir()):
        named = _NAME.match(file.stem)
        if not named or file.suffix.lower() not in (".tiff", ".tif", ".png", ".jpg"):
            continue
        content = file_bytes(file)
        height, width = read_bytes(content, str(file)).shape[:2]
        subject, label = named[1], canonical(named[2])
        row_id = f"jaffe/{file.stem}"
        row = Row(row_id, "all", label, content, width, height, None, subject, file.name)
        rows.append(row)
    if not rows:
        raise DataError(f"no file in {path} is named like KA.AN1.39.tiff")
    return Table("jaffe", rows, notes={"terms": TERMS})


@importers.register("jaffe")
def jaffe() -> Importer:
    return Importer(read_jaffe, "KA.AN1.39.tiff and so on in one folder", TERMS)
