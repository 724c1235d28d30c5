"""mien's own detector: cascades propose, the landmark network decides and places the points."""

from __future__ import annotations

from collections.abc import Iterator
from math import radians

import cv2
import numpy as np

from .. import geometry
from ..detect import best_first, detectors, shrink
from ..face import Face, FloatArray, Frame, ImageArray
from ..landmarker import Landmarker, Placed
from ..landmarks import face_box
from ..later import Later
from ..proposals import INSET, Cascades, all_over, group

_LONGEST = 640  # the picture is searched at this size, so that time does not grow with megapixels
_STEP = 1.2  # from one size of window to the next; the network mends what lies between
_MAYBE, _FACE = 0.1, 0.5  # scores worth a second look, and of a face
_TURNED = (radians(-30), radians(30))
_LONGEST_TURNED = 400  # tilted heads are looked for among the larger ones only


@detectors.register("mien")
class Mien:
    """Faces from about 5 % of the picture's longer side, turned and tilted ones too.

    The cascades propose. Where none of that is a face, the network looks at large squares all over
    the picture, since cascades miss portraits in odd light; where that fails, too, at what the
    cascades say of the picture turned to either side.
    """

    name = "mien"
    framing = 0.92
    inset = INSET

    def __init__(self) -> None:
        # Both are files to read; the picture is, too, meanwhile.
        self._landmarker = Later(Landmarker)
        self._cascades = Later(Cascades)

    def detect(self, frame: Frame) -> list[Face]:
        """Faces, best score first, each with its landmarks."""
        upright = self._decide(frame, self._proposed(frame), 0.0)
        return (
            upright
            or self._decide(frame, all_over(frame.width, frame.height), 0.0)
            or self._tilted(frame)
        )

    def _proposed(self, frame: Frame) -> FloatArray:
        """Where the cascades' windows expect landmarks, (N, 4)."""
        gray, factor = _small(frame, _LONGEST)
        windows = group(self._cascades.get().windows(gray, _STEP)) * factor
        return np.array([INSET.of(box) for box in windows], np.float32).reshape(-1, 4)

    def _tilted(self, frame: Frame) -> list[Face]:
        gray, factor = _small(frame, _LONGEST_TURNED)
        for turn in _TURNED:
            boxes = [INSET.of(box * factor, turn) for box in self._windows_turned(gray, turn)]
            faces = self._decide(frame, np.array(boxes, np.float32).reshape(-1, 4), turn)
            if faces:
                return faces
        return []

    def _windows_turned(self, gray: ImageArray, turn: float) -> Iterator[FloatArray]:
        """Windows on a turned copy of the picture, as upright squares around the same middles."""
        side = int(np.hypot(*gray.shape))
        middle = np.array(gray.shape[::-1]) / 2 - 0.5
        matrix = geometry.turned_square(middle, side, turn, side)
        turned = cv2.warpAffine(gray, matrix, (side, side))
        back = geometry.inverse(matrix)
        for box in group(self._cascades.get().windows(np.asarray(turned, np.uint8), _STEP)):
            centre = geometry.transform(back, (box[:2] + box[2:]) / 2)
            half = (box[2:] - box[:2]) / 2
            yield np.concatenate([centre - half, centre + half])

    def _decide(self, frame: Frame, boxes: FloatArray, turn: float) -> list[Face]:
        """The faces whose landmarks lie about in boxes (N, 4), turned so far."""
        placed = self._landmarker.get().place(frame, boxes, [turn] * len(boxes), _MAYBE)
        return _faces(frame, placed)


def _small(frame: Frame, longest: int) -> tuple[ImageArray, float]:
    small, factor = shrink(frame.rgb, longest)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8), factor


def _faces(frame: Frame, placed: Placed) -> list[Face]:
    """Faces with their landmarks, overlaps suppressed, from what the network said."""
    kept = placed.scores >= _FACE
    points = placed.points[kept]
    boxes = np.array([face_box(p) for p in points], np.float32).reshape(-1, 4)
    return best_first(frame, boxes, placed.scores[kept], list(points))
