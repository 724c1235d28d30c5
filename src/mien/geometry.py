"""Boxes, points and the transforms between pictures, in pure NumPy.

Boxes are x0 y0 x1 y1 in pixels, x1 and y1 exclusive: they count the edges between pixels. Points,
and the matrices that move them, have whole coordinates in the middle of a pixel, as in OpenCV and
in 300-W's files: a picture reaches from -.5 to its width less .5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ShapeError
from .face import FloatArray

Points = npt.NDArray[Any]
Matrix = npt.NDArray[np.float64]


def iou(box: FloatArray, boxes: FloatArray) -> FloatArray:
    """Intersection over union of one box (4,) with many (N, 4), in [0, 1]; any that broadcast.

    Examples
    --------
    >>> a = np.array([0, 0, 10, 10], np.float32)
    >>> iou(a, np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)).round(3)
    array([1.   , 0.333, 0.   ], dtype=float32)
    """
    size = np.minimum(box[..., 2:], boxes[..., 2:]) - np.maximum(box[..., :2], boxes[..., :2])
    both = _area(np.maximum(size, 0))
    either = _area(box[..., 2:] - box[..., :2]) + _area(boxes[..., 2:] - boxes[..., :2]) - both
    return np.asarray(both / np.maximum(either, 1e-9), np.float32)  # a box may have no area


def _area(sides: FloatArray) -> FloatArray:
    return np.asarray(sides[..., 0] * sides[..., 1])


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
        nested = holds(others, middles[i]) | holds(box[None], middles[kept])
        if not (nested.any() or (iou(box, others) > overlap).any()):
            kept.append(int(i))
    return np.array(kept, dtype=np.intp)


def alike(box: FloatArray, boxes: FloatArray, overlap: float) -> npt.NDArray[np.bool_]:
    """Which of many boxes (N, 4) are where one (4,) is: each of them holds the other's middle.

    Or they overlap by more than ``overlap`` (intersection over union).
    """
    middles = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)
    middle = np.asarray((box[:2] + box[2:]) / 2, np.float32)
    nested = holds(boxes, middle) & holds(box[None], middles)
    return np.asarray(nested | (iou(box, boxes) > overlap), np.bool_)


def holds(boxes: FloatArray, points: FloatArray) -> npt.NDArray[np.bool_]:
    """Which of boxes (N, 4) hold points (N, 2), one each; one of either stands for many."""
    inside = (boxes[..., :2] <= points) & (points < boxes[..., 2:])
    return np.asarray(inside[..., 0] & inside[..., 1], np.bool_)


def is_in(point: Sequence[float], box: Sequence[float]) -> bool:
    """Whether a box of plain numbers holds a point."""
    return box[0] <= point[0] < box[2] and box[1] <= point[1] < box[3]


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes of plain numbers, in [0, 1].

    Examples
    --------
    >>> overlap((0, 0, 10, 10), (5, 0, 15, 10))
    0.3333333333333333
    """
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return wide * high / (areas - wide * high)


def clip(box: Sequence[float] | FloatArray, width: int, height: int) -> FloatArray:
    """The part of a box inside a picture, (4,) float32."""
    x0, y0, x1, y1 = box
    across = [min(max(x, 0), width) for x in (x0, x1)]
    down = [min(max(y, 0), height) for y in (y0, y1)]
    return np.array([across[0], down[0], across[1], down[1]], np.float32)


def square(box: FloatArray, scale: float) -> FloatArray:
    """A square around a box's middle, its side ``scale`` times the box's longer one."""
    x0, y0, x1, y1 = box.tolist()
    x, y, half = (x0 + x1) / 2, (y0 + y1) / 2, scale * max(x1 - x0, y1 - y0) / 2
    return np.array([x - half, y - half, x + half, y + half], np.float32)


def turned_square(
    centre: Points | tuple[float, float], side: float, roll_rad: float, size: int
) -> Matrix:
    """The (2, 3) matrix that takes a turned square of a frame to ``size`` x ``size`` pixels.

    ``centre`` goes to the middle of the crop. ``roll_rad`` is how far the square is turned,
    clockwise as one looks at it.

    Examples
    --------
    >>> turned_square(np.array([10, 20]), 8, 0.0, 4)
    array([[ 0.5,  0. , -3.5],
           [-0. ,  0.5, -8.5]])
    """
    cos, sin = math.cos(roll_rad) * size / side, math.sin(roll_rad) * size / side
    (x, y), middle = map(float, centre), (size - 1) / 2  # plain numbers: it is done for each look
    across, down = middle - (cos * x + sin * y), middle - (cos * y - sin * x)
    return np.array([[cos, sin, across], [-sin, cos, down]])


