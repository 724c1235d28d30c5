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
from ..proposals import INSET, Cascades, group

_LONGEST = 640  # the picture is searched at this size, so that time does not grow with megapixels
_STEP = 1.2  # from one size of window to the next; the network mends what lies between
_MAYBE, _FACE = 0.1, 0.5  # scores worth a second look, and of a face
_TURNED = (radians(-30), radians(30))  # where no upright face is, heads may be tilted


@detectors.register("mien")
class Mien:
    """Faces from about 5 % of the picture's longer side, turned and tilted ones too."""

    name = "mien"
    framing = 0.92
    inset = INSET

    def __init__(self) -> None:
        self._landmarker = Later(Landmarker)
        self._cascades = Cascades()

    def detect(self, frame: Frame) -> list[Face]:
        """Faces, best score first, each with its landmarks."""
        small, factor = shrink(frame.rgb, _LONGEST)
        gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        boxes = group(self._cascades.windows(gray, _STEP)) * factor
        return self._decide(frame, boxes, 0.0) or self._tilted(frame, gray, factor)

    def _tilted(self, frame: Frame, gray: ImageArray, factor: float) -> list[Face]:
        for turn in _TURNED:
            boxes = np.array(list(self._windows_turned(gray, turn)), np.float32).reshape(-1, 4)
            faces = self._decide(frame, boxes * factor, turn)
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
        for box in group(self._cascades.windows(np.asarray(turned, np.uint8), _STEP)):
            centre = geometry.transform(back, (box[:2] + box[2:]) / 2)
            half = (box[2:] - box[:2]) / 2
            yield np.concatenate([centre - half, centre + half])

    def _decide(self, frame: Frame, windows: FloatArray, turn: float) -> list[Face]:
        boxes = np.array([INSET.of(box, turn) for box in windows], np.float32).reshape(-1, 4)
        placed = self._landmarker.get().place(frame, boxes, [turn] * len(boxes), _MAYBE)
        return faces_of(frame, placed, _FACE)


def faces_of(frame: Frame, placed: Placed, least: float) -> list[Face]:
    """Faces with their landmarks, overlaps suppressed, from what the network said."""
    kept = placed.scores >= least
    points = placed.points[kept]
    boxes = np.array([face_box(p) for p in points], np.float32).reshape(-1, 4)
    return best_first(frame, boxes, placed.scores[kept], list(points))
