"""Every picture at seven brightnesses and four blurs: the 28 variants of Xu et al. (2019).

The paper makes 1,148,812 pictures of 41,029 so. It gives neither the levels nor the kernels; here a
level adds up to 60 gray levels either way, and every kernel is 3 x 3 pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np

from ..face import ImageArray

BRIGHTNESS = (-60, -40, -20, 0, 20, 40, 60)
_BLURS: dict[str, Callable[[ImageArray], cv2.typing.MatLike]] = {
    "none": lambda picture: picture,
    "gaussian": lambda picture: cv2.GaussianBlur(picture, (3, 3), 0),
    "average": lambda picture: cv2.blur(picture, (3, 3)),
    "median": lambda picture: cv2.medianBlur(picture, 3),
}
PLAIN = (0, "none")
ALL = (PLAIN, *(pair for pair in itertools.product(BRIGHTNESS, _BLURS) if pair != PLAIN))


def variant(picture: ImageArray, number: int) -> ImageArray:
    """One of ``ALL`` of a picture (H, W) or (H, W, 3) uint8; the first is the picture itself.

    Examples
    --------
    >>> picture = np.full((4, 4), 100, np.uint8)
    >>> len(ALL), len(ALL) * 41_029, ALL[1], int(variant(picture, 1)[0, 0])
    (28, 1148812, (-60, 'none'), 40)
    """
    brightness, blur = ALL[number]
    blurred = np.asarray(_BLURS[blur](picture), np.int16)
    return np.clip(blurred + brightness, 0, 255).astype(np.uint8)
