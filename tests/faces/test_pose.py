"""Angles: rotations of a made-up head come back, with the signs the module promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from mien import geometry
from mien.errors import ShapeError
from mien.face import FloatArray
from mien.faces import landmarks, pose
from mien.faces.pose import Pose

Array = npt.NDArray[np.float64]

# A head of someone's own, in centimetres: x to the right, y down, z away from the viewer.
HEAD = np.zeros((68, 3))
HEAD[:] = [0.0, 3.5, 0.0]
HEAD[27:31] = [[0, -0.3, -2.5], [0, 1, -3.3], [0, 2.1, -4.0], [0, 3.3, -4.8]]
HEAD[31:36] = [
    [x, 4.3 + d, -2.4 - d]
    for x, d in zip([-1.5, -0.8, 0, 0.8, 1.5], [0, 0.3, 0.5, 0.3, 0], strict=True)
]
HEAD[36:42] = [
    [x, y, -0.5 - 0.2 * (x + 4.5)]
    for x, y in zip(
        [-4.5, -3.6, -2.7, -1.8, -2.7, -3.6], [0, -0.4, -0.4, 0.1, 0.3, 0.3], strict=True
    )
]
HEAD[42:48] = HEAD[[39, 38, 37, 36, 41, 40]] * [-1, 1, 1]


def turned(yaw: float, pitch: float, roll: float) -> FloatArray:
    """The head's points in a picture, angles in degrees; written out, not taken from the module."""
    y, p, r = np.radians([yaw, pitch, roll])
    nod = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    turn = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    tilt = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray((HEAD @ (tilt @ turn @ nod).T)[:, :2] * 11 + [300, 200], np.float32)


def angles(points: FloatArray) -> tuple[float, float, float]:
    found = pose.estimate(points)
    assert found is not None
    yaw, pitch, roll = np.degrees([found.yaw_rad, found.pitch_rad, found.roll_rad])
    return float(yaw), float(pitch), float(roll)


def test_the_made_up_head_turns_as_the_words_say() -> None:
    straight, left, up, clockwise = (
        turned(*a) for a in ((0, 0, 0), (30, 0, 0), (0, 30, 0), (0, 0, 30))
    )
    tip, eyes = landmarks.NOSE_TIP, [36, 45]
    assert left[tip, 0] - left[eyes, 0].mean() > straight[tip, 0] - straight[eyes, 0].mean() + 10
    assert up[tip, 1] - up[eyes, 1].mean() < straight[tip, 1] - straight[eyes, 1].mean() - 10
    assert landmarks.roll(clockwise) == pytest.approx(np.radians(30), abs=0.01)


@pytest.mark.parametrize("yaw", [-45, -20, 0, 10, 45])
@pytest.mark.parametrize("pitch", [-25, 0, 20])
@pytest.mark.parametrize("roll", [-150, -30, 0, 90])
def test_known_rotation_in_same_rotation_out(yaw: float, pitch: float, roll: float) -> None:
    straight = angles(turned(0, 0, 0))
    found = angles(turned(yaw, pitch, roll))
    # Another head than the table's, so to within some degrees, from its own pitch when straight.
    assert found[0] == pytest.approx(yaw, abs=6)
    assert found[1] - straight[1] == pytest.approx(pitch, abs=6)
    assert found[2] == pytest.approx(roll, abs=6)


def test_a_straight_head_is_straight() -> None:
    yaw, pitch, roll = angles(turned(0, 0, 0))
    assert yaw == pytest.approx(0, abs=0.1)
    assert roll == pytest.approx(0, abs=0.1)
    assert abs(pitch) < 8


@pytest.mark.parametrize("yaw", [-50, -20, 35])
def test_place_size_and_roll_change_nothing_else(yaw: float) -> None:
    points = turned(yaw, 10, 0)
    before = angles(points)
    matrix = geometry.turned_square(np.array([50.0, 60.0]), 30, np.radians(-40), 100)
    after = angles(geometry.transform(matrix, points))
    np.testing.assert_allclose(after, [before[0], before[1], before[2] + 40], atol=1e-2)


def test_the_mirror_image_turns_the_other_way() -> None:
    points = turned(25, -12, 8)
    yaw, pitch, roll = angles(points)
    other = angles((points * [-1, 1])[landmarks.MIRROR].astype(np.float32))
    np.testing.assert_allclose(other, [-yaw, pitch, -roll], atol=1e-3)


def test_an_open_mouth_and_raised_brows_turn_no_head() -> None:
    points = turned(10, 5, 0)
    moved = points.copy()
    moved[landmarks.MOUTH] += [0, 40]
    moved[:27] -= [0, 15]
    assert angles(moved) == angles(points)


@pytest.mark.parametrize(
    "points",
    [
        np.full((68, 2), 9.0),
        np.full((68, 2), np.nan),
        np.full((68, 2), np.inf),
        np.stack([np.arange(68.0), 2 * np.arange(68.0)], axis=1),
    ],
    ids=["one place", "nan", "inf", "line"],
)
def test_points_of_no_face_have_no_pose(points: FloatArray) -> None:
    assert pose.estimate(points.astype(np.float32)) is None


def test_five_points_are_misuse() -> None:
    with pytest.raises(ShapeError, match=r"\(68, 2\)"):
        pose.estimate(np.zeros((5, 2), np.float32))


def test_noise_is_no_crash() -> None:
    draw = np.random.default_rng(0)
    for _ in range(200):
        found = pose.estimate(draw.normal(0, 50, (68, 2)).astype(np.float32))
        assert found is None or np.isfinite([found.yaw_rad, found.pitch_rad, found.roll_rad]).all()


def test_real_faces(shared: Path) -> None:
    """Nobody's points are refused; people look around, most of them straight ahead."""
    pointed = pd.read_parquet(shared / "data" / "landmarks68.parquet", columns=["landmarks"])
    found = [pose.estimate(np.asarray(p, np.float32).reshape(68, 2)) for p in pointed.landmarks]
    poses = [p for p in found if isinstance(p, Pose)]
    assert len(poses) == len(found)
    yaw, pitch, roll = np.degrees([(p.yaw_rad, p.pitch_rad, p.roll_rad) for p in poses]).T
    assert abs(np.median(yaw)) < 3
    assert abs(np.median(pitch)) < 3
    assert 10 < yaw.std() < 20
    assert np.abs(yaw).max() < 75
    levels = [landmarks.roll(np.asarray(p, np.float32).reshape(68, 2)) for p in pointed.landmarks]
    assert np.corrcoef(roll, levels)[0, 1] > 0.98
