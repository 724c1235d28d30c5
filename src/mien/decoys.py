"""What is taken for a face and is none: the windows cascades let through where nobody is.

Made from pictures without people, each as it is and turned by right angles and mirrored (a curtain
upside down is a curtain), at several sizes; and from faces with landmarks, where a window lies
elsewhere on the face or beside it. The landmark network learns its face-or-not score against these.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from . import geometry, image
from .detect import shrink
from .errors import DataError, ImageError
from .face import ImageArray
from .landmarks import POINTS, bounds
from .patches import SIDE, patch_square, square_patch
from .proposals import INSET, Cascades
from .table import Row, Table

SPLIT = "decoys"
_SIZES = (800, 500)  # longer side of a picture in pixels
_STEP = 1.1
_MOST = 60  # of one picture in one position: no wallpaper may fill the table
_BESIDE = 0.3  # a window that overlaps a face by less is none


def from_pictures(folder: Path, seed: int = 1) -> Table:
    """Windows on every picture below a folder; raises DataError where there is no picture.

    Nobody checks that the pictures are without people but the one who puts them there.
    """
    cascades, rows = Cascades(), []
    for file in image.find([str(folder)]):
        try:
            picture = image.read_file(Path(file))
        except ImageError:
            continue  # the folder may hold anything
        name = Path(file).relative_to(folder).as_posix()
        random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        patches = list(_of_picture(picture, cascades, random))
        rows += [_row(f"decoy/{name}/{i}", name, patch) for i, patch in enumerate(patches)]
    if not rows:
        raise DataError(f"no window of any picture in {folder} passes for a face")
    return Table("decoys", rows)


def _of_picture(
    picture: ImageArray, cascades: Cascades, random: np.random.Generator
) -> Iterator[ImageArray]:
    # A small picture is the same at every size; its decoys must not count twice.
    for longest in dict.fromkeys(min(size, max(picture.shape[:2])) for size in _SIZES):
        gray = cv2.cvtColor(shrink(picture, longest)[0], cv2.COLOR_RGB2GRAY)
        for turns in range(4):
            for mirrored in (False, True):
                turned = np.rot90(gray, turns)
                view = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
                windows = cascades.windows(np.asarray(view, np.uint8), _STEP)
                for box in random.permutation(windows)[:_MOST]:
                    yield square_patch(np.asarray(view, np.uint8), *patch_square(INSET.of(box)))


def from_faces(faces: Table) -> Table:
    """Windows beside the faces of a table with landmarks, or on some part of them."""
    cascades, rows = Cascades(), []
    for row, picture in zip(faces.rows, faces.pictures(), strict=True):
        if row.landmarks is None:
            continue
        gray = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        face = bounds(np.array(row.landmarks, np.float32).reshape(POINTS, 2))
        windows = cascades.windows(gray, _STEP)
        squares = np.array([INSET.of(box) for box in windows], np.float32).reshape(-1, 4)
        beside = squares[geometry.iou(geometry.square(face, 1.0), squares) < _BESIDE]
        for i, square in enumerate(beside):
            patch = square_patch(gray, *patch_square(square))
            rows.append(_row(f"decoy/{row.id}/{i}", row.source, patch, row.subject))
    return Table("decoys", rows)


def _row(row_id: str, source: str | None, patch: ImageArray, subject: str | None = None) -> Row:
    png = cv2.imencode(".png", patch)[1].tobytes()
    return Row(row_id, SPLIT, "not_a_face", png, SIDE, SIDE, subject=subject, source=source)


def mine(folder: Path, faces: Table) -> Table:
    """All decoys: of pictures without people, and of the faces' own surroundings."""
    of_pictures, of_faces = from_pictures(folder), from_faces(faces)
    notes = {"of_pictures": len(of_pictures), "of_faces": len(of_faces)}
    return Table("decoys", [*of_pictures.rows, *of_faces.rows], notes=notes)
