"""mien's own detector: cascades propose, the landmark network decides and places the points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_UNPROPOSED = 0.95  # of a face that no cascade has proposed
_PORTRAIT = 0.18  # a large face, in longer sides of the picture
_TURNED = (radians(-30), radians(30))
_SMALLEST_TURNED = 0.12  # tilted heads are looked for among the larger ones only


@detectors.register("mien")
class Mien:
    """Faces from about 5 % of the picture's longer side, turned and tilted ones too.

    A cascade proposes; a second one, too, unless the first has found nothing but portraits: where a
    face is small there may be more. Where none of that is a face, the network looks at large
    squares all over the picture, since cascades miss portraits in odd light; where that fails, too,
    at what the cascades say of the picture turned to either side.
    """

    name = "mien"
    framing = 0.98
    inset = INSET

    def __init__(self) -> None:
        self._cascades = Cascades()
        self._landmarker = Later(Landmarker, begin=False)

    def detect(self, frame: Frame) -> list[Face]:
        """Faces, best score first, each with its landmarks."""
        self._landmarker.begin()
        return self._proposed(frame) or self._unproposed(frame) or self._tilted(frame)

    def _proposed(self, frame: Frame) -> list[Face]:
        """What the cascades propose and the network takes for faces."""
        gray, factor = _small(frame)
        placed: list[Placed] = []
        faces: list[Face] = []
        for cascade in self._cascades:
            windows = group(cascade.windows(gray, _STEP)) * factor
            placed.append(self._decide(frame, [INSET.of(box) for box in windows], 0.0))
            faces = _faces(frame, *placed)
            if _are_portraits(faces, frame):
                break
        return faces

    def _unproposed(self, frame: Frame) -> list[Face]:
        """What the network takes for faces among large squares all over the picture."""
        placed = self._decide(frame, list(all_over(frame.width, frame.height)), 0.0)
        return _faces(frame, placed, least=_UNPROPOSED)

    def _tilted(self, frame: Frame) -> list[Face]:
        gray, factor = _small(frame)
        for turn in _TURNED:
            boxes = [INSET.of(box * factor, turn) for box in self._windows_turned(gray, turn)]
            faces = _faces(frame, self._decide(frame, boxes, turn))
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
        windows = self._cascades.windows(np.asarray(turned, np.uint8), _STEP, _SMALLEST_TURNED)
        for box in group(windows):
            centre = geometry.transform(back, (box[:2] + box[2:]) / 2)
            half = (box[2:] - box[:2]) / 2
            yield np.concatenate([centre - half, centre + half])

    def _decide(self, frame: Frame, boxes: Sequence[FloatArray], turn: float) -> Placed:
        """What the network says where landmarks lie about in boxes (N, 4), turned so far."""
        rows = np.array(boxes, np.float32).reshape(-1, 4)
        return self._landmarker.get().place(frame, rows, [turn] * len(rows), _MAYBE)


def _small(frame: Frame) -> tuple[ImageArray, float]:
    """The frame in gray at the size it is searched at, and the factor back."""
    small, factor = shrink(frame.rgb, _LONGEST)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8), factor


def _faces(frame: Frame, *placed: Placed, least: float = _FACE) -> list[Face]:
    """Faces with their landmarks, overlaps suppressed, from what the network said."""
    scores = np.concatenate([part.scores for part in placed])
    points = np.concatenate([part.points for part in placed])[scores >= least]
    boxes = np.array([face_box(p) for p in points], np.float32).reshape(-1, 4)
    return best_first(frame, boxes, scores[scores >= least], list(points))


def _are_portraits(faces: Sequence[Face], frame: Frame) -> bool:
    """Whether there are faces, and every one of them is large in the picture."""
    least = _PORTRAIT * max(frame.width, frame.height)
    return bool(faces) and all(float((f.box[2:] - f.box[:2]).max()) >= least for f in faces)
