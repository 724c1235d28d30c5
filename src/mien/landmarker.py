"""Boxes -> 68 landmarks and a face-or-not score, through ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import onnxruntime as ort

from . import align, geometry, weights
from .errors import ModelError
from .face import FloatArray, ImageArray
from .landmarks import POINTS, bounds, roll

SIDE = 64  # pixels of the network's input
FRAMING = 1.35
"""The network's square is this many times the longer side of the box around the landmarks."""

_CHUNK = 64  # crops at once
_NAME = "landmarks68"


@dataclass(frozen=True, slots=True)
class Placed:
    """What the network says of N squares.

    points : (N, 68, 2) float32, x y in pixels of the picture, iBUG's order.
    scores : (N,) float32 in [0, 1], whether there is a face.
    """

    points: FloatArray
    scores: FloatArray


class Landmarker:
    """The shipped landmark network.

    It looks twice. First at a square around the box it is given, which only has to be about right;
    then, where that may be a face, at one around the points it saw, turned level. The second look
    places the points.
    """

    def __init__(self, threads: int = 1) -> None:
        path, content = weights.read(weights.spec(_NAME))
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # its errors come as exceptions; the log repeats them
        try:
            self._session = ort.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as err:  # onnxruntime's own types share no public base class
            raise ModelError(f"{path} is not an ONNX model that can be loaded: {err}") from err

    def look(self, gray: ImageArray, squares: FloatArray, rolls: Sequence[float]) -> Placed:
        """One look at each square (N, 4), turned by its roll, of a gray picture (H, W) uint8."""
        matrices = [
            geometry.turned_square((s[:2] + s[2:]) / 2, float(s[2] - s[0]), r, SIDE)
            for s, r in zip(squares, rolls, strict=True)
        ]
        points = np.empty((len(matrices), POINTS, 2), np.float32)
        scores = np.empty(len(matrices), np.float32)
        for start in range(0, len(matrices), _CHUNK):
            part = slice(start, start + _CHUNK)
            crops = np.stack([align.warp(gray, m, SIDE) for m in matrices[part]])
            seen, logits = self._session.run(None, {"face": crops[:, None].astype(np.float32)})
            # Whole coordinates are in the middle of a pixel, the network's 0 is at its edge.
            places = zip(matrices[part], seen * SIDE - 0.5, strict=True)
            points[part] = [geometry.transform(geometry.inverse(m), p) for m, p in places]
            scores[part] = 1 / (1 + np.exp(-logits))
        return Placed(points, scores)

    def place(self, gray: ImageArray, boxes: FloatArray, least: float = 0.0) -> Placed:
        """Two looks at the faces expected in boxes (N, 4).

        A box is the one around a face's landmarks. Where the first look's score is below ``least``
        there is no second.
        """
        first = self.look(gray, squares(boxes), [0.0] * len(boxes))
        again = np.flatnonzero(first.scores >= least)
        level = [leveled(first.points[i]) for i in again]
        around = np.array([square for square, _ in level], np.float32).reshape(-1, 4)
        second = self.look(gray, around, [turned for _, turned in level])
        points, scores = first.points.copy(), first.scores.copy()
        points[again] = second.points
        scores[again] = np.minimum(first.scores[again], second.scores)
        return Placed(points, scores)


def squares(boxes: FloatArray) -> FloatArray:
    """The squares (N, 4) the network looks at for boxes (N, 4) around landmarks."""
    return np.array([geometry.square(box, FRAMING) for box in boxes], np.float32).reshape(-1, 4)


def leveled(points: FloatArray) -> tuple[FloatArray, float]:
    """The square around landmarks (68, 2) once they are turned level, and by how much."""
    turned = roll(points)
    level = geometry.turned_square(np.zeros(2), 1.0, turned, 1)
    box = bounds(geometry.transform(level, points))
    middle = geometry.transform(geometry.inverse(level), (box[:2] + box[2:]) / 2)
    half = FRAMING * float((box[2:] - box[:2]).max()) / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32), turned


def gray_of(rgb: ImageArray) -> ImageArray:
    """A picture (H, W, 3) as the network sees it, (H, W) uint8."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
