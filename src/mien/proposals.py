"""Where a face might be: every window OpenCV's cascades let through, grouped.

A cascade usually answers only where several neighbouring windows agree, which loses turned and
dark faces. Here a single window is enough; ``landmarker.Landmarker`` then says which of them hold
a face. Few windows pass on a picture without people, so that costs little.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from .errors import ModelError
from .face import FloatArray, ImageArray
from .landmarks import Inset

# Each sees faces that the other misses. Small windows are most of the time, and the first is the
# quicker one, so it alone is asked for the smallest: in what parts of ``SMALLEST_SHARE``.
_CASCADES = {"haarcascade_frontalface_alt2.xml": 1.0, "haarcascade_frontalface_default.xml": 1.5}
_SMALLEST = 24  # pixels: both cascades' own windows are smaller
SMALLEST_SHARE = 0.05  # of the longer side; a face smaller than that says little
_ALIKE = 0.25  # windows whose borders differ by less than this share of their size are one group

_LARGE = (0.85, 0.6, 0.42)  # landmarks of a portrait, in shorter sides of the picture
_LONG = 3.0  # a picture so many times as long as it is wide is no portrait

INSET = Inset(side=0.9, drop=0.145)
"""Of the landmarks in a cascade's window."""


class Cascade:
    """One of OpenCV's cascades; raises ModelError where it is not there.

    larger : the smallest window it is asked for, in parts of the others'.
    """

    def __init__(self, file: Path, larger: float) -> None:
        self._cascade, self._larger = cv2.CascadeClassifier(str(file)), larger
        if self._cascade.empty():
            raise _lacks(file)

    def windows(
        self, gray: ImageArray, step: float, smallest: float = SMALLEST_SHARE
    ) -> FloatArray:
        """Every window let through, x0 y0 x1 y1, (N, 4); ``step`` from one size to the next.

        smallest : the least side of a window, in longer sides of the picture.
        """
        least = round(self._larger * max(_SMALLEST, round(smallest * max(gray.shape))))
        if min(gray.shape) < least:
            return np.empty((0, 4), np.float32)
        found = self._cascade.detectMultiScale(gray, step, 0, minSize=(least, least))
        boxes = np.reshape(found, (-1, 4)).astype(np.float32)
        boxes[:, 2:] += boxes[:, :2]
        # OpenCV's threads find them in any order; the same picture must give the same faces.
        return boxes[np.lexsort(boxes.T)]


def _lacks(file: Path) -> ModelError:
    return ModelError(f"OpenCV lacks {file}; pip install 'opencv-python-headless<5'")


class Cascades:
    """OpenCV's two best frontal cascades, the quicker one first; always there.

    Each is read when it is first asked for: that takes 10 ms, and often the first one is enough.
    Raises ModelError where one is not there.
    """

    def __init__(self) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._files = {folder / name: larger for name, larger in _CASCADES.items()}
        self._read: list[Cascade] = []
        for file in self._files:
            if not file.is_file():
                raise _lacks(file)

    def __iter__(self) -> Iterator[Cascade]:
        for i, (file, larger) in enumerate(self._files.items()):
            if i == len(self._read):
                self._read.append(Cascade(file, larger))
            yield self._read[i]

    def windows(
        self, gray: ImageArray, step: float, smallest: float = SMALLEST_SHARE
    ) -> FloatArray:
        """What any of them lets through, (N, 4)."""
        return np.concatenate([cascade.windows(gray, step, smallest) for cascade in self])


def group(boxes: FloatArray) -> FloatArray:
    """Boxes (N, 4) with those that lie alike averaged into one, (M, 4)."""
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).round()
    # OpenCV drops groups of one; with every box twice there are none.
    twice = np.concatenate([corners, corners]).astype(int).tolist()
    kept = np.asarray(cv2.groupRectangles(twice, 1, _ALIKE)[0], np.float32).reshape(-1, 4)
    kept[:, 2:] += kept[:, :2]
    return kept


def all_over(width: int, height: int) -> FloatArray:
    """Large squares all over a picture, near enough to one another for the network, (N, 4)."""
    shorter, longer = sorted((width, height))
    shares = _LARGE if longer < _LONG * shorter else ()
    squares = [
        (x, y, x + share * shorter, y + share * shorter)
        for share in shares
        for y in _starts(height, share * shorter)
        for x in _starts(width, share * shorter)
    ]
    return np.array(squares, np.float32).reshape(-1, 4)


def _starts(length: int, side: float) -> FloatArray:
    """Where squares of a side begin along a length, half a side apart at the most."""
    free = length - side
    return np.linspace(0, free, 1 + int(np.ceil(2 * free / side)), dtype=np.float32)
