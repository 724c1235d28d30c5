"""Viola and Jones's cascade (CVPR 2001), as OpenCV ships it: no file to fetch, always works."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import cv2
import numpy as np

from ...face import Face, Frame
from ...media.preprocess import shrink
from .. import cascades
from ..detect import best_first

_CASCADE = "haarcascade_frontalface_default.xml"
_LONGEST = 800  # the picture is searched at this size, so that time does not grow with megapixels
_SMALLEST = 24  # the cascade's own window
# OpenCV's own 1.1 and 3 find as many faces of LFW and one in a hundred more of HELEN and AFW, with
# as many false alarms, in 1.4 times the time (benchmarks/haar_settings.py).
_STEP, _NEIGHBOURS = 1.15, 2
_EVEN_WEIGHT = 3.0  # the cascade's last-stage sum at which hits and false alarms are as frequent
_LEAST_SCORE = 0.35


class Haar:
    """Upright frontal faces from about 5 % of the picture's longer side."""

    name = "haar"
    framing = 1.02
    inset = cascades.INSET

    def __init__(self) -> None:
        self._cascade, self._lock = cascades.read(_CASCADE), Lock()  # it is one thread's at a time

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        """Faces, best score first; the score is a logistic of the cascade's last-stage sum."""
        small, factor = shrink(frame.rgb, _LONGEST)
        gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        least = max(_SMALLEST, round(cascades.SMALLEST_SHARE * max(gray.shape)))
        if min(gray.shape) < least:
            return []
        with self._lock:
            found, _, weights = self._cascade.detectMultiScale3(
                gray, _STEP, _NEIGHBOURS, minSize=(least, least), outputRejectLevels=True
            )
        if len(found) == 0:
            return []
        boxes = np.asarray(found, np.float32) * factor
        boxes[:, 2:] += boxes[:, :2]
        scores = 1 / (1 + np.exp(_EVEN_WEIGHT - np.ravel(weights).astype(np.float32)))
        kept = scores >= _LEAST_SCORE
        return best_first(frame, boxes[kept], scores[kept], [None] * int(kept.sum()))
