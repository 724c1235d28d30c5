"""Tables of pictures as tables of crops, and what was lost on the way.

What a detector does not find, no network sees, and no accuracy counts: Biondi et al. (2019) put
2,148 pictures in and measured on 1,870. So the rows that drop out are counted, label by label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import cv2
import numpy as np

from ..errors import DataError, UnknownName
from ..face import Crop, Frame, ImageArray
from ..faces import align, detect
from ..faces.finder import Finder, pixels
from ..faces.mouth import HaarMouth
from ..later import side_by_side
from ..media.preprocess import resize
from .table import Row, Table, png

PAD = 0.5  # of the longer side, around every picture: tight crops leave a detector no room
_DETECTOR = "mien"  # not whichever the machine has: the same rows everywhere
_MARGIN = 0.3  # of the longer side, around tight crops of all kinds
_FINE = 4  # crops are kept at this many times a network's size at the most
T = TypeVar("T")
Find = Callable[[Frame], Crop | None]
CUTS = ("landmarks", "cascade")


@dataclass(frozen=True, slots=True)
class Cut:
    """Every face is cut out of its picture first, as ``model.align`` says.

    by : "landmarks", found by the default chain; or "cascade", Haar's for the face and, in its
        lower half, Haar's for the mouth.
    """

    by: str = "landmarks"

    def __post_init__(self) -> None:
        if self.by not in CUTS:
            raise UnknownName("way to cut", self.by, CUTS)


def cut(table: Table, settings: Cut, alignment: str, size: int) -> Table:
    """The rows whose face is found, each with its crop of ``size`` pixels for picture.

    alignment : how faces are cut, where they are cut by landmarks.

    ``notes["cut"]`` counts the rows given and cut of every label. Raises DataError for a table
    that has been cut before, or where nothing is found, and WeightsMissing.
    """
    if "align" in table.notes:
        raise DataError(
            f"{table.name} was cut by '{table.notes['align']}' already; the recipe's [cut] starts "
            "from whole faces"
        )
    find = _by_landmarks(alignment, size) if settings.by == "landmarks" else _by_cascade()
    found = _each(table, lambda row, picture: _cut(row, picture, find, size))
    rows = [row for row in found if row is not None]
    if not rows:
        raise DataError(f"no face was found in any of the {len(table)} pictures of {table.name}")
    counts = {
        name: dict(Counter(r.label for r in part))
        for name, part in (("given", table.rows), ("cut", rows))
    }
    notes = {**table.notes, "align": alignment, "cut": {**asdict(settings), **counts}}
    return replace(table, rows=rows, notes=notes)


def _each(table: Table, make: Callable[[Row, ImageArray], T]) -> Generator[T, None, None]:
    """What is made of every row and its picture, in their order; several threads make it."""
    pairs = zip(table.rows, table.pictures(), strict=True)
    return side_by_side(lambda pair: make(*pair), pairs)


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


def _by_landmarks(alignment: str, size: int) -> Find:
    finder = Finder(detect.build(_DETECTOR))

    def find(frame: Frame) -> Crop | None:
        faces = finder.find(frame, alignment)
        return align.of_landmarks(faces[0], alignment, size) if faces else None

    return find


def _by_cascade() -> Find:
    detector, mouth = detect.build("haar"), HaarMouth()

    def find(frame: Frame) -> Crop | None:
        faces = detector.detect(frame)
        box = mouth.find(frame, faces[0]) if faces else None
        return None if box is None else align.box(box, 1.0)

    return find


def faces_of(pictures: Table, alignment: str, size: int) -> Table:
    """The surest face of every picture, as ``mien analyze`` would cut it.

    A picture in which the detector finds none, even with more room around it, is taken whole if
    the landmark network sees one face fill it, and left out otherwise: ``notes["no_face"]`` names
    those, ``notes["whole"]`` counts the others.
    """
    finder, whole = Finder(detect.build()), Finder(None)

    def surest(row: Row, picture: ImageArray) -> tuple[Row | None, bool]:
        crop, taken_whole = _found(picture, finder, alignment, size), False
        if crop is None and whole.find(Frame(picture), "similarity")[0].landmarks is not None:
            crop, taken_whole = _found(picture, whole, alignment, size), True
        if crop is None:
            return None, False
        return _kept(row, resize(crop, min(_FINE * size, max(crop.shape[:2])))), taken_whole

    rows: list[Row] = []
    none: list[str] = []
    taken_whole = 0
    for row, (kept, is_whole) in zip(pictures.rows, _each(pictures, surest), strict=True):
        taken_whole += is_whole
        if kept is None:
            none.append(row.source or row.id)
        else:
            rows.append(kept)
    if not rows:
        raise DataError(f"no face was found in any of the {len(pictures)} pictures")
    notes = {"unreadable": {}, "left_out": {}, **pictures.notes, "align": alignment}
    notes |= {"faces": len(rows), "whole": taken_whole, "no_face": none}
    return replace(pictures, rows=rows, notes=notes)


def _found(picture: ImageArray, finder: Finder, alignment: str, size: int) -> ImageArray | None:
    """The surest face's pixels, if need be with more room around the picture."""
    crop = _surest(picture, finder, alignment, size, 0.0)
    if crop is None and finder.detector:
        crop = _surest(picture, finder, alignment, size, _MARGIN)
    return crop


def _surest(
    picture: ImageArray, finder: Finder, alignment: str, size: int, pad: float
) -> ImageArray | None:
    margin = round(pad * max(picture.shape[:2]))
    wide = cv2.copyMakeBorder(picture, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    frame = Frame(np.asarray(wide, np.uint8))
    for face in finder.find(frame, alignment)[:1]:
        return pixels(frame, finder.framed(face, alignment, size))
    return None


def _kept(row: Row, crop: ImageArray) -> Row:
    """The row with its crop; landmarks, where it had any, lay in the picture as it was."""
    height, width = crop.shape[:2]
    png = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))[1].tobytes()
    return replace(row, image=png, width=width, height=height, landmarks=None)


def cut_faces(
    table: Table, finder: Finder, alignment: str, size: int, pad: float = 0.0
) -> tuple[Table, list[ImageArray]]:
    """The surest face of every picture as the recogniser would get it, and the rows that have one.

    ``pad`` widens each picture by that share of its side first, repeating its border: data sets
    of tight crops leave a detector no room to look around. ``size`` is of aligned crops.
    """
    crops = list(_each(table, lambda row, picture: _surest(picture, finder, alignment, size, pad)))
    found = table.keep(crop is not None for crop in crops)
    return found, [crop for crop in crops if crop is not None]


def aligned(table: Table, alignment: str, size: int) -> Table:
    """The table with every face cut by ``alignment``; where no face is seen, the whole picture.

    Raises UnknownName for no alignment, DataError for a table that has been cut before.
    """
    align.known(alignment)
    if "align" in table.notes:
        raise DataError(f"{table.name} was cut by '{table.notes['align']}' already")
    finder = Finder(None)

    def cut_out(row: Row, picture: ImageArray) -> tuple[Row, bool]:
        frame = Frame(picture)
        (face,) = finder.find(frame, alignment)
        crop = pixels(frame, finder.framed(face, alignment, size))
        # By its box alone a crop is cut as it is, and nobody looks for a face.
        return _kept(row, crop), alignment != align.DEFAULT and face.landmarks is None

    made = list(_each(table, cut_out))
    notes = {**table.notes, "align": alignment, "whole": sum(is_whole for _, is_whole in made)}
    return replace(table, rows=[row for row, _ in made], notes=notes)
