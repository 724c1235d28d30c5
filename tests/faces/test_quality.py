"""Quality: its bounds are the documented ones, and a better picture never scores less."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import cv2
import numpy as np
import pytest

from mien import geometry
from mien.face import Crop, Face, FloatArray, Frame, ImageArray, Quality
from mien.faces import align, pose, quality

GOOD = Quality(size_px=100, sharpness=30, brightness=0.5, contrast=0.2, inside=1)
MEASURES = {
    "size": "size_px",
    "sharpness": "sharpness",
    "dark": "brightness",
    "bright": "brightness",
    "contrast": "contrast",
    "inside": "inside",
    "yaw": "yaw_rad",
    "pitch": "pitch_rad",
    "tilt": "tilt_rad",
}
ANGLES = ("yaw", "pitch", "tilt")


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


def of_crop(pixels: ImageArray) -> Quality:
    """The quality of a picture that is one face, cut already."""
    frame = Frame(pixels)
    box = np.array([0, 0, frame.width, frame.height], np.float32)
    return quality.measure(frame, Face(box, 1.0), pixels)


def sharpness(crop: ImageArray) -> float:
    return of_crop(crop).sharpness


def test_a_good_picture_is_as_good_as_its_detection() -> None:
    assert quality.picture_quality(0.83, GOOD) == pytest.approx(0.83)


@pytest.mark.parametrize("name", MEASURES)
def test_the_documented_bounds_hold(name: str) -> None:
    low, high = documented()[name]

    def factor(value: float) -> float:
        return quality.picture_quality(1.0, dataclasses.replace(GOOD, **{MEASURES[name]: value}))

    beyond = (high - low) / 10
    assert factor(low) == 0
    assert factor(low - beyond) == 0
    assert factor(high) == pytest.approx(1)
    assert factor(high + beyond) == 1
    assert factor((low + high) / 2) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ANGLES)
def test_either_side_is_alike_and_turning_further_never_helps(name: str) -> None:
    angles = np.linspace(0, np.pi, 50)
    values = [
        quality.picture_quality(0.9, dataclasses.replace(GOOD, **{MEASURES[name]: float(angle)}))
        for angle in angles
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(0.9)
    assert values[-1] == 0
    for angle, value in zip(angles, values, strict=True):
        other = dataclasses.replace(GOOD, **{MEASURES[name]: -float(angle)})
        assert quality.picture_quality(0.9, other) == value


def test_what_is_not_known_costs_nothing_and_roll_by_itself_neither() -> None:
    assert GOOD.yaw_rad is None
    assert quality.picture_quality(0.9, GOOD) == pytest.approx(0.9)
    rolled = dataclasses.replace(GOOD, yaw_rad=0, pitch_rad=0, roll_rad=3, tilt_rad=0)
    assert quality.picture_quality(0.9, rolled) == pytest.approx(0.9)


def test_picture_quality_never_falls_when_one_measure_improves() -> None:
    bounds = {
        name: (low, high)
        for name, (low, high) in documented().items()
        if name not in ("dark", "bright", "pitch")  # as many again would take a minute
    }
    grid = {
        name: np.linspace(low - (high - low) / 4, high, 4) for name, (low, high) in bounds.items()
    }
    steps = {name: (high - low) / 7 for name, (low, high) in bounds.items()}
    for values in itertools.product([0.0, 0.4, 1.0], *grid.values()):
        score, named = values[0], dict(zip(grid, map(float, values[1:]), strict=True))

        def made(changed: dict[str, float]) -> Quality:
            fields = {MEASURES[name]: max(0.0, value) for name, value in changed.items()}
            return Quality(brightness=0.5, **fields)

        before = quality.picture_quality(score, made(named))
        assert 0 <= before <= score
        assert quality.picture_quality(min(1, score + 0.1), made(named)) >= before
        for name, step in steps.items():
            assert (
                quality.picture_quality(score, made(named | {name: named[name] + step})) >= before
            )


def test_a_face_in_good_light_is_trusted(face: ImageArray) -> None:
    measured = of_crop(face)
    assert quality.picture_quality(1.0, measured) == 1
    assert measured.size_px == 120
    assert 0.3 < measured.brightness < 0.8


def test_blur_lowers_sharpness(face: ImageArray) -> None:
    blurred = [np.asarray(cv2.GaussianBlur(face, (0, 0), s), np.uint8) for s in (1, 2, 4, 8, 16)]
    sharp = [sharpness(crop) for crop in (face, *blurred)]
    assert sharp == sorted(sharp, reverse=True)
    assert sharp[0] > 3 * sharp[-1]
    measured = of_crop(blurred[-1])
    assert (
        quality.picture_quality(1.0, measured) < 0.3 < quality.picture_quality(1.0, of_crop(face))
    )


def test_darkness_lowers_contrast_and_brightness(face: ImageArray) -> None:
    dark = [of_crop((face * share).astype(np.uint8)) for share in (1.0, 0.5, 0.2, 0.05)]
    contrasts, lights = [m.contrast for m in dark], [m.brightness for m in dark]
    assert contrasts == sorted(contrasts, reverse=True)
    assert lights == sorted(lights, reverse=True)
    assert quality.picture_quality(1.0, dark[-1]) < quality.LOW


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_crop_is_worth_nothing(level: int) -> None:
    measured = of_crop(np.full((120, 120, 3), level, np.uint8))
    assert (measured.sharpness, measured.contrast) == (0, 0)
    assert measured.brightness == pytest.approx(level / 255)
    assert quality.picture_quality(1.0, measured) == 0


def test_sharpness_does_not_depend_on_the_size_of_the_crop(face: ImageArray) -> None:
    large = np.asarray(cv2.resize(face, (480, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert sharpness(large) == pytest.approx(sharpness(face), rel=0.1)


def test_a_gray_ramp_by_hand() -> None:
    # 48 columns of 5 levels' distance: no edge anywhere but at the borders, mean and deviation
    # those of 0, 5, .. 235.
    levels = np.arange(48) * 5
    crop = np.repeat(np.broadcast_to(levels, (48, 48))[:, :, None], 3, axis=2).astype(np.uint8)
    measured = of_crop(crop)
    assert measured.brightness == pytest.approx(levels.mean() / 255)
    assert measured.contrast == pytest.approx(levels.std() / 255)
    assert measured.inside == 1
    assert sharpness(crop) == pytest.approx(np.sqrt(2 * 10**2 / 48), rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 2)])
def test_odd_shapes_are_measured(shape: tuple[int, int]) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    values = dataclasses.astuple(of_crop(crop))[:5]
    assert np.isfinite(values).all()


@pytest.mark.parametrize(
    ("top", "least", "good", "expected"),
    [
        (0.6, 0.6, 1.0, False),
        (0.59, 0.6, 1.0, True),
        (0.9, 0.6, quality.LOW, False),
        (0.9, 0.6, quality.LOW - 0.01, True),
        (0.5, 0.6, 0.1, True),
    ],
)
def test_an_answer_is_uncertain_by_itself_or_by_its_picture(
    top: float, least: float, good: float, expected: bool
) -> None:
    assert quality.uncertain(top, least, good) is expected
    assert quality.LOW == 0.3


@pytest.mark.parametrize("shape", [(60, 100), (100, 60)])
def test_without_a_crop_the_whole_picture_is_the_face(shape: tuple[int, int]) -> None:
    measured = of_crop(np.zeros((*shape, 3), np.uint8))
    assert (measured.size_px, measured.inside) == (100, 1)
    assert measured.tilt_rad is None


# -- angles and the crop ------------------------------------------------------------------------


def head(roll: float) -> FloatArray:
    """The points of a made-up level head, then turned clockwise by ``roll`` about (200, 200)."""
    points = np.zeros((68, 2), np.float32)
    points[list(pose.RIGID)] = pose._TABLE[:, :2] * 100
    points[[37, 38, 40, 41]], points[[43, 44, 46, 47]] = [-36, 1], [36, 1]
    points[48:68] = np.linspace([-30, 80], [30, 80], 20)
    points[:17] = np.stack([np.linspace(-70, 70, 17), 120 - np.abs(np.arange(17) - 8) * 14], axis=1)
    turn = geometry.turned_square(np.zeros(2), 1, -roll, 1)
    return geometry.transform(turn, points) + np.array([200, 200], np.float32)


@pytest.mark.parametrize("roll", [-2.0, -0.5, 0.0, 0.7, 3.1])
def test_roll_costs_what_the_crop_leaves_of_it(roll: float) -> None:
    frame = Frame(np.random.default_rng(0).integers(0, 256, (400, 400, 3)).astype(np.uint8))
    face = Face(np.array([100, 100, 300, 330], np.float32), 1.0, head(roll))
    level = dataclasses.replace(face, crop=align.xu2019(head(roll), 48))
    upright = dataclasses.replace(face, crop=align.box(face.box, 1.0))
    ours = quality.measure(frame, level, frame.rgb[:48, :48])
    theirs = quality.measure(frame, upright, frame.rgb[:48, :48])
    assert (
        ours.roll_rad == theirs.roll_rad == pytest.approx(math.remainder(roll, math.tau), abs=1e-3)
    )
    assert ours.tilt_rad == pytest.approx(0, abs=1e-3)
    assert theirs.tilt_rad == pytest.approx(roll, abs=1e-3)
    assert ours.yaw_rad == pytest.approx(0, abs=0.01)
    assert ours.pitch_rad == pytest.approx(0, abs=0.01)
    expected = float(np.clip((1.2 - abs(roll)) / 0.8, 0, 1))
    assert quality.picture_quality(1.0, ours) == pytest.approx(1, abs=1e-3)
    assert quality.picture_quality(1.0, theirs) == pytest.approx(expected, abs=2e-3)


def test_size_and_share_are_the_crop_s() -> None:
    frame = Frame(np.zeros((100, 100, 3), np.uint8))
    matrix = geometry.turned_square(np.array([-0.5, 50.0]), 40, np.pi, 48)
    face = Face(np.array([0, 30, 20, 70], np.float32), 1.0, crop=Crop(matrix, 48))
    measured = quality.measure(frame, face, frame.rgb)
    assert measured.size_px == pytest.approx(40)
    assert measured.inside == pytest.approx(0.5)


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_landmarks_of_no_face_have_no_angles(value: float) -> None:
    frame = Frame(np.zeros((100, 100, 3), np.uint8))
    points = np.full((68, 2), value, np.float32)
    face = Face(np.array([0, 0, 50, 50], np.float32), 1.0, points)
    measured = quality.measure(frame, face, frame.rgb)
    assert (measured.yaw_rad, measured.pitch_rad) == (None, None)
    assert (measured.roll_rad, measured.tilt_rad) == (None, None)
