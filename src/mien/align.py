"""From a face to the crop its expression is read from."""

from __future__ import annotations

import numpy as np

from . import geometry
from .face import Face, FloatArray, Frame, ImageArray


def crop_box(face: Face, framing: float) -> FloatArray:
    """The square around a face that the recogniser sees, (4,) in pixels of the frame.

    It may reach outside the picture. ``framing`` is the detector's own: how many times the
    box's longer side.
    """
    return geometry.square(face.box, framing)


def cut(frame: Frame, box: FloatArray) -> ImageArray:
    """The square ``box`` of a frame, (S, S, 3) uint8; outside the picture its border repeats."""
    side = max(1, round(float(box[2] - box[0])))
    x0, y0 = round(float(box[0])), round(float(box[1]))
    x1, y1 = x0 + side, y0 + side
    if x0 >= 0 and y0 >= 0 and x1 <= frame.width and y1 <= frame.height:
        return frame.rgb[y0:y1, x0:x1]
    rows = np.arange(y0, y1).clip(0, frame.height - 1)
    columns = np.arange(x0, x1).clip(0, frame.width - 1)
    return frame.rgb.take(rows, axis=0).take(columns, axis=1)


def share_inside(frame: Frame, box: FloatArray) -> float:
    """What part of a box lies inside the picture, in [0, 1]."""
    visible = geometry.clip(box, frame.width, frame.height)
    area = float((box[2] - box[0]) * (box[3] - box[1]))
    return float((visible[2] - visible[0]) * (visible[3] - visible[1])) / area
