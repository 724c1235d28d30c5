"""How far a face's picture can be trusted, before asking what it shows.

``confidence`` is the detector's score times one factor in [0, 1] each for size, sharpness, light
and how much of the crop lies inside the picture. Each factor rises with its measure from 0 to 1
between two bounds and stays there, so confidence never falls when a picture gets better. It says
nothing about which expression shows: that is what the probabilities are for.

=========== ============================================== ===== =====
factor      measure                                         0 at  1 at
=========== ============================================== ===== =====
size        side of the crop in pixels                      8     40
sharpness   deviation of the Laplacian, gray levels         2     12
contrast    deviation of the gray levels, in [0, 1]         .02   .08
inside      share of the crop inside the picture            .4    .9
=========== ============================================== ===== =====
"""

from __future__ import annotations

import cv2
import numpy as np

from .face import ImageArray, Quality
from .preprocess import Preprocess, prepare

LOW = 0.3
"""A face below this confidence is of low quality: its answer is marked uncertain."""

_RISE = {
    "size_px": (8.0, 40.0),
    "sharpness": (2.0, 12.0),
    "contrast": (0.02, 0.08),
    "inside": (0.4, 0.9),
}
_SEEN_AT = Preprocess(size=48, color="gray")  # so that sharpness does not depend on the size


def measure(crop: ImageArray, size_px: float, inside: float) -> Quality:
    """The quality of one crop (H, W, 3) uint8 cut at ``size_px`` from its picture."""
    gray = prepare(crop, _SEEN_AT)[0]
    return Quality(
        size_px=float(size_px),
        sharpness=float(cv2.Laplacian(gray, cv2.CV_32F).std()),
        brightness=float(gray.mean()) / 255,
        contrast=float(gray.std()) / 255,
        inside=inside,
    )


def confidence(score: float, quality: Quality) -> float:
    """How far to trust a face found with ``score``, in [0, 1]."""
    result = score
    for name, (low, high) in _RISE.items():
        result *= float(np.clip((getattr(quality, name) - low) / (high - low), 0, 1))
    return result
