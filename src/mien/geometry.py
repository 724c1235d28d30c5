"""Boxes, in pure NumPy: x0 y0 x1 y1 in pixels, x1 and y1 exclusive."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .face import FloatArray

Matrix = npt.NDArray[np.float64]


def iou(box: FloatArray, boxes: FloatArray) -> FloatArray:
    """Intersection over union of one box (4,) with many (N, 4), in [0, 1].

    Examples
    --------
    >>> a = np.array([0, 0, 10, 10], np.float32)
    >>> iou(a, np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)).round(3)
    array([1.   , 0.333, 0.   ], dtype=float32)
    """
    size = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    both = size.clip(min=0).prod(axis=1)
    either = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - both
    return np.asarray(both / np.maximum(either, 1e-9), np.float32)  # a box may have no area


def suppress(boxes: FloatArray, scores: FloatArray, overlap: float) -> npt.NDArray[np.intp]:
    """Non-maximum suppression: indices of the boxes to keep, best score first.

    A box goes when a better one overlaps it by more than ``overlap`` (intersection over union),
    or when either holds the other's middle: two detections inside one another are one face.
    """
    order = np.argsort(-scores, kind="stable")
    middles = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)
    kept: list[int] = []
    for i in order:
        box, others = boxes[i], boxes[kept]
        nested = _holds(others, middles[i]) | _holds(box[None], middles[kept])
        if not (nested.any() or (iou(box, others) > overlap).any()):
            kept.append(int(i))
    return np.array(kept, dtype=np.intp)


def _holds(boxes: FloatArray, points: FloatArray) -> npt.NDArray[np.bool_]:
    inside = (boxes[:, :2] <= points) & (points < boxes[:, 2:])
    return np.asarray(inside.all(axis=1), np.bool_)


def clip(box: FloatArray, width: int, height: int) -> FloatArray:
    """The part of a box inside a picture."""
    return np.clip(box, 0, np.array([width, height, width, height])).astype(np.float32)


def square(box: FloatArray, scale: float) -> FloatArray:
    """A square around a box's middle, its side ``scale`` times the box's longer one."""
    middle = (box[:2] + box[2:]) / 2
    half = scale * float((box[2:] - box[:2]).max()) / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def turned_square(centre: npt.NDArray[Any], side: float, roll_rad: float, size: int) -> Matrix:
    """The (2, 3) matrix that takes a turned square of a frame to ``size`` x ``size`` pixels.

    A point has whole coordinates in the middle of a pixel, as in OpenCV; ``centre`` goes to the
    middle of the crop. ``roll_rad`` is how far the square is turned, clockwise as one looks at it.

    Examples
    --------
    >>> turned_square(np.array([10, 20]), 8, 0.0, 4)
    array([[ 0.5,  0. , -3.5],
           [-0. ,  0.5, -8.5]])
    """
    cos, sin = np.cos(roll_rad) * size / side, np.sin(roll_rad) * size / side
    turn = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([turn, (size - 1) / 2 - turn @ np.asarray(centre, np.float64)])


def transform(matrix: Matrix, points: FloatArray) -> FloatArray:
    """Points (..., 2) under a (2, 3) matrix."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def inverse(matrix: Matrix) -> Matrix:
    """The (2, 3) matrix that takes back what ``matrix`` does."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])