def transform(matrix: Matrix, points: Points) -> FloatArray:
    """Points (..., 2) under a (2, 3) matrix."""
    moved = points @ matrix[:, :2].T
    moved += matrix[:, 2]
    return np.asarray(moved, np.float32)


def inverse(matrix: Matrix) -> Matrix:
    """The (2, 3) matrix that takes back what ``matrix`` does; raises ShapeError where none can."""
    (a, b, x), (c, d, y) = matrix.tolist()
    area = a * d - b * c
    if not (all(map(math.isfinite, (a, b, x, c, d, y))) and abs(area) >= 1e-12):
        raise ShapeError(f"no transform takes back {matrix.tolist()}")
    right, down = (b * y - d * x) / area, (c * x - a * y) / area
    return np.array([[d / area, -b / area, right], [-c / area, a / area, down]])


def similarity(src: Points, dst: Points) -> Matrix:
    """The rotation, one scale and shift that take ``src`` nearest to ``dst``, (2, 3).

    Least squares over matching points (N, 2), N >= 2 (Umeyama 1991, eq. 40-43). A face is neither
    sheared nor mirrored: the width of a mouth against the distance of the eyes stays what it was.
    Raises ShapeError where ``src`` is one place, or anything is not finite.

    Examples
    --------
    >>> eyes = np.array([[30.0, 40.0], [70.0, 40.0]])
    >>> similarity(eyes, eyes * 2 + 5).round(6) + 0.0
    array([[2., 0., 5.],
           [0., 2., 5.]])
    """
    if src.shape != dst.shape or src.ndim != 2 or src.shape[1] != 2 or len(src) < 2:
        raise ShapeError(f"need two equal (N >= 2, 2) arrays, got {src.shape} and {dst.shape}")
    ours, theirs = src.tolist(), dst.tolist()  # plain numbers: most often of five points
    n = len(ours)
    our_x, our_y = sum(x for x, _ in ours) / n, sum(y for _, y in ours) / n
    their_x, their_y = sum(x for x, _ in theirs) / n, sum(y for _, y in theirs) / n
    # In a plane the paper's decomposition comes to two sums, and no mirror image is among what they
    # can give: it would swap the subject's left and right, and with them every expression that is
    # not symmetric.
    spread = cos = sin = 0.0
    for (x, y), (u, v) in zip(ours, theirs, strict=True):
        x, y, u, v = x - our_x, y - our_y, u - their_x, v - their_y
        spread += x * x + y * y
        cos += x * u + y * v
        sin += x * v - y * u
    if not all(map(math.isfinite, (spread, cos, sin))):
        raise ShapeError("points must be finite")
    if spread < 1e-9:
        raise ShapeError("all points lie in one place: no transform follows from them")
    cos, sin = cos / spread, sin / spread
    return np.array(
        [
            [cos, -sin, their_x - cos * our_x + sin * our_y],
            [sin, cos, their_y - sin * our_x - cos * our_y],
        ]
    )


def area_inside(polygon: Points, box: Points) -> float:
    """The area of the part of a convex polygon (N, 2) inside a box (4,), in square pixels.

    Both count from the same place. One side of the box after the other cuts off what lies beyond
    it (Sutherland and Hodgman 1974).
    """
    left = np.asarray(polygon, np.float64)
    for side, sign in enumerate((1, 1, -1, -1)):
        left = _cut_off(left, sign * (left[:, side % 2] - box[side]))
        if len(left) < 3:
            return 0.0
    x, y = (left - left[0]).T  # from a corner: products of large coordinates lose digits
    return float(abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2)


def _cut_off(polygon: Points, inwards: Points) -> Points:
    """The part of a polygon where ``inwards``, how far inside each corner lies, is not negative."""
    if (inwards >= 0).all():
        return polygon
    corners: list[Points] = []
    for i, here in enumerate(inwards):
        before = inwards[i - 1]
        if (here >= 0) != (before >= 0):
            share = before / (before - here)
            corners.append(polygon[i - 1] + share * (polygon[i] - polygon[i - 1]))
        if here >= 0:
            corners.append(polygon[i])
    return np.reshape(np.array(corners, np.float64), (-1, 2))
