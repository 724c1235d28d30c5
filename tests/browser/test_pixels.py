"""Pixels that the networks are given are OpenCV's to the bit."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from mien.face import Crop, Frame, ImageArray
from mien.faces import align, proposals
from mien.geometry import turned_square
from mien.media.image import from_array
from mien.media.preprocess import Preprocess, prepare

from .node import Node, crop_of


def told(raster: dict[str, Any]) -> ImageArray:
    """(H, W, C) uint8."""
    pixels = np.frombuffer(base64.b64decode(raster["data"]), np.uint8)
    return pixels.reshape(raster["height"], raster["width"], raster["channels"])


def crops() -> list[Crop]:
    """Turned and level, as large as the picture's pixels, far smaller and larger, and beyond it."""
    rng = np.random.default_rng(3)
    found = [
        Crop(np.array([[1.0, 0, x], [0, 1, y]]), 70) for x, y in ((-5, -8), (20, 3), (-480, 9))
    ]
    for side in (9, 30, 64, 100, 131, 180, 270, 500, 900):
        for roll in (0.0, 0.31, -2.0):
            centre = rng.uniform(100, 400, 2)
            found.append(Crop(turned_square(centre, side, roll, 64), 64))
    stretched = np.array([[0.2, 0.01, -10.0], [-0.02, 0.5, -60.0]])
    return [*found, Crop(stretched, 48)]


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_are_the_same(browser: Node, astronaut: ImageArray, channels: int) -> None:
    frame, picture = Frame(astronaut), browser.picture(astronaut)
    jobs = [{"picture": picture, "crop": crop_of(c), "channels": channels} for c in crops()]
    found = browser.ask(cuts=jobs)["cuts"]
    for crop, raster in zip(crops(), found, strict=True):
        ours = align.cut(frame, crop, gray=channels == 1)
        theirs = told(raster).squeeze(axis=2) if channels == 1 else told(raster)
        np.testing.assert_array_equal(theirs, ours)


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_crops_of_any_size_are_prepared_the_same(
    browser: Node, astronaut: ImageArray, color: str
) -> None:
    shapes = [(48, 48), (64, 64), (47, 47), (13, 60), (90, 41), (200, 200), (500, 130), (2, 1)]
    rasters = [np.ascontiguousarray(astronaut[:h, 80 : 80 + w]) for h, w in shapes]
    wanted = [(raster, size) for raster in rasters for size in (48, 64, 68)]
    jobs = [{"raster": browser.raw(r), "size": size, "color": color} for r, size in wanted]
    found = browser.ask(prepared=jobs)["prepared"]
    for (raster, size), theirs in zip(wanted, found, strict=True):
        ours = prepare(raster, Preprocess(size, color)).transpose(1, 2, 0)
        np.testing.assert_array_equal(told(theirs), ours)


def test_pictures_of_any_size_are_searched_the_same(browser: Node, astronaut: ImageArray) -> None:
    shapes = [(512, 512), (480, 333), (320, 320), (321, 200), (90, 500), (5, 7), (1, 512)]
    pictures = [np.ascontiguousarray(astronaut[:h, :w]) for h, w in shapes]
    large = np.ascontiguousarray(np.tile(astronaut, (3, 4, 1))[:, :2001])
    pictures.append(large)
    found = browser.ask(searched=[browser.picture(p) for p in pictures])["searched"]
    for picture, theirs in zip(pictures, found, strict=True):
        ours, _ = proposals.searched(Frame(picture))
        np.testing.assert_array_equal(told(theirs)[:, :, 0], ours[0, 0])


def test_what_is_transparent_lies_over_white(browser: Node, astronaut: ImageArray) -> None:
    alpha = np.tile(np.arange(512, dtype=np.uint16) // 2, (512, 1)).astype(np.uint8)
    rgba = np.concatenate([astronaut, alpha[:, :, None]], axis=2)
    crop = Crop(np.array([[1.0, 0, 0], [0, 1, 0]]), 512)
    job = {"picture": browser.picture(rgba), "crop": crop_of(crop), "channels": 3}
    (found,) = browser.ask(cuts=[job])["cuts"]
    np.testing.assert_array_equal(told(found), from_array(rgba))
