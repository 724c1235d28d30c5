"""What the landmark network trains on: a gray patch twice as wide as the face.

A patch holds what augmentation may bring into view; the network's own input is a smaller square
out of its middle (``landmarks.NET_FRAMING``).
"""

from __future__ import annotations

import cv2
import numpy as np

from .. import geometry
from ..face import FloatArray, ImageArray
from ..faces.landmarks import POINTS, bounds
from .table import Table

SIDE = 96  # pixels: about one of the network's 64 to a pixel here
WIDTH = 2.0  # of the box of the landmarks


def patch_square(box: FloatArray) -> tuple[FloatArray, float]:
    """Centre and side of the patch around the box of a face's landmarks."""
    side = WIDTH * float((box[2:] - box[:2]).max())
    return np.asarray((box[:2] + box[2:]) / 2, np.float32), side


def square_patch(
    gray: ImageArray, centre: FloatArray, side: float, turn: float = 0.0
) -> ImageArray:
    """A square of a gray picture as (96, 96) uint8, its border repeated outwards.

    turn : how far the square is turned, in radians, clockwise as one looks at it.
    """
    return _cut(gray, geometry.turned_square(centre, side, turn, SIDE), side / SIDE)


def _cut(gray: ImageArray, matrix: geometry.Matrix, shrinks: float) -> ImageArray:
    if shrinks > 1.5:  # bilinear sampling would skip pixels
        wide = round(shrinks)
        gray = np.asarray(cv2.blur(gray, (wide, wide)), np.uint8)
        if wide % 2 == 0:  # an even window has no middle pixel: OpenCV shifts the picture by half
            matrix = matrix @ np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    flat = cv2.warpAffine(gray, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, np.uint8)


def of_faces(table: Table) -> tuple[ImageArray, FloatArray]:
    """Patches (N, 96, 96) and the landmarks in them, (N, 68, 2) in pixels of the patch."""
    patches = np.empty((len(table), SIDE, SIDE), np.uint8)
    points = np.empty((len(table), POINTS, 2), np.float32)
    for i, (row, picture) in enumerate(zip(table.rows, table.pictures(), strict=True)):
        placed = np.array(row.landmarks, np.float32).reshape(POINTS, 2)
        centre, side = patch_square(bounds(placed))
        gray = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        matrix = geometry.turned_square(centre, side, 0.0, SIDE)
        patches[i] = _cut(gray, matrix, side / SIDE)
        points[i] = geometry.transform(matrix, placed)
    return patches, points
