"""From a face to the crop its expression is read from.

Each alignment is a pure function from a face's box or its sixty-eight points to a ``Crop``; which
is used has a name in ``ALIGNMENTS``. ``cut`` is the only place that takes pixels.

========== ========================================================================
box        a square around the detector's box, neither turned nor resized
similarity eyes, nose and mouth corners onto fixed places: one scale, turned level
xu2019     level eyes, borders at ears and chin, stretched to a square
mouth      a level square around the lips
========== ========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .. import geometry
from ..errors import ShapeError, UnknownName
from ..face import Crop, Face, FloatArray, Frame, ImageArray
from ..media.preprocess import halve, halvings
from . import landmarks

DEFAULT = "box"
"""What a model is fed whose file does not say otherwise."""

TEMPLATE = np.array(
    [[0.313, 0.395], [0.687, 0.395], [0.5, 0.588], [0.338, 0.777], [0.662, 0.777]], np.float64
)
"""Where ``similarity`` brings ``landmarks.five``, as shares of the crop's side.

The medians over FER2013's training pictures, the mean of left and right, so that a level face is
framed as the default model has seen it.
"""

MOUTH_MARGIN = 0.2
"""What ``mouth`` leaves free beyond the lips on either side, as a share of their longer side."""

_MOST_STRETCH = 4.0  # a face is never so much wider than high, or higher than wide
# Where a crop has fewer pixels than the frame has under it, the frame is halved as often as leaves
# this many times the crop's, warped at two to four times as fine as the crop, and averaged.
_FINE = 2.0
_EXACT = 1e-6  # what rounding may do to a matrix
_SMALLEST, _LARGEST = 1 / 8, 2.0  # of a box's longer side, what a crop of its face may have
_SPACING = 1.25  # of what warping samples, at most, in pixels: each counts about once


def box(around: FloatArray, framing: float) -> Crop:
    """The square about a box, ``framing`` times its longer side, in whole pixels of the frame."""
    square = geometry.square(around, framing)
    x0, y0 = round(float(square[0])), round(float(square[1]))
    side = max(1, round(float(square[2] - square[0])))
    return Crop(np.array([[1.0, 0, -x0], [0, 1, -y0]]), side)


def similarity(points: FloatArray, size: int) -> Crop:
    """Eyes, nose tip and mouth corners as near as can be to ``TEMPLATE``; never mirrored.

    Raises ShapeError for points that are not finite or all in one place, as the others do.
    """
    _check(points)
    matrix = geometry.similarity(landmarks.five(points), TEMPLATE * size - 0.5)
    geometry.inverse(matrix)  # raises where mirrored points leave no scale at all
    return Crop(matrix, size)


def xu2019(points: FloatArray, size: int = 128) -> Crop:
    """The alignment of Xu et al. (2019): eyes level, borders at ears and chin, stretched square.

    In the frame turned level by the centres of the eyes, points 1, 9 and 17 (as the paper counts)
    are the left, bottom and right border; the top lies so that the eyes are a third of the height
    below it. Width and height are scaled apart.
    """
    _check(points)
    level, turned = _levelled(points)
    left, right = turned[landmarks.RIGHT_EAR, 0], turned[landmarks.LEFT_EAR, 0]
    bottom = turned[landmarks.CHIN, 1]
    eyes = landmarks.eye_centres(turned).mean(axis=0)[1]
    top = (3 * eyes - bottom) / 2  # from (eyes - top) = (bottom - top) / 3
    return _between(level, np.array([left, top, right, bottom]), size)


def mouth(points: FloatArray, size: int = 64) -> Crop:
    """A square about the lips, level by the eyes, ``MOUTH_MARGIN`` free on either side."""
    _check(points)
    level, turned = _levelled(points)
    lips = landmarks.bounds(turned[landmarks.MOUTH])
    return _between(level, geometry.square(lips, 1 + 2 * MOUTH_MARGIN), size)


def _check(points: FloatArray) -> None:
    landmarks.check(points)
    if not math.isfinite(points.sum()):
        raise ShapeError("these points are no face: they are not finite")


def _levelled(points: FloatArray) -> tuple[geometry.Matrix, FloatArray]:
    """The rotation about the origin that levels the eyes, and the points under it."""
    level = geometry.turned_square(np.zeros(2), 1.0, landmarks.roll(points), 1)
    return level, geometry.transform(level, points)


def _between(level: geometry.Matrix, borders: geometry.Points, size: int) -> Crop:
    """What lies between x0 y0 x1 y1 of the levelled frame, on a square."""
    sides = np.asarray(borders[2:] - borders[:2], np.float64)
    if not (sides > 1e-3).all() or not sides.max() < _MOST_STRETCH * sides.min():
        raise ShapeError(f"these points are no face: {sides[0]:.1f} wide and {sides[1]:.1f} high")
    scale = size / sides
    matrix = scale[:, None] * level
    matrix[:, 2] -= scale * borders[:2] + 0.5  # a border is the edge of the first pixel
    return Crop(matrix, size)


_OF_POINTS: dict[str, Callable[[FloatArray, int], Crop]] = {
    "similarity": similarity,
    "xu2019": xu2019,
    "mouth": mouth,
}
ALIGNMENTS = ("box", *_OF_POINTS)


def known(name: str | None) -> str | None:
    """The same name; raises UnknownName for one that is no alignment's."""
    if name is not None and name not in ALIGNMENTS:
        raise UnknownName("alignment", name, ALIGNMENTS)
    return name


def place(face: Face, alignment: str, size: int, framing: float) -> Crop:
    """The crop of a face; ``box`` where it has no landmarks, or such as no face has.

    framing : the detector's own, for ``box``: how many times the box's longer side.
    """
    return of_landmarks(face, alignment, size) or box(face.box, framing)


