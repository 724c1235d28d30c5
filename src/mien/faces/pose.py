"""How a head is turned, from its landmarks alone.

A small rigid face in three dimensions is fitted to the points under weak perspective: least
squares, then the nearest rotation. Lips, brows and jaw move with an expression or slide along the
outline, so eye corners and nose are all it looks at: a surprised face must not count as looking up.

Undoing ``roll`` in the picture leaves a level head, turned by ``pitch`` about the line of its eyes
and then by ``yaw`` about the upright:

- yaw > 0 turned to the subject's left, towards the right of the picture;
- pitch > 0 looking up; 0 is the median of 300-W's training faces;
- roll > 0 clockwise as one looks at the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

import numpy as np

from ..face import FloatArray
from . import landmarks

RIGID = (27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 39, 42, 45)

# x to the right, y down, z away from the viewer, in distances of the outer eye corners: what
# benchmarks/pose_table.py makes of 300-W's training faces.
_TABLE = np.array(
    [
        [0.0, -0.023, -0.279],  # 27, bridge of the nose
        [0.0, 0.113, -0.358],
        [0.0, 0.246, -0.446],
        [0.0, 0.383, -0.532],  # 30, its tip
        [-0.169, 0.483, -0.275],  # 31, its base, right to left
        [-0.088, 0.511, -0.318],
        [0.0, 0.534, -0.344],
        [0.088, 0.511, -0.318],
        [0.169, 0.483, -0.275],
        [-0.5, 0.0, 0.0],  # 36, right eye: outer corner
        [-0.208, 0.02, -0.072],  # 39, inner
        [0.208, 0.02, -0.072],  # 42, left eye: inner corner
        [0.5, 0.0, 0.0],  # 45, outer
    ]
)
_FROM_TABLE = np.linalg.pinv(_TABLE - _TABLE.mean(axis=0))  # (3, 13)
_RIGID = np.array(RIGID)
_LEAST_DEPTH = 0.2  # of the fit's two scales, the smaller against the larger; a face has near 1


@dataclass(frozen=True, slots=True)
class Pose:
    """Three angles in radians; their signs are the module's."""

    yaw_rad: float
    pitch_rad: float
    roll_rad: float


def estimate(points: FloatArray) -> Pose | None:
    """The pose of a face's landmarks (68, 2); None for points that are no face.

    It holds up to half a profile, beyond which points on the far side are guesses.
    """
    landmarks.check(points)
    rigid = points[_RIGID]
    if not math.isfinite(rigid.sum()):
        return None
    # Rows of the fit add up to nothing, so it does not count where the head is.
    rows = _nearest_rotation(*(_FROM_TABLE @ rigid).T.tolist())
    if rows is None:
        return None
    (a, b, c), (d, e, f) = rows  # where the head's right and down point
    away = b * f - c * e, c * d - a * f, a * e - b * d
    return Pose(
        yaw_rad=math.asin(min(max(away[0], -1.0), 1.0)),
        pitch_rad=math.atan2(-away[1], away[2]),
        roll_rad=math.atan2(d, a),
    )


def _nearest_rotation(
    right: Sequence[float], down: Sequence[float]
) -> tuple[list[float], list[float]] | None:
    """The first two rows of the rotation nearest to those of a view; None where it is no view.

    Theirs, by the root of what they have in common (Higham 1986). Of a 2 x 2 matrix M it is
    (M + product) / total, where these are the product and the sum of the view's two scales.
    """
    a, b, c = (sum(map(mul, *both)) for both in ((right, right), (right, down), (down, down)))
    product = math.sqrt(max(a * c - b * b, 0.0))
    total = math.sqrt(a + c + 2 * product)
    apart = math.sqrt(max(a + c - 2 * product, 0.0))
    if not math.isfinite(total) or total - apart <= _LEAST_DEPTH * (total + apart):
        return None
    a, b, c = ((v / (product * total)) for v in (a + product, b, c + product))
    return (
        [c * x - b * y for x, y in zip(right, down, strict=True)],
        [a * y - b * x for x, y in zip(right, down, strict=True)],
    )
