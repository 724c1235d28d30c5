"""YuNet (Wu et al. 2023): a small network that finds turned and dark faces too."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import cv2
import numpy as np

from ...errors import ModelError
from ...face import Face, Frame, ImageArray
from ...media.preprocess import shrink
from ...weights import catalogue
from ..detect import best_first
from ..landmarks import Inset

_LONGEST = 640  # what it was trained at
_LEAST_SCORE, _OVERLAP, _MOST = 0.6, 0.3, 5000
_LEAST_SIDE = 64  # up to 32 pixels, one cell of its coarsest stride, OpenCV reads stray memory


class YuNet:
    """Turned and dark faces too; its file comes with ``mien models pull yunet``."""

    name = "yunet"
    framing = 1.01
    inset = Inset(side=0.81, drop=0.116)

    def __init__(self) -> None:
        path, _ = catalogue.read(catalogue.spec("yunet"))
        self._lock = Lock()  # the network keeps the size of the picture it is at
        try:
            self._net = cv2.FaceDetectorYN.create(
                str(path), "", (320, 320), _LEAST_SCORE, _OVERLAP, _MOST
            )
        except cv2.error as err:
            raise ModelError(f"{path} is not a model OpenCV can read: {err.err}") from err

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        """Faces, best score first."""
        small, factor = shrink(frame.rgb, _LONGEST)
        small = _at_least(small, _LEAST_SIDE)
        with self._lock:
            self._net.setInputSize((small.shape[1], small.shape[0]))
            found = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
        if found is None:
            return []
        # Columns: x y w h, five points that the landmark network does better, score.
        found = np.asarray(found, np.float32)
        boxes = found[:, :4] * factor
        boxes[:, 2:] += boxes[:, :2]
        scores = found[:, 14].clip(0, 1)
        return best_first(frame, boxes, scores, [None] * len(boxes))


def _at_least(picture: ImageArray, side: int) -> ImageArray:
    """The picture, black added on the right and below where it is smaller than ``side``."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)))
