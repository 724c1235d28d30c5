"""From a face crop to what a network takes: the one implementation, for training and inference.

Colour and size are settled here; subtracting a mean or dividing by a deviation is part of the
network's own graph, so the numbers that reach it are gray levels 0..255 in every case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import ConfigError, UnknownName
from ..face import FloatArray, ImageArray

COLORS = {"gray": 1, "rgb": 3}
SMALLEST, LARGEST = 8, 1024  # pixels of a side
_REST = 4  # how many times smaller, or more, a crop is still to become when it was halved


def _plain(gray: ImageArray) -> ImageArray:
    return gray


def _equal(gray: ImageArray) -> ImageArray:
    return np.asarray(cv2.equalizeHist(gray), np.uint8)


LIGHTS: dict[str, Callable[[ImageArray], ImageArray]] = {"plain": _plain, "equal": _equal}
"""Ways to even out the lighting of a gray picture (S, S): none, and equalising its histogram."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What a network expects.

    size : side of its square input in pixels.
    color : "gray" (1 channel, ITU-R 601 luma) or "rgb" (3 channels).
    light : how its lighting is evened out, a name of ``LIGHTS``; with gray alone.
    """

    size: int = 48
    color: str = "gray"
    light: str = "plain"

    def __post_init__(self) -> None:
        if self.color not in COLORS:
            raise ConfigError(f"color is one of {', '.join(COLORS)}, got '{self.color}'")
        if self.light not in LIGHTS:
            raise UnknownName("light", self.light, LIGHTS)
        if self.light != "plain" and self.color != "gray":
            raise ConfigError(f"light = '{self.light}' goes with color = 'gray'")
        if not SMALLEST <= self.size <= LARGEST:
            raise ConfigError(f"size lies between {SMALLEST} and {LARGEST} pixels, got {self.size}")

    @property
    def channels(self) -> int:
        return COLORS[self.color]


def pad_to_square(crop: ImageArray) -> ImageArray:
    """The crop in the middle of a square; its border is repeated outwards, never squashed."""
    h, w = crop.shape[:2]
    if h == w:
        return crop
    top, left = max(w - h, 0) // 2, max(h - w, 0) // 2
    bottom, right = max(w - h, 0) - top, max(h - w, 0) - left
    return cv2.copyMakeBorder(crop, top, bottom, left, right, cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def resize(crop: ImageArray, size: int) -> ImageArray:
    """A crop with its longer side at ``size`` pixels: averaged shrinking, bilinear growing."""
    longer = max(crop.shape[:2])
    if longer == size:
        return crop
    height, width = (max(1, round(side * size / longer)) for side in crop.shape[:2])
    if longer < size:
        return cv2.resize(crop, (width, height))  # type: ignore[return-value]
    halved = halve(crop, halvings(longer / size / _REST))
    return cv2.resize(halved, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def halvings(factor: float) -> int:
    """How often a picture can be halved until it is ``factor`` times smaller, or a little less.

    What is left to do should be two or more, or nothing: shrunk from 14 pixels to 12, each is the
    mean of two that reach far beyond it.
    """
    return max(0, math.frexp(factor)[1] - 1)


def _twos(factor: float) -> int:
    """How often a factor can be halved without a rest; then halving loses nothing."""
    whole = int(factor) if factor == int(factor) else 1
    return (whole & -whole).bit_length() - 1


def halve(picture: ImageArray, times: int) -> ImageArray:
    """A picture with half the pixels each way so many times, past its border the last ones again.

    OpenCV averages two by two pixels ten times faster than parts of them.
    """
    for _ in range(times):
        height, width = picture.shape[:2]
        below, right = height % 2, width % 2
        if below or right:
            even = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
            picture = np.asarray(even, np.uint8)
        half = ((width + right) // 2, (height + below) // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    return picture


def shrink(picture: ImageArray, longest: int) -> tuple[ImageArray, float]:
    """A copy, gray or RGB, no longer than ``longest`` pixels, and the factor to the original."""
    height, width = picture.shape[:2]
    factor = max(height, width) / longest
    if factor <= 1:
        return picture, 1.0
    # A strip of 30,000 x 40 must not vanish.
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    halved = halve(picture, max(halvings(factor / _REST), _twos(factor)))
    return np.asarray(cv2.resize(halved, size, interpolation=cv2.INTER_AREA), np.uint8), factor


def prepare(crop: ImageArray, spec: Preprocess) -> ImageArray:
    """One RGB crop (H, W, 3) uint8 as the (C, S, S) uint8 planes of ``spec``.

    For a network that sees gray it may be gray already, (H, W).
    """
    # In this order: the square around a panorama of 30,000 x 40 pixels would take 2.7 GB, and one
    # channel is sooner resized than three.
    if spec.color == "gray":
        colored = crop.ndim == 3
        gray = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8) if colored else crop
        return LIGHTS[spec.light](pad_to_square(resize(gray, spec.size)))[None]
    small = pad_to_square(resize(crop, spec.size))
    return np.ascontiguousarray(small.transpose(2, 0, 1))


def batch(crops: Sequence[ImageArray], spec: Preprocess) -> FloatArray:
    """RGB crops as one (N, C, S, S) float32 array, gray levels 0..255."""
    planes = np.empty((len(crops), spec.channels, spec.size, spec.size), np.float32)
    for i, crop in enumerate(crops):
        planes[i] = prepare(crop, spec)
    return planes
