"""One way from a crop to a network's input; the numbers worked by hand."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest

from mien.errors import ConfigError, UnknownName
from mien.media import preprocess
from mien.media.preprocess import Preprocess, batch, pad_to_square, prepare, resize, shrink

GRAY8 = Preprocess(8, "gray")
RGB8 = Preprocess(8, "rgb")


def test_gray_is_luma() -> None:
    """ITU-R 601: 0.299 R + 0.587 G + 0.114 B, rounded."""
    crop = np.zeros((8, 8, 3), np.uint8)
    crop[0, :5] = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 50), (77, 77, 77)]
    planes = prepare(crop, GRAY8)
    assert planes.shape == (1, 8, 8)
    assert planes[0, 0, :6].tolist() == [76, 150, 29, 124, 77, 0]


def test_color_is_channels_first_in_rgb_order() -> None:
    crop = np.zeros((8, 8, 3), np.uint8)
    crop[2, 5] = (1, 2, 3)
    planes = prepare(crop, RGB8)
    assert planes.shape == (3, 8, 8)
    assert planes[:, 2, 5].tolist() == [1, 2, 3]
    assert planes.sum() == 6
    assert planes.flags.c_contiguous


def test_light_is_evened_out() -> None:
    """An equalised picture is the same under any light that keeps the order of its gray levels."""
    crop = np.random.default_rng(0).integers(0, 256, (32, 32, 1), np.uint8).repeat(3, axis=2)
    spec = Preprocess(32, "gray", "equal")
    evened = prepare(crop, spec)
    assert evened.shape == (1, 32, 32)
    assert (evened.min(), evened.max()) == (0, 255)
    for changed in (crop // 2, crop // 4 + 150, 255 * (crop / 255) ** 0.4):
        apart = prepare(np.asarray(changed, np.uint8), spec).astype(int) - evened
        assert np.abs(apart).mean() < 4
        plain = prepare(np.asarray(changed, np.uint8), Preprocess(32)).astype(int)
        assert np.abs(plain - prepare(crop, Preprocess(32))).mean() > 20
    flat = prepare(np.full((32, 32, 3), 90, np.uint8), spec)
    assert (flat == flat[0, 0, 0]).all(), "of one gray nothing is drawn out"


def test_light_that_cannot_be() -> None:
    with pytest.raises(UnknownName, match="no light called 'equals'; did you mean equal"):
        Preprocess(48, "gray", "equals")
    with pytest.raises(ConfigError, match="goes with color = 'gray'"):
        Preprocess(48, "rgb", "equal")


def test_a_crop_of_the_right_size_is_not_touched() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(prepare(crop, RGB8), crop.transpose(2, 0, 1))


def test_shrinking_averages() -> None:
    """Every pixel counts: the mean of each 4 x 4 block, no aliasing."""
    crop = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    means = crop.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(prepare(crop, RGB8), means.transpose(2, 0, 1), atol=0.51)


@pytest.mark.parametrize(("side", "size"), [(112, 12), (640, 320), (1920, 320), (1000, 48)])
def test_large_pictures_shrink_as_if_at_once(side: int, size: int) -> None:
    """Halving first is quick, and must not blur: a pixel stays the mean of what it covers."""
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    at_once = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA).astype(float)
    for ours in (shrink(picture, size)[0], resize(picture, size)):
        assert np.corrcoef(ours.ravel(), at_once.ravel())[0, 1] > 0.93


def test_growing_interpolates() -> None:
    crop = np.repeat(np.array([[[0] * 3, [200] * 3]] * 2, np.uint8), 1, axis=0)  # black | light
    row = prepare(crop, GRAY8)[0, 4]
    assert row[0] == 0
    assert row[-1] == 200
    assert (np.diff(row.astype(int)) >= 0).all()
    assert len(set(row.tolist())) > 3


@pytest.mark.parametrize(
    ("height", "width", "top", "left"), [(2, 6, 2, 0), (6, 2, 0, 2), (3, 6, 1, 0)]
)
def test_padding_repeats_the_border(height: int, width: int, top: int, left: int) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    square = pad_to_square(crop)
    assert square.shape == (6, 6, 3)
    np.testing.assert_array_equal(square[top : top + height, left : left + width], crop)
    np.testing.assert_array_equal(square[0, :], square[top, :])
    np.testing.assert_array_equal(square[:, 0], square[:, left])
    np.testing.assert_array_equal(square[-1, :], square[top + height - 1, :])
    np.testing.assert_array_equal(square[:, -1], square[:, left + width - 1])


def test_a_face_is_never_squashed() -> None:
    """A disc stays as wide as it is high, whatever the crop's shape."""
    y, x = np.mgrid[:64, :128]
    disc = ((y - 32) ** 2 + (x - 64) ** 2 < 24**2)[:, :, None] * np.full(3, 255, np.uint8)
    plane = prepare(disc.astype(np.uint8), Preprocess(64, "gray"))[0] > 127
    assert plane.any(axis=0).sum() == plane.any(axis=1).sum() == pytest.approx(24, abs=1)


