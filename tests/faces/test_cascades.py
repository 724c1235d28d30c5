"""What OpenCV's cascades take for a face: every window they let through."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from mien import geometry
from mien.errors import ModelError
from mien.face import ImageArray
from mien.faces.cascades import Cascades

FACE = np.array([176, 66, 272, 162], np.float32)  # the astronaut's, eyes to mouth in its middle


@pytest.fixture(scope="module")
def cascades() -> Cascades:
    return Cascades()


@pytest.fixture(scope="module")
def gray(astronaut: ImageArray) -> ImageArray:
    return np.asarray(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY), np.uint8)


def test_the_face_is_among_them(cascades: Cascades, gray: ImageArray) -> None:
    windows = cascades.windows(gray, 1.2)
    assert windows.dtype == np.float32
    assert geometry.iou(FACE, windows).max() > 0.7


def test_they_are_squares_inside_the_picture(cascades: Cascades, gray: ImageArray) -> None:
    for picture in (gray, gray[60:170, 170:275].copy(), gray[:200].copy(), gray[:, 180:].copy()):
        height, width = picture.shape
        windows = cascades.windows(np.asarray(picture, np.uint8), 1.2)
        assert len(windows)
        assert (windows >= 0).all()
        assert (windows[:, 2:] <= [width, height]).all()
        # At the border OpenCV cuts off the pixel by which its rounding reached beyond.
        width_of, height_of = (windows[:, 2:] - windows[:, :2]).T
        np.testing.assert_allclose(width_of, height_of, atol=2)


def test_none_is_smaller_than_a_twentieth_of_the_picture(
    cascades: Cascades, gray: ImageArray
) -> None:
    wide = np.zeros((512, 1600), np.uint8)
    wide[:, :512] = gray
    sides = cascades.windows(wide, 1.2)[:, 2] - cascades.windows(wide, 1.2)[:, 0]
    assert sides.min() >= 80
    assert (cascades.windows(gray, 1.2)[:, 2] - cascades.windows(gray, 1.2)[:, 0]).min() >= 26


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 500), (500, 1), (23, 23), (20, 400), (400, 19), (40, 900), (5, 30_000)]
)
def test_thin_pictures_have_none(cascades: Cascades, shape: tuple[int, int]) -> None:
    draw = np.random.default_rng(sum(shape))
    for picture in (np.zeros(shape, np.uint8), draw.integers(0, 256, shape, np.uint8)):
        windows: npt.NDArray[np.float32] = cascades.windows(picture, 1.2)
        assert windows.shape == (0, 4)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_colour_has_none(cascades: Cascades, level: int) -> None:
    assert len(cascades.windows(np.full((240, 320), level, np.uint8), 1.2)) == 0


def test_opencv_without_its_cascades(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cv2, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ModelError, match="pip install 'opencv-python-headless<5'"):
        Cascades()
