"""Boxes -> 68 landmarks and a face-or-not score, through ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import geometry
from ..face import Crop, FloatArray, Frame
from ..media import preprocess
from ..weights import session
from . import align
from .landmarks import NET_FRAMING, NET_SIDE, POINTS, leveled_box

NAME, INPUT = "landmarks68", "face"
_INPUT = preprocess.Preprocess(NET_SIDE, "gray")
_CHUNK = 64  # crops at once
_NEAR = 0.08  # of a box's side: from where it was expected, a face errs by less than it trembles


@dataclass(frozen=True, slots=True)
class Placed:
    """What the network says of N faces.

    points : (N, 68, 2) float32, x y in pixels of the frame, iBUG's order.
    scores : (N,) float32 in [0, 1], whether there is a face.
    """

    points: FloatArray
    scores: FloatArray


class Landmarker(session.Network):
    """The shipped landmark network; raises WeightsMissing or ModelError.

    It looks twice. First at a square around the box it is given, which only has to be about right;
    then, where that may be a face, at one around the points it saw, turned level. Two looks err
    differently, so the points are their mean, in which the better second counts twice.
    """

    def __init__(self, threads: int = 1) -> None:
        super().__init__(NAME, threads)

    def look(self, frame: Frame, squares: FloatArray, rolls: Sequence[float]) -> Placed:
        """One look at each square (N, 4) of a frame, turned by its roll in radians."""
        crops = [turned(square, turn) for square, turn in zip(squares, rolls, strict=True)]
        points = np.empty((len(crops), POINTS, 2), np.float32)
        logits = np.empty(len(crops), np.float32)
        for start in range(0, len(crops), _CHUNK):
            part = slice(start, start + _CHUNK)
            points[part], logits[part] = self._session.run(None, {INPUT: seen(frame, crops[part])})
        for i, crop in enumerate(crops):
            points[i] = geometry.transform(_to_frame(crop), points[i])
        return Placed(points, np.asarray(1 / (1 + np.exp(-logits)), np.float32))

    def place(
        self,
        frame: Frame,
        boxes: FloatArray,
        rolls: Sequence[float] | None = None,
        least: float = 0.0,
    ) -> Placed:
        """Two looks at the faces whose landmarks are expected in boxes (N, 4).

        rolls : how far each is taken to be turned, in radians; level without. Where the first
        look's score is below ``least`` there is no second.
        """
        first = self.look(frame, squares(boxes), rolls or [0.0] * len(boxes))
        again = np.flatnonzero(first.scores >= least)
        level = [leveled_box(first.points[i]) for i in again]
        around = np.array([box for box, _ in level], np.float32).reshape(-1, 4)
        second = self.look(frame, squares(around), [turn for _, turn in level])
        points, scores = first.points.copy(), first.scores.copy()
        points[again] = (first.points[again] + 2 * second.points) / 3
        scores[again] = np.minimum(first.scores[again], second.scores)
        return Placed(points, scores)

    def again(self, frame: Frame, boxes: FloatArray, rolls: Sequence[float]) -> Placed:
        """Where the landmarks are now that are expected in boxes (N, 4), turned by their rolls.

        The expectation is taken to be good, as from the frame before: one look is enough for all
        but those that moved.
        """
        first = self.look(frame, squares(boxes), rolls)
        level = [leveled_box(points) for points in first.points]
        far = [i for i, (box, _) in enumerate(level) if _is_far(box, boxes[i])]
        if not far:
            return first
        around = np.array([level[i][0] for i in far])
        second = self.look(frame, squares(around), [level[i][1] for i in far])
        points, scores = first.points.copy(), first.scores.copy()
        points[far] = second.points
        scores[far] = np.minimum(first.scores[far], second.scores)
        return Placed(points, scores)


def _to_frame(crop: Crop) -> geometry.Matrix:
    """From the network's coordinates, shares of a crop's side, to points of the frame."""
    (a, b, x), (c, d, y) = geometry.inverse(crop.matrix).tolist()
    # Whole coordinates are in the middle of a pixel, the network's 0 is at its edge.
    x, y = x - (a + b) / 2, y - (c + d) / 2
    return np.array([[a * NET_SIDE, b * NET_SIDE, x], [c * NET_SIDE, d * NET_SIDE, y]])


def _is_far(box: FloatArray, expected: FloatArray) -> bool:
    """Whether landmarks lie so far from where they were expected that a second look is better."""
    x0, y0, x1, y1 = box.tolist()
    u0, v0, u1, v1 = expected.tolist()
    moved = math.hypot(x0 + x1 - u0 - u1, y0 + y1 - v0 - v1) / 2
    return bool(moved > _NEAR * max(u1 - u0, v1 - v0))


def seen(frame: Frame, crops: Sequence[Crop]) -> FloatArray:
    """What the network gets of a frame, (N, 1, 64, 64) gray levels."""
    return preprocess.batch([align.cut(frame, crop, gray=True) for crop in crops], _INPUT)


def turned(square: FloatArray, turn: float) -> Crop:
    """The crop of a square (4,) turned by so many radians."""
    x0, y0, x1, y1 = square.tolist()
    centre, side = ((x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5), x1 - x0
    return Crop(geometry.turned_square(centre, max(side, 1.0), turn, NET_SIDE), NET_SIDE)


def squares(boxes: FloatArray) -> FloatArray:
    """The squares (N, 4) the network looks at for boxes (N, 4) around landmarks."""
    return np.array([geometry.square(box, NET_FRAMING) for box in boxes], np.float32).reshape(-1, 4)