def test_resize_keeps_the_shape_of_a_crop() -> None:
    assert resize(np.zeros((50, 100, 3), np.uint8), 48).shape == (24, 48, 3)
    assert resize(np.zeros((3, 1, 3), np.uint8), 48).shape == (48, 16, 3)


@pytest.mark.parametrize(("height", "width"), [(40, 30_000), (30_000, 40), (1, 1), (1, 70_000)])
def test_extreme_crops_take_little_memory(height: int, width: int) -> None:
    """The square around 30,000 x 40 pixels would hold 2.7 GB (tracemalloc sees OpenCV's arrays)."""
    crop = np.full((height, width, 3), 90, np.uint8)
    tracemalloc.start()
    try:
        planes = prepare(crop, Preprocess(48, "gray"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(planes, np.full((1, 48, 48), 90))
    assert peak < 2_000_000


def test_views_are_fine() -> None:
    """A mirrored or cut crop is a view with odd strides."""
    crop = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    for view in (crop[:, ::-1], crop[::-1], crop[4:-4, 8:-8], crop[::2, ::2]):
        np.testing.assert_array_equal(prepare(view, GRAY8), prepare(view.copy(), GRAY8))


@pytest.mark.parametrize("spec", [GRAY8, RGB8, Preprocess(48, "gray")])
def test_a_batch_is_the_loop(spec: Preprocess) -> None:
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in [(8, 8), (50, 40), (3, 9)]]
    planes = batch(crops, spec)
    assert planes.dtype == np.float32
    assert planes.shape == (3, spec.channels, spec.size, spec.size)
    for crop, plane in zip(crops, planes, strict=True):
        np.testing.assert_array_equal(plane, prepare(crop, spec))
    assert planes.max() > 1  # gray levels 0..255: the network scales them itself


def test_no_crop_is_an_empty_batch() -> None:
    assert batch([], GRAY8).shape == (0, 1, 8, 8)


def test_the_input_stays_as_it_is() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    before = crop.copy()
    batch([crop], RGB8)[:] = 0
    np.testing.assert_array_equal(crop, before)


@pytest.mark.parametrize(
    ("size", "color", "message"),
    [
        (48, "grey", "color is one of gray, rgb, got 'grey'"),
        (7, "gray", "size lies between 8 and 1024 pixels, got 7"),
        (4096, "gray", "got 4096"),
    ],
)
def test_specs_are_checked(size: int, color: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Preprocess(size, color)


@pytest.mark.parametrize(
    ("shape", "expected", "factor"),
    [
        ((100, 200), (100, 200), 1.0),
        ((400, 800), (400, 800), 1.0),
        ((800, 1600), (400, 800), 2.0),
        ((2400, 600), (800, 200), 3.0),
        ((40, 30_000), (1, 800), 37.5),
        ((30_000, 10), (800, 1), 37.5),
    ],
)
def test_shrink(shape: tuple[int, int], expected: tuple[int, int], factor: float) -> None:
    small, back = preprocess.shrink(np.zeros((*shape, 3), np.uint8), 800)
    assert small.shape == (*expected, 3)
    assert back == factor
