"""How good the picture of a face is, before asking what it shows.

``picture_quality`` is the detector's score times one factor in [0, 1] for each measure. A factor
moves from 0 to 1 between two bounds and stays there, so that it never falls when a picture gets
better. The bounds are chosen, not fitted. It knows nothing of a hand or a mask before the face, and
does not tell right answers from wrong ones: that is what the probabilities are for (ADR 21).

=========== ============================================== ===== =====
factor      measure                                         0 at  1 at
=========== ============================================== ===== =====
size        side of the crop in pixels                      8     40
sharpness   deviation of the Laplacian, gray levels         2     12
dark        mean gray level, in [0, 1]                      .02   .08
bright      mean gray level, in [0, 1]                      .99   .93
contrast    deviation of the gray levels, in [0, 1]         .02   .08
inside      share of the crop inside the picture            .4    .9
yaw         turned to either side, radians                  1.2   .6
pitch       looking up or down, radians                     1.0   .5
tilt        turned in the crop, radians                     1.2   .4
=========== ============================================== ===== =====

Where a face has no landmarks its angles are None and cost nothing: nobody knows them. Roll by
itself costs nothing either: a crop turned level shows a level face. What the crop leaves of it is
the tilt, all of it in a crop that is not turned.
"""

from __future__ import annotations

import math

import cv2

from ..face import Face, Frame, ImageArray, Quality
from ..media.preprocess import Preprocess, prepare
from . import align, pose

LOW = 0.3
"""A face whose picture is worse than this: its answer is marked uncertain."""

_FACTORS = (  # measure, 0 at, 1 at; angles by their size
    ("size_px", 8.0, 40.0),
    ("sharpness", 2.0, 12.0),
    ("brightness", 0.02, 0.08),
    ("brightness", 0.99, 0.93),
    ("contrast", 0.02, 0.08),
    ("inside", 0.4, 0.9),
    ("yaw_rad", 1.2, 0.6),
    ("pitch_rad", 1.0, 0.5),
    ("tilt_rad", 1.2, 0.4),
)
_SEEN_AT = Preprocess(size=48, color="gray")  # so that sharpness does not depend on the size


def measure(frame: Frame, face: Face, pixels: ImageArray) -> Quality:
    """The quality of a face in its frame; ``pixels`` (H, W, 3) uint8 is the crop that is read."""
    gray = prepare(pixels, _SEEN_AT)[0]
    crop = face.crop
    mean, deviation = cv2.meanStdDev(gray)
    _, edges = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_32F))
    turned = None if face.landmarks is None else pose.estimate(face.landmarks)
    level = align.roll(crop) if crop else 0.0
    side = align.side(crop) if crop else float(max(frame.width, frame.height))
    return Quality(
        size_px=side * frame.reduced,
        sharpness=float(edges[0, 0]),
        brightness=float(mean[0, 0]) / 255,
        contrast=float(deviation[0, 0]) / 255,
        inside=align.share_inside(frame, crop) if crop else 1.0,
        yaw_rad=turned.yaw_rad if turned else None,
        pitch_rad=turned.pitch_rad if turned else None,
        roll_rad=turned.roll_rad if turned else None,
        tilt_rad=math.remainder(turned.roll_rad - level, math.tau) if turned else None,
    )


def picture_quality(score: float, quality: Quality) -> float:
    """How good the picture is of a face found with ``score``, in [0, 1]."""
    result = score
    for name, worst, best in _FACTORS:
        value = getattr(quality, name)
        if value is not None:
            result *= min(max((abs(value) - worst) / (best - worst), 0.0), 1.0)
    return result


def uncertain(top: float, least: float, picture_quality: float) -> bool:
    """Whether an answer falls short: its top probability of the model's ``least``, or its picture.

    All in [0, 1].
    """
    return top < least or picture_quality < LOW
