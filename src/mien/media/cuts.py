"""Where one scene ends and the next begins."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..face import FloatArray, Frame

_SIZE = (32, 18)  # of the thumbnail that is compared, width and height
_SAMPLED = 4  # pixels a side taken of the frame for one of the thumbnail
_FLAT = 4.0  # a thumbnail whose gray levels deviate less shows nothing, as between two fades
_LEAST = 0.5  # of a cut: how unlike the frame before, where 0 is the same and 1 unrelated
_TIMES = 4.0  # as large as the changes before it: a shaking camera is no cut
_RECENT = 0.8  # what the mean of the changes before keeps at each frame


class Cuts:
    """Says of each frame, in order, whether a new scene begins with it.

    Frames are compared as thumbnails freed of brightness and contrast, so that a lamp switched on
    is no cut. A cut differs from the frame before it, and by much more than the frames before did
    from one another. Cross-fades are not seen.
    """

    def __init__(self) -> None:
        self._last: FloatArray | None = None
        self._usual = 0.0

    def at(self, frame: Frame) -> bool:
        """Whether the scene of the frame before has ended; True for the first frame."""
        now = _thumbnail(frame)
        if now is None:
            return False
        last, self._last = self._last, now
        if last is None:
            return True
        change = 1.0 - float(np.vdot(last, now)) / now.size
        cut = change > max(_LEAST, _TIMES * self._usual)
        self._usual = round(_RECENT * self._usual + (1 - _RECENT) * change, 9)
        return cut

    def state(self) -> dict[str, Any]:
        """All there is to go on with later, as JSON holds it."""
        return {
            "thumbnail": None if self._last is None else self._last.tolist(),
            "usual": self._usual,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Cuts:
        cuts = cls()
        if state["thumbnail"] is not None:
            cuts._last = np.array(state["thumbnail"], np.float32)
        cuts._usual = state["usual"]
        return cuts


def _thumbnail(frame: Frame) -> FloatArray | None:
    """Gray levels of mean 0 and deviation 1; None of a picture that shows nothing."""
    width, height = (side * _SAMPLED for side in _SIZE)
    down, right = max(1, frame.height // height), max(1, frame.width // width)
    # Gray first: single bytes are picked out of a row four times as fast as pixels of three.
    gray = np.ascontiguousarray(cv2.cvtColor(frame.rgb[::down], cv2.COLOR_RGB2GRAY)[:, ::right])
    small = cv2.resize(gray, _SIZE, interpolation=cv2.INTER_AREA)
    mean, spread = (float(told[0, 0]) for told in cv2.meanStdDev(small))
    return np.asarray((small - np.float32(mean)) / np.float32(spread)) if spread >= _FLAT else None
