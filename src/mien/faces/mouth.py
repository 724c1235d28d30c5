"""The mouth as Viola and Jones's method finds it, without landmarks: what Biondi et al. (2019) did.

A mouth is searched in the lower half of a face's box. It is there to rebuild that paper, and to
count what it lost before its network saw a picture; ``align.mouth`` cuts one from landmarks.
"""

from __future__ import annotations

from threading import Lock

import cv2
import numpy as np

from .. import geometry
from ..errors import ModelError
from ..face import Face, FloatArray, Frame
from ..weights import catalogue

# The face is searched at this size. On 336 faces of HELEN and AFW it fires on 82, 88 and 92 % at
# 120, 160 and 240 pixels, and the mouth's middle lies in 98, 98 and 95 % of those boxes.
_FACE_SIDE = 160
_STEP, _NEIGHBOURS = 1.1, 8


class HaarMouth:
    """Finds mouths; its file comes with ``mien models pull mouth-haar``.

    Raises WeightsMissing where the file is not there, ModelError where OpenCV cannot read it.
    """

    def __init__(self) -> None:
        path, _ = catalogue.read(catalogue.spec("mouth-haar"))
        self._cascade, self._lock = cv2.CascadeClassifier(str(path)), Lock()  # as Haar's
        if self._cascade.empty():
            raise ModelError(f"{path} is not a cascade that OpenCV can read")

    def find(self, frame: Frame, face: Face) -> FloatArray | None:
        """The box of a face's mouth, (4,) in pixels of the frame; None where it finds none.

        Of several the largest: it is right a little more often than the lowest.
        """
        box = geometry.clip(face.box, frame.width, frame.height)
        x0, y0, x1, y1 = np.rint([box[0], (box[1] + box[3]) / 2, box[2], box[3]]).astype(int)
        half = frame.rgb[y0:y1, x0:x1]
        if half.size == 0:
            return None
        scale = _FACE_SIDE / float((box[2:] - box[:2]).max())
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        gray = cv2.cvtColor(half, cv2.COLOR_RGB2GRAY)
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        seen = cv2.resize(gray, size, interpolation=how)
        with self._lock:
            found = self._cascade.detectMultiScale(seen, _STEP, _NEIGHBOURS)
        if len(found) == 0:
            return None
        x, y, width, height = max(found, key=lambda hit: hit[2])
        corners = np.array([[x, y], [x + width, y + height]]) / scale + np.array([x0, y0])
        return np.asarray(corners.ravel(), np.float32)
