"""Sixty-eight points on a face in iBUG's order, and what follows from them.

The order is that of 300-W (Sagonas et al. 2013): 0..16 the jaw from the right ear over the
chin (8) to the left, 17..26 the brows, 27..30 the bridge of the nose down to its tip, 31..35 its
base, 36..41 the right eye, 42..47 the left eye, 48..59 the lips' outer line, 60..67 their inner
line. Left and right are the subject's. The papers count from 1; here everything counts from 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .. import geometry
from ..errors import ShapeError
from ..face import FloatArray

POINTS = 68
RIGHT_EAR, CHIN, LEFT_EAR = 0, 8, 16
BROWS = slice(17, 27)
NOSE = slice(27, 36)
NOSE_BRIDGE, NOSE_TIP = 27, 30  # between the eyes, and where it ends
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
RIGHT_EYE_CORNER, LEFT_EYE_CORNER = 36, 45  # the outer ones
MOUTH = slice(48, 68)
RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER = 48, 54

NET_SIDE = 64
"""Pixels of the square the landmark network looks at."""
NET_FRAMING = 1.35
"""That square's side, in longer sides of the box around the landmarks."""

FOREHEAD = 0.3
"""How far a face reaches above its brows, in heights of the box around its landmarks."""

MIRROR = np.array(
    [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *range(27, 31),  # bridge of the nose
        *range(35, 30, -1),  # its base
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
        *range(54, 47, -1),  # upper lip, outer line
        *range(59, 54, -1),  # lower lip, outer line
        *range(64, 59, -1),  # upper lip, inner line
        *range(67, 64, -1),  # lower lip, inner line
    ]
)
"""Which point of a face each point is in its mirror image."""


@dataclass(frozen=True, slots=True)
class Inset:
    """Where the box around a face's landmarks lies in what a detector calls its box.

    side : its longer side, in longer sides of the detector's box.
    drop : how much lower its middle lies, in the same.
    Near the medians over the 300-W training faces; benchmarks/landmarks.py has the cascades'.
    """

    side: float
    drop: float

    def of(self, box: FloatArray, turn: float = 0.0) -> FloatArray:
        """The square the landmarks are to be expected in, (4,), for a detector's box (4,).

        turn : how far the face is turned, in radians, clockwise as one looks at it.
        """
        down = self.drop * float((box[2:] - box[:2]).max())
        shift = np.array([-np.sin(turn), np.cos(turn)] * 2) * down
        return np.asarray(geometry.square(box, self.side) + shift, np.float32)


CROP = Inset(side=0.84, drop=0.12)
"""Of the landmarks in a picture that is one face, cut as FER2013's are (medians over them)."""


def check(points: FloatArray) -> None:
    """Raise ShapeError unless ``points`` is (68, 2)."""
    if points.shape != (POINTS, 2):
        raise ShapeError(f"landmarks are (68, 2) x y in pixels, got an array of {points.shape}")


def eye_centres(points: FloatArray) -> FloatArray:
    """The middles of right and left eye, (2, 2), each the mean of its six points."""
    both = points[RIGHT_EYE.start : LEFT_EYE.stop].reshape(2, -1, 2)
    return np.asarray(np.add.reduce(both, 1) / 6, points.dtype)


def five(points: FloatArray) -> FloatArray:
    """Right eye, left eye, nose tip, right and left corner of the mouth, (5, 2)."""
    corners = points[[NOSE_TIP, RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER]]
    return np.concatenate([eye_centres(points), corners])


def interocular(points: FloatArray) -> float:
    """The distance between the outer corners of the eyes, what 300-W divides errors by."""
    between = points[LEFT_EYE_CORNER] - points[RIGHT_EYE_CORNER]
    return float(np.hypot(between[0], between[1]))


def roll(points: FloatArray) -> float:
    """How far the line of the eyes is turned, in radians; positive is clockwise as one looks at it.

    Examples
    --------
    >>> face = np.zeros((68, 2), np.float32)
    >>> face[LEFT_EYE] = [10, 10]
    >>> round(float(np.degrees(roll(face))))
    45
    """
    both = points[RIGHT_EYE.start : LEFT_EYE.stop].reshape(2, -1, 2)
    (x0, y0), (x1, y1) = np.add.reduce(both, 1).tolist()
    return math.atan2(y1 - y0, x1 - x0)


def bounds(points: FloatArray) -> FloatArray:
    """The upright box around points (N, 2), x0 y0 x1 y1, (4,)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32)


def leveled_box(points: FloatArray) -> tuple[FloatArray, float]:
    """The box around landmarks turned level, upright about the same middle, and the turn undone.

    The box is (4,), x0 y0 x1 y1; the turn in radians, clockwise as one looks at it.
    """
    return _leveled(points, forehead=0.0)


def face_box(points: FloatArray) -> FloatArray:
    """The box of a face (4,): around its landmarks, and ``FOREHEAD`` of their height above them."""
    return _leveled(points, FOREHEAD)[0]


def _leveled(points: FloatArray, forehead: float) -> tuple[FloatArray, float]:
    turn = roll(points)
    cos, sin = math.cos(turn), math.sin(turn)
    turned = np.array([[cos, sin], [-sin, cos]]) @ points.T  # (2, 68)
    left, top = np.minimum.reduce(turned, 1).tolist()
    right, bottom = np.maximum.reduce(turned, 1).tolist()
    top -= forehead * (bottom - top)
    wide, high = (right - left) / 2, (bottom - top) / 2
    # Points count from the middle of a pixel, boxes from its edge.
    x = cos * (left + wide) - sin * (top + high) + 0.5
    y = sin * (left + wide) + cos * (top + high) + 0.5
    return np.array([x - wide, y - high, x + wide, y + high], np.float32), turn
