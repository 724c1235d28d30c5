"""Crops: on a ramp the values say which pixels came."""

from __future__ import annotations

import numpy as np
import pytest

from mien.align import crop_box, cut, share_inside
from mien.face import Face, FloatArray, Frame, ImageArray

WIDTH, HEIGHT = 50, 40


def ramp(width: int = WIDTH, height: int = HEIGHT) -> Frame:
    """Red is x, green is y."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.arange(width)
    rgb[..., 1] = np.arange(height)[:, None]
    return Frame(rgb)


def box(x0: float, y0: float, x1: float, y1: float) -> FloatArray:
    return np.array([x0, y0, x1, y1], np.float32)


def columns(crop: ImageArray) -> list[int]:
    """The x of every column of a crop, which must be the same in each row."""
    assert (crop[..., 0] == crop[:1, :, 0]).all()
    return [int(x) for x in crop[0, :, 0]]


def rows(crop: ImageArray) -> list[int]:
    assert (crop[..., 1] == crop[:, :1, 1]).all()
    return [int(y) for y in crop[:, 0, 1]]


def clamped(first: int, side: int, length: int) -> list[int]:
    return [min(max(i, 0), length - 1) for i in range(first, first + side)]


@pytest.mark.parametrize("y", [-50, -47, -10, -3, 0, 15, 33, 36, 40, 55], ids=lambda y: f"y{y}")
@pytest.mark.parametrize("x", [-60, -47, -7, -1, 0, 20, 43, 48, 50, 99], ids=lambda x: f"x{x}")
@pytest.mark.parametrize("side", [1, 7, 47])
def test_every_pixel_comes_from_its_place_or_the_nearest_there_is(
    x: int, y: int, side: int
) -> None:
    crop = cut(ramp(), box(x, y, x + side, y + side))
    assert crop.shape == (side, side, 3)
    assert crop.dtype == np.uint8
    assert columns(crop) == clamped(x, side, WIDTH)
    assert rows(crop) == clamped(y, side, HEIGHT)


def test_inside_outside_left_and_below_by_hand() -> None:
    inside = cut(ramp(), box(10, 20, 13, 23))
    assert (columns(inside), rows(inside)) == ([10, 11, 12], [20, 21, 22])
    corner = cut(ramp(), box(-2, 37, 3, 42))
    assert (columns(corner), rows(corner)) == ([0, 0, 0, 1, 2], [37, 38, 39, 39, 39])


@pytest.mark.parametrize(
    ("given", "x", "y"),
    [
        (box(10.4, 20.4, 14.4, 24.4), [10, 11, 12, 13], [20, 21, 22, 23]),
        (box(9.6, 19.6, 13.6, 23.6), [10, 11, 12, 13], [20, 21, 22, 23]),
        (box(-0.4, -0.4, 2.6, 2.6), [0, 1, 2], [0, 1, 2]),
        (box(-1.2, 38.2, 1.8, 41.2), [0, 0, 1], [38, 39, 39]),
        (box(10, 10, 10.3, 10.3), [10], [10]),  # never empty
    ],
)
def test_fractions_are_rounded(given: FloatArray, x: list[int], y: list[int]) -> None:
    crop = cut(ramp(), given)
    assert (columns(crop), rows(crop)) == (x, y)


def test_a_shift_of_less_than_a_pixel_never_changes_the_side() -> None:
    sides = {cut(ramp(), box(x, x, x + 9, x + 9)).shape for x in np.arange(-5, 45, 0.1)}
    assert sides == {(9, 9, 3)}


def test_a_box_much_larger_than_the_picture() -> None:
    crop = cut(ramp(), box(-1000, -1000, 1000, 1000))
    assert columns(crop) == clamped(-1000, 2000, WIDTH)
    assert rows(crop) == clamped(-1000, 2000, HEIGHT)


@pytest.mark.parametrize(
    "given", [box(0, 0, 1, 1), box(-3, -3, 4, 4), box(50, -90, 57, -83), box(0.4, 0.4, 0.6, 0.6)]
)
def test_a_picture_of_one_pixel(given: FloatArray) -> None:
    crop = cut(Frame(np.full((1, 1, 3), 77, np.uint8)), given)
    assert crop.shape[0] == crop.shape[1] == max(1, round(float(given[2] - given[0])))
    assert (crop == 77).all()


def test_the_picture_stays_as_it_was() -> None:
    frame = ramp()
    cut(frame, box(-5, -5, 20, 20))
    np.testing.assert_array_equal(frame.rgb, ramp().rgb)


def test_the_crop_is_a_square_about_the_face() -> None:
    face = Face(box(20, 10, 30, 30), 0.9)
    np.testing.assert_allclose(crop_box(face, 1.1), [14, 9, 36, 31], rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (box(10, 10, 20, 20), 1.0),
        (box(0, 0, 50, 40), 1.0),
        (box(-10, 10, 10, 30), 0.5),
        (box(40, 10, 60, 30), 0.5),
        (box(10, -15, 30, 5), 0.25),
        (box(10, 35, 30, 55), 0.25),
        (box(-10, -10, 10, 10), 0.25),
        (box(0, 0, 100, 80), 0.25),
        (box(-20, -20, -10, -10), 0.0),
        (box(50, 40, 60, 50), 0.0),  # x1 and y1 are exclusive: it only touches
    ],
)
def test_share_inside(given: FloatArray, expected: float) -> None:
    assert share_inside(ramp(), given) == pytest.approx(expected)


def test_share_inside_never_leaves_0_to_1() -> None:
    draw = np.random.default_rng(0)
    for _ in range(500):
        x, y = draw.uniform(-60, 60, 2)
        w, h = draw.uniform(0.01, 120, 2)
        assert 0 <= share_inside(ramp(), box(x, y, x + w, y + h)) <= 1