def of_landmarks(face: Face, alignment: str, size: int) -> Crop | None:
    """The crop of a face by its landmarks; None for ``box``, and without such as a face has."""
    if alignment == "box" or face.landmarks is None:
        return None
    try:
        aligned = _OF_POINTS[alignment](face.landmarks, size)
    except ShapeError:
        return None
    return aligned if _is_of(aligned, face.box) else None


def _is_of(crop: Crop, around: FloatArray) -> bool:
    """Whether a crop can be of the face in a box: its middle in it, its size like it."""
    x0, y0, x1, y1 = around.tolist()
    half = (crop.size - 1) / 2
    # Points count from the middle of a pixel.
    x, y = (half * (u + v) + start + 0.5 for u, v, start in geometry.inverse(crop.matrix).tolist())
    longer = max(x1 - x0, y1 - y0)
    inside: bool = x0 <= x <= x1 and y0 <= y <= y1
    return inside and _SMALLEST * longer <= side(crop) <= _LARGEST * longer


def outline(crop: Crop) -> FloatArray:
    """The corners of a crop as points of its frame, (4, 2), clockwise from the upper left."""
    low, high = -0.5, crop.size - 0.5
    (a, b, x), (c, d, y) = geometry.inverse(crop.matrix).tolist()
    places = (low, low), (high, low), (high, high), (low, high)
    return np.array([[a * u + b * v + x, c * u + d * v + y] for u, v in places], np.float32)


def side(crop: Crop) -> float:
    """A crop's side in pixels of its frame; of one stretched to a square, the geometric mean."""
    (a, b, _), (c, d, _) = crop.matrix.tolist()
    return float(crop.size / math.sqrt(abs(a * d - b * c)))


def roll(crop: Crop) -> float:
    """How far a crop is turned in its frame, in radians, clockwise as one looks at it."""
    across, down, _ = crop.matrix[0].tolist()
    return math.atan2(down, across)


def share_inside(frame: Frame, crop: Crop) -> float:
    """What part of a crop lies inside the picture, in [0, 1]."""
    corners = outline(crop)
    right, down = frame.width - 0.5, frame.height - 0.5
    if all(-0.5 <= x <= right and -0.5 <= y <= down for x, y in corners.tolist()):
        return 1.0
    picture = np.array([-0.5, -0.5, right, down])
    return min(1.0, geometry.area_inside(corners, picture) / side(crop) ** 2)


def cut(frame: Frame, crop: Crop, gray: bool = False) -> ImageArray:
    """The pixels of a crop, (size, size, 3) uint8; outside the picture its border repeats.

    What is only shifted by whole pixels is copied. The rest is averaged where the crop has fewer
    pixels than the frame and interpolated where it has more.

    gray : (size, size) gray levels instead, of which all this takes a third of the time.
    """
    (a, b, x), (c, d, y) = crop.matrix.tolist()  # plain numbers: a search takes many crops
    left, top = round(x), round(y)
    if max(map(abs, (a - 1, b, x - left, c, d - 1, y - top))) < _EXACT:
        return _colored(_copied(frame, -left, -top, crop.size), gray)
    back = geometry.inverse(crop.matrix).tolist()
    shrinks = [math.hypot(u, v) for u, v in zip(*back, strict=True)][:2]  # frame pixels for one
    times = halvings(min(shrinks) / _FINE + _EXACT)
    (x0, y0), (x1, y1) = _window(frame, back, crop.size, 2**times)
    near = halve(_colored(frame.rgb[y0:y1, x0:x1], gray), times)
    # From the halved part's pixels, whose first has its middle at ox, oy of the frame.
    step = 2**times
    ox, oy = x0 + (step - 1) / 2, y0 + (step - 1) / 2
    across, down = (max(1, math.ceil(shrink / step / _SPACING)) for shrink in shrinks)
    matrix = np.array(
        [
            [across * a * step, across * b * step, across * (a * ox + b * oy + x + 0.5) - 0.5],
            [down * c * step, down * d * step, down * (c * ox + d * oy + y + 0.5) - 0.5],
        ]
    )
    size = (across * crop.size, down * crop.size)
    fine = cv2.warpAffine(near, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(fine, (crop.size, crop.size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _colored(rgb: ImageArray, gray: bool) -> ImageArray:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8) if gray else rgb


def _copied(frame: Frame, x0: int, y0: int, size: int) -> ImageArray:
    x1, y1 = x0 + size, y0 + size
    if x0 >= 0 and y0 >= 0 and x1 <= frame.width and y1 <= frame.height:
        return frame.rgb[y0:y1, x0:x1]
    rows = np.arange(y0, y1).clip(0, frame.height - 1)
    columns = np.arange(x0, x1).clip(0, frame.width - 1)
    return frame.rgb.take(rows, axis=0).take(columns, axis=1)


def _window(
    frame: Frame, back: Sequence[Sequence[float]], size: int, whole: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The part of a frame under a crop of ``size``, upper left and lower right, x y.

    Each way it has a multiple of ``whole`` pixels, unless the frame ends. It keeps what is to be
    warped small: a face of 4,000 pixels takes hardly longer than one of 200, and OpenCV warps no
    picture of 32,768.
    """
    ends = (-0.5, size - 0.5)
    low, high = [], []
    for (u, v, start), length in zip(back, (frame.width, frame.height), strict=True):
        places = [u * i + v * j + start for i in ends for j in ends]
        first = min(max(math.floor(min(places)) - 1, 0), length - 1)
        last = min(max(math.ceil(max(places)) + 2, first + 1), length)
        low.append(first)
        high.append(min(first + -(-(last - first) // whole) * whole, length))
    return (low[0], low[1]), (high[0], high[1])
