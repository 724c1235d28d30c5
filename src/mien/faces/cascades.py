"""What OpenCV's cascades take for a face, and where the landmarks of one lie in their windows.

Every single window counts here, not only where several neighbours agree, which is how a cascade
usually answers: what a cascade falls for is what a network should learn to tell from a face.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..errors import ModelError
from ..face import FloatArray, ImageArray
from .landmarks import Inset

_CASCADES = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")
_SMALLEST = 24  # pixels: both cascades' own windows are smaller
SMALLEST_SHARE = 0.05  # of the longer side; a face smaller than that says little

INSET = Inset(side=0.9, drop=0.145)
"""Of the landmarks in a cascade's window."""


def read(name: str) -> cv2.CascadeClassifier:
    """One of the cascades that come with OpenCV; raises ModelError where it is not there."""
    file = Path(cv2.__file__).parent / "data" / name
    cascade = cv2.CascadeClassifier(str(file))
    if cascade.empty():
        raise ModelError(f"OpenCV lacks {file}; pip install 'opencv-python-headless<5'")
    return cascade


class Cascades:
    """OpenCV's two best frontal cascades; each is taken in by other things than the other."""

    def __init__(self) -> None:
        self._cascades = [read(name) for name in _CASCADES]

    def windows(self, gray: ImageArray, step: float) -> FloatArray:
        """Every window let through, x0 y0 x1 y1, (N, 4); ``step`` from one size to the next."""
        least = max(_SMALLEST, round(SMALLEST_SHARE * max(gray.shape)))
        if min(gray.shape) < least:
            return np.empty((0, 4), np.float32)
        found = [c.detectMultiScale(gray, step, 0, minSize=(least, least)) for c in self._cascades]
        boxes = np.concatenate([np.reshape(f, (-1, 4)) for f in found]).astype(np.float32)
        boxes[:, 2:] += boxes[:, :2]
        # OpenCV's threads find them in any order; the same picture must give the same windows.
        return boxes[np.lexsort(boxes.T)]
