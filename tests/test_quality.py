"""Quality: its bounds are the documented ones, and a better picture never scores less."""

from __future__ import annotations

import dataclasses
import itertools
import re

import cv2
import numpy as np
import pytest

from mien import quality
from mien.face import ImageArray, Quality

GOOD = Quality(size_px=100, sharpness=30, brightness=0.5, contrast=0.2, inside=1)
MEASURES = {"size": "size_px", "sharpness": "sharpness", "contrast": "contrast", "inside": "inside"}


def documented() -> dict[str, tuple[float, float]]:
    """Measure -> (0 at, 1 at), from the table of the module's docstring."""
    lines = (quality.__doc__ or "").splitlines()
    rows = [re.match(r"(\w+) .* (\S+) +(\S+)$", line) for line in lines]
    table = {row[1]: (float(row[2]), float(row[3])) for row in rows if row and row[1] in MEASURES}
    assert set(table) == set(MEASURES)
    return table


@pytest.fixture
def face(astronaut: ImageArray) -> ImageArray:
    return astronaut[60:180, 165:285]


def sharpness(crop: ImageArray) -> float:
    return quality.measure(crop, crop.shape[0], 1.0).sharpness


def test_a_good_picture_is_as_good_as_its_detection() -> None:
    assert quality.confidence(0.83, GOOD) == pytest.approx(0.83)


@pytest.mark.parametrize("name", MEASURES)
def test_the_documented_bounds_hold(name: str) -> None:
    low, high = documented()[name]

    def factor(value: float) -> float:
        return quality.confidence(1.0, dataclasses.replace(GOOD, **{MEASURES[name]: value}))

    assert factor(low) == 0
    assert factor(low / 2) == 0
    assert factor(high) == pytest.approx(1)
    assert factor(high * 1.1) == 1
    assert factor((low + high) / 2) == pytest.approx(0.5)


def test_confidence_never_falls_when_one_measure_improves() -> None:
    grid = {name: np.linspace(low * 0.5, high * 1.2, 4) for name, (low, high) in _bounds().items()}
    better = {name: (high - low) / 7 for name, (low, high) in _bounds().items()}
    for values in itertools.product([0.0, 0.4, 1.0], *grid.values()):
        score, measures = values[0], dict(zip(grid, values[1:], strict=True))
        before = quality.confidence(score, Quality(brightness=0.5, **measures))
        assert 0 <= before <= score
        assert (
            quality.confidence(min(1, score + 0.1), Quality(brightness=0.5, **measures)) >= before
        )
        for name, step in better.items():
            improved = measures | {name: measures[name] + step}
            assert quality.confidence(score, Quality(brightness=0.5, **improved)) >= before


def _bounds() -> dict[str, tuple[float, float]]:
    return {MEASURES[name]: bounds for name, bounds in documented().items()}


def test_a_face_in_good_light_is_trusted(face: ImageArray) -> None:
    measured = quality.measure(face, 120, 1.0)
    assert quality.confidence(1.0, measured) == 1
    assert measured.size_px == 120
    assert 0.3 < measured.brightness < 0.8


def test_blur_lowers_sharpness(face: ImageArray) -> None:
    blurred = [np.asarray(cv2.GaussianBlur(face, (0, 0), s), np.uint8) for s in (1, 2, 4, 8, 16)]
    sharp = [sharpness(crop) for crop in (face, *blurred)]
    assert sharp == sorted(sharp, reverse=True)
    assert sharp[0] > 3 * sharp[-1]
    measured = quality.measure(blurred[-1], 120, 1.0)
    assert (
        quality.confidence(1.0, measured)
        < 0.3
        < quality.confidence(1.0, quality.measure(face, 120, 1.0))
    )


def test_darkness_lowers_contrast_and_brightness(face: ImageArray) -> None:
    dark = [
        quality.measure((face * share).astype(np.uint8), 120, 1.0)
        for share in (1.0, 0.5, 0.2, 0.05)
    ]
    contrasts, lights = [m.contrast for m in dark], [m.brightness for m in dark]
    assert contrasts == sorted(contrasts, reverse=True)
    assert lights == sorted(lights, reverse=True)
    assert quality.confidence(1.0, dark[-1]) < quality.LOW


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_crop_is_worth_nothing(level: int) -> None:
    measured = quality.measure(np.full((120, 120, 3), level, np.uint8), 120, 1.0)
    assert (measured.sharpness, measured.contrast) == (0, 0)
    assert measured.brightness == pytest.approx(level / 255)
    assert quality.confidence(1.0, measured) == 0


def test_sharpness_does_not_depend_on_the_size_of_the_crop(face: ImageArray) -> None:
    large = np.asarray(cv2.resize(face, (480, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert sharpness(large) == pytest.approx(sharpness(face), rel=0.1)


def test_a_gray_ramp_by_hand() -> None:
    # 48 columns of 5 levels' distance: no edge anywhere but at the borders, mean and deviation
    # those of 0, 5, .. 235.
    levels = np.arange(48) * 5
    crop = np.repeat(np.broadcast_to(levels, (48, 48))[:, :, None], 3, axis=2).astype(np.uint8)
    measured = quality.measure(crop, 48, 0.7)
    assert measured.brightness == pytest.approx(levels.mean() / 255)
    assert measured.contrast == pytest.approx(levels.std() / 255)
    assert measured.inside == 0.7
    assert sharpness(crop) == pytest.approx(np.sqrt(2 * 10**2 / 48), rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 2)])
def test_odd_shapes_are_measured(shape: tuple[int, int]) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    values = dataclasses.astuple(quality.measure(crop, max(shape), 1.0))
    assert np.isfinite(values).all()
