"""A table of pictures as a table of aligned crops, and what was lost on the way.

What a detector does not find, no network sees, and no accuracy counts: Biondi et al. (2019) put
2,148 pictures in and measured on 1,870. So the rows that drop out are counted, label by label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace

import cv2
import numpy as np

from . import align, detect
from .errors import DataError
from .face import Crop, Frame
from .finder import Finder
from .mouth import HaarMouth
from .preprocess import resize
from .recipes import Cut, Model
from .table import Row, Table, png

PAD = 0.5  # of the longer side, around every picture: tight crops leave a detector no room
_DETECTOR = "mien"  # not whichever the machine has: the same rows everywhere
Find = Callable[[Frame], Crop | None]


def cut(table: Table, settings: Cut, model: Model) -> Table:
    """The rows whose face is found, each with its crop of ``model.size`` pixels for picture.

    ``notes["cut"]`` counts the rows given and cut of every label. Raises DataError for a table
    that has been cut before, or where nothing is found, and WeightsMissing.
    """
    if "align" in table.notes:
        raise DataError(
            f"{table.name} was cut by '{table.notes['align']}' already; the recipe's [cut] starts "
            "from whole faces"
        )
    find = _by_landmarks(model) if settings.by == "landmarks" else _by_cascade()
    pictures = zip(table.rows, table.pictures(), strict=True)
    found = [_cut(row, picture, find, model.size) for row, picture in pictures]
    rows = [row for row in found if row is not None]
    if not rows:
        raise DataError(f"no face was found in any of the {len(table)} pictures of {table.name}")
    counts = {
        name: dict(Counter(r.label for r in part))
        for name, part in (("given", table.rows), ("cut", rows))
    }
    notes = {**table.notes, "align": model.align, "cut": {**asdict(settings), **counts}}
    return replace(table, rows=rows, notes=notes)


def _cut(row: Row, picture: np.ndarray, find: Find, size: int) -> Row | None:
    pad = round(PAD * max(picture.shape[:2]))
    wide = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    frame = Frame(np.asarray(wide, np.uint8))
    crop = find(frame)
    if crop is None:
        return None
    pixels = resize(align.cut(frame, crop), size)
    height, width = pixels.shape[:2]
    return replace(row, image=png(pixels), width=width, height=height, landmarks=None)


def _by_landmarks(model: Model) -> Find:
    finder = Finder(detect.build(_DETECTOR))

    def find(frame: Frame) -> Crop | None:
        faces = finder.find(frame, model.align)
        return align.of_landmarks(faces[0], model.align, model.size) if faces else None

    return find


def _by_cascade() -> Find:
    detector, mouth = detect.build("haar"), HaarMouth()

    def find(frame: Frame) -> Crop | None:
        faces = detector.detect(frame)
        box = mouth.find(frame, faces[0]) if faces else None
        return None if box is None else align.box(box, 1.0)

    return find
