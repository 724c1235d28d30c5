"""Where a face might be: windows of OpenCV's cascades, and those that lie alike made one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from mien import geometry
from mien.errors import ModelError
from mien.face import FloatArray, ImageArray
from mien.proposals import Cascades, all_over, group

FACE = np.array([176, 66, 272, 162], np.float32)  # the astronaut's, eyes to mouth in its middle


@pytest.fixture(scope="module")
def cascades() -> Cascades:
    return Cascades()


@pytest.fixture(scope="module")
def gray(astronaut: ImageArray) -> ImageArray:
    return np.asarray(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY), np.uint8)


def boxes(*rows: list[float]) -> FloatArray:
    return np.array(rows, np.float32).reshape(-1, 4)


def by_place(given: FloatArray) -> list[list[float]]:
    return sorted(np.asarray(given, np.float64).round(3).tolist())


# -- groups -------------------------------------------------------------------------------------


def test_windows_that_lie_alike_are_averaged() -> None:
    alike = boxes([100, 50, 200, 150], [110, 50, 210, 150], [100, 56, 200, 156])
    np.testing.assert_allclose(group(alike), [[103, 52, 203, 152]], atol=1)


def test_a_window_alone_is_kept() -> None:
    """OpenCV's own grouping drops it, and with it many a turned face."""
    alone = boxes([100, 50, 200, 150])
    np.testing.assert_array_equal(group(alone), alone)
    far = boxes([100, 50, 200, 150], [300, 50, 380, 130], [100, 250, 160, 310])
    assert by_place(group(far)) == by_place(far)


def test_every_group_has_its_own_average() -> None:
    windows = boxes([0, 0, 40, 40], [300, 10, 400, 110], [4, 0, 44, 40], [300, 20, 400, 120])
    assert by_place(group(windows)) == [[2, 0, 42, 40], [300, 15, 400, 115]]


@pytest.mark.parametrize(("apart", "groups"), [(10, 1), (40, 2)])
def test_a_quarter_of_their_size_is_alike(apart: float, groups: int) -> None:
    windows = boxes([0, 0, 100, 100], [apart, 0, 100 + apart, 100])
    assert len(group(windows)) == groups


def test_of_no_windows_none() -> None:
    none = group(boxes())
    assert none.shape == (0, 4)
    assert none.dtype == np.float32


# -- windows ------------------------------------------------------------------------------------


def test_the_face_is_among_them(cascades: Cascades, gray: ImageArray) -> None:
    windows = cascades.windows(gray, 1.2)
    assert windows.dtype == np.float32
    assert geometry.iou(FACE, windows).max() > 0.7
    assert geometry.iou(FACE, group(windows)).max() > 0.7
    assert len(group(windows)) < len(windows)


def test_they_are_squares_inside_the_picture(cascades: Cascades, gray: ImageArray) -> None:
    for picture in (gray, gray[60:170, 170:275].copy(), gray[:200].copy(), gray[:, 180:].copy()):
        height, width = picture.shape
        windows = cascades.windows(np.asarray(picture, np.uint8), 1.2)
        assert len(windows)
        for found in (windows, group(windows)):
            assert (found >= 0).all()
            assert (found[:, 2:] <= [width, height]).all()
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
        assert group(windows).shape == (0, 4)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_colour_has_none(cascades: Cascades, level: int) -> None:
    assert len(cascades.windows(np.full((240, 320), level, np.uint8), 1.2)) == 0


# -- all over -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(400, 400), (640, 360), (360, 640), (500, 170), (3, 3)])
def test_large_squares_cover_the_picture(size: tuple[int, int]) -> None:
    """Inside it, of three sizes, from border to border, half a side apart at the most."""
    width, height = size
    squares = all_over(width, height)
    sides = squares[:, 2] - squares[:, 0]
    np.testing.assert_allclose(sides, squares[:, 3] - squares[:, 1], rtol=1e-4)
    assert (squares > -1e-3).all()
    assert (squares[:, 2:] < [width + 1e-3, height + 1e-3]).all()
    shares = sorted({round(float(side) / min(size), 3) for side in sides})
    assert shares == [0.42, 0.6, 0.85]
    for share in shares:
        side = share * min(size)
        of_size = squares[np.isclose(sides, side, rtol=1e-3)]
        for start, end, length in ((0, 2, width), (1, 3, height)):
            places = np.unique(of_size[:, start].round(2))
            assert places[0] == 0
            assert of_size[:, end].max() == pytest.approx(length, rel=1e-3)
            assert (np.diff(places) <= side / 2 + 0.01).all()
        columns, rows = (len(np.unique(of_size[:, i].round(2))) for i in (0, 1))
        assert len(of_size) == columns * rows


def test_a_strip_is_no_portrait() -> None:
    for size in ((900, 300), (300, 900), (30_000, 40)):
        assert all_over(*size).shape == (0, 4)


def test_opencv_without_its_cascades(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cv2, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ModelError, match="pip install 'opencv-python-headless<5'"):
        Cascades()
