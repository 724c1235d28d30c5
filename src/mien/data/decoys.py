"""What is taken for a face and is none: the windows cascades let through where nobody is.

Made from pictures without people, each as it is and turned by right angles and mirrored (a curtain
upside down is a curtain), at several sizes; and from faces with landmarks, where a window lies
elsewhere on the face or beside it. The landmark network learns its face-or-not score against these.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from .. import geometry
from ..errors import DataError, ImageError
from ..face import FloatArray, Frame, ImageArray
from ..faces.cascades import INSET, Cascades
from ..faces.landmarker import Landmarker, squares
from ..faces.landmarks import POINTS, bounds, leveled_box
from ..media import image
from ..media.preprocess import shrink
from .patches import SIDE, patch_square, square_patch
from .table import Row, Table

SPLIT, HARD = "decoys", "hard"
_SIZES = (800, 500)  # longer side of a picture in pixels
_STEP = 1.1
_MOST = 60  # of one picture in one position: no wallpaper may fill the table
_TAKEN = 0.05  # a score that needs to be lower
_LARGE = (0.85, 0.6, 0.42)  # sides of what a network is tried on, in shorter sides of the picture
_LONG = 3.0  # a picture so many times as long as it is wide is not tried
_BESIDE = 0.3  # a window that overlaps a face by less is none


def from_pictures(folder: Path, seed: int = 1) -> Table:
    """Windows on every picture below a folder; raises DataError where there is no picture.

    Nobody checks that the pictures are without people but the one who puts them there.
    """
    cascades, rows = Cascades(), []
    unreadable: dict[str, str] = {}
    for name, picture in _pictures(folder, unreadable):
        random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        patches = list(_of_picture(picture, cascades, random))
        rows += [_row(f"decoy/{name}/{i}", name, patch) for i, patch in enumerate(patches)]
    if not rows:
        raise DataError(
            f"no window of any picture in {folder} passes for a face{_and_unread(unreadable)}"
        )
    return Table("decoys", rows, notes={"unreadable": unreadable})


def _pictures(folder: Path, unreadable: dict[str, str]) -> Iterator[tuple[str, ImageArray]]:
    """Every picture below a folder, with its name; those that cannot be read, to ``unreadable``."""
    for file in image.find([str(folder)]):
        name = Path(file).relative_to(folder).as_posix()
        try:
            picture = image.read_file(Path(file))
        except ImageError as err:
            unreadable[name] = str(err)
            continue
        yield name, picture


def _and_unread(unreadable: dict[str, str]) -> str:
    if not unreadable:
        return ""
    name, reason = next(iter(unreadable.items()))
    return f"; {len(unreadable)} could not be read, {name} for one: {reason}"


def _of_picture(
    picture: ImageArray, cascades: Cascades, random: np.random.Generator
) -> Iterator[ImageArray]:
    for view in _views(picture):
        windows = cascades.windows(view, _STEP)
        for box in random.permutation(windows)[:_MOST]:
            yield square_patch(view, *patch_square(INSET.of(box)))


def _views(picture: ImageArray, sizes: Sequence[int] = _SIZES) -> Iterator[ImageArray]:
    """The picture in gray at every size, turned by right angles and mirrored."""
    # A small picture is the same at every size; its decoys must not count twice.
    for longest in dict.fromkeys(min(size, max(picture.shape[:2])) for size in sizes):
        gray = cv2.cvtColor(shrink(picture, longest)[0], cv2.COLOR_RGB2GRAY)
        for turns in range(4):
            for mirrored in (False, True):
                turned = np.rot90(gray, turns)
                view = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
                yield np.asarray(view, np.uint8)


def hard(folder: Path, landmarker: Landmarker) -> Table:
    """What a landmark network itself takes for a face in pictures without people.

    Of large squares all over each picture those whose score is above ``_TAKEN``, and what the
    second look would see of them: to train on once more.
    """
    rows = []
    unreadable: dict[str, str] = {}
    for name, picture in _pictures(folder, unreadable):
        for number, view in enumerate(_views(picture, _SIZES[-1:])):
            seen = _look_twice(landmarker, view, all_over(*view.shape[::-1]))
            ids = (f"hard/{name}/{number}/{i}" for i in range(len(seen)))
            rows += [_row(i, name, patch, split=HARD) for i, patch in zip(ids, seen, strict=True)]
    if not rows:
        raise DataError(
            f"the network takes nothing in {folder} for a face{_and_unread(unreadable)}"
        )
    return Table("hard-decoys", rows, notes={"unreadable": unreadable})


def _look_twice(landmarker: Landmarker, view: ImageArray, boxes: FloatArray) -> list[ImageArray]:
    """Patches of what passes the first look, and of what the second then looks at."""
    frame = Frame(np.asarray(cv2.cvtColor(view, cv2.COLOR_GRAY2RGB), np.uint8))
    first = landmarker.look(frame, squares(boxes), [0.0] * len(boxes))
    taken = np.flatnonzero(first.scores >= _TAKEN)[:_MOST]
    found = []
    for i in taken:
        found.append(square_patch(view, *patch_square(boxes[i])))
        around, turn = leveled_box(first.points[i])
        found.append(square_patch(view, *patch_square(around), turn))
    return found


def all_over(width: int, height: int) -> FloatArray:
    """Large squares all over a picture, near enough to one another for the network, (N, 4)."""
    shorter, longer = sorted((width, height))
    shares = _LARGE if longer < _LONG * shorter else ()
    squares = [
        (x, y, x + share * shorter, y + share * shorter)
        for share in shares
        for y in _starts(height, share * shorter)
        for x in _starts(width, share * shorter)
    ]
    return np.array(squares, np.float32).reshape(-1, 4)


def _starts(length: int, side: float) -> FloatArray:
    """Where squares of a side begin along a length, half a side apart at the most."""
    free = length - side
    return np.linspace(0, free, 1 + int(np.ceil(2 * free / side)), dtype=np.float32)


def from_faces(faces: Table) -> Table:
    """Windows beside the faces of a table with landmarks, or on some part of them."""
    cascades, rows = Cascades(), []
    for row, picture in zip(faces.rows, faces.pictures(), strict=True):
        if row.landmarks is None:
            continue
        gray = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        face = bounds(np.array(row.landmarks, np.float32).reshape(POINTS, 2))
        windows = cascades.windows(gray, _STEP)
        boxes = np.array([INSET.of(box) for box in windows], np.float32).reshape(-1, 4)
        beside = boxes[geometry.iou(geometry.square(face, 1.0), boxes) < _BESIDE]
        for i, box in enumerate(beside):
            patch = square_patch(gray, *patch_square(box))
            rows.append(_row(f"decoy/{row.id}/{i}", row.source, patch, row.subject))
    return Table("decoys", rows)


def _row(
    row_id: str,
    source: str | None,
    patch: ImageArray,
    subject: str | None = None,
    split: str = SPLIT,
) -> Row:
    png = cv2.imencode(".png", patch)[1].tobytes()
    return Row(row_id, split, "not_a_face", png, SIDE, SIDE, subject=subject, source=source)


def mine(folder: Path, faces: Table | None) -> Table:
    """All decoys: of pictures without people, and of faces' own surroundings."""
    parts = [from_pictures(folder), *([from_faces(faces)] if faces else [])]
    rows = [row for part in parts for row in part.rows]
    return Table("decoys", rows, notes=parts[0].notes)
