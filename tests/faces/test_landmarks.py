"""Sixty-eight points: their mirror image, their boxes, which way they are turned."""

from __future__ import annotations

import numpy as np
import pytest

from mien import geometry
from mien.data.table import Table
from mien.errors import ShapeError
from mien.face import FloatArray
from mien.faces import landmarks
from mien.faces.landmarks import CHIN, LEFT_EYE, MIRROR, MOUTH, POINTS, RIGHT_EYE, Inset

MIDLINE = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


def box(*corners: float) -> FloatArray:
    return np.array(corners, np.float32)


def level_face() -> FloatArray:
    """Made up: 40 wide from x = -20, 60 high from y = -30, the eyes level at y = -10."""
    draw = np.random.default_rng(0)
    points = np.asarray(draw.uniform([-19, -29], [19, 29], (POINTS, 2)), np.float32)
    points[RIGHT_EYE], points[LEFT_EYE] = [-8, -10], [8, -10]
    points[0], points[16], points[CHIN], points[19] = [-20, 0], [20, 0], [0, 30], [-9, -30]
    return points


def turned(points: FloatArray, degrees: float, to: tuple[float, float] = (0, 0)) -> FloatArray:
    """Points turned clockwise as one looks at them, about the origin, and shifted."""
    a = np.radians(degrees)
    x, y = points.T
    return np.asarray(
        np.stack([x * np.cos(a) - y * np.sin(a), x * np.sin(a) + y * np.cos(a)], 1) + to,
        np.float32,
    )


# -- the mirror ---------------------------------------------------------------------------------


def test_a_mirrored_mirror_image_is_the_face() -> None:
    assert sorted(MIRROR) == list(range(POINTS))
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(POINTS))
    assert np.flatnonzero(np.arange(POINTS) == MIRROR).tolist() == MIDLINE


@pytest.mark.parametrize(
    ("right", "left"),
    [
        (range(0, 8), range(9, 17)),
        (range(17, 22), range(22, 27)),
        (range(31, 33), range(34, 36)),
        (range(36, 42), range(42, 48)),
        ((48, 49, 50, 58, 59), (52, 53, 54, 55, 56)),
        ((60, 61, 67), (63, 64, 65)),
    ],
    ids=["jaw", "brows", "nose", "eyes", "outer lips", "inner lips"],
)
def test_right_and_left_change_places(right: tuple[int, ...], left: tuple[int, ...]) -> None:
    assert set(MIRROR[list(right)]) == set(left)
    assert set(MIRROR[list(left)]) == set(right)


def test_the_mirror_is_that_of_real_faces(w300_table: Table) -> None:
    """The mean face is symmetric: mirrored, each point lies on the one it stands for."""
    eyes = np.array([[-0.5, 0], [0.5, 0]])
    faces = []
    for row in w300_table.rows[::4]:
        points = np.array(row.landmarks).reshape(POINTS, 2)
        own = geometry.similarity(points[[36, 45]], eyes)
        faces.append(geometry.transform(own, points))
    mean = np.mean(faces, axis=0)
    apart = np.linalg.norm(mean[:, None] - mean * [-1, 1], axis=2)
    np.testing.assert_array_equal(apart.argmin(axis=0), MIRROR)


# -- boxes --------------------------------------------------------------------------------------


def test_an_inset_is_a_smaller_square_lower_down() -> None:
    inset = Inset(side=0.5, drop=0.1)
    np.testing.assert_allclose(inset.of(box(10, 20, 50, 80)), [15, 41, 45, 71])
    np.testing.assert_allclose(inset.of(box(10, 20, 70, 80)), [25, 41, 55, 71])
    assert inset.of(box(10, 20, 50, 80)).dtype == np.float32


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        (90, [9, 35, 39, 65]),  # the head lies on its right side, its chin to the left
        (-90, [21, 35, 51, 65]),
        (180, [15, 29, 45, 59]),
        (30, [12, 40.196, 42, 70.196]),
    ],
)
def test_an_inset_of_a_turned_face_lies_towards_its_chin(
    degrees: float, expected: list[float]
) -> None:
    inset = Inset(side=0.5, drop=0.1)
    given = inset.of(box(10, 20, 50, 80), float(np.radians(degrees)))
    np.testing.assert_allclose(given, expected, atol=1e-3)


def test_a_level_face_s_box_is_the_box_around_it() -> None:
    """Half a pixel apart: points count from the middle of a pixel, boxes from its edge."""
    points = turned(level_face(), 0, to=(100, 200))
    around, turn = landmarks.leveled_box(points)
    assert turn == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(around, [80.5, 170.5, 120.5, 230.5], atol=1e-4)
    np.testing.assert_allclose(landmarks.bounds(points), [80, 170, 120, 230])


@pytest.mark.parametrize("degrees", [-120, -45, -10, 5, 30, 90, 170])
def test_a_turned_face_s_box_is_as_large_and_about_the_same_middle(degrees: float) -> None:
    points = turned(level_face(), degrees, to=(100, 200))
    around, turn = landmarks.leveled_box(points)
    assert np.degrees(turn) == pytest.approx(degrees, abs=1e-3)
    np.testing.assert_allclose(around, [80.5, 170.5, 120.5, 230.5], atol=1e-3)


def test_a_turned_face_whose_middle_is_not_the_origin() -> None:
    """Its box moves with it, and is not turned about the corner of the picture."""
    away = turned(level_face(), 0, to=(7, 13))
    around, turn = landmarks.leveled_box(turned(away, 40))
    middle = turned(np.array([[7, 13]], np.float32), 40)[0] + 0.5
    np.testing.assert_allclose((around[:2] + around[2:]) / 2, middle, atol=1e-3)
    np.testing.assert_allclose(around[2:] - around[:2], [40, 60], atol=1e-3)
    assert np.degrees(turn) == pytest.approx(40, abs=1e-3)


@pytest.mark.parametrize("degrees", [0, 25, -70])
def test_a_face_s_box_has_its_forehead(degrees: float) -> None:
    """30 % of 60 pixels more, above the brows: 78 high, the middle 9 pixels up the face."""
    around = landmarks.face_box(turned(level_face(), degrees, to=(100, 200)))
    up = turned(np.array([[0, -9]], np.float32), degrees)[0]
    np.testing.assert_allclose(around[2:] - around[:2], [40, 78], atol=1e-3)
    np.testing.assert_allclose(
        (around[:2] + around[2:]) / 2, up + np.array([100.5, 200.5]), atol=1e-3
    )


# -- measures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0, 20, -20, 89, -135])
def test_roll_is_positive_clockwise(degrees: float) -> None:
    assert np.degrees(landmarks.roll(turned(level_face(), degrees))) == pytest.approx(
        degrees, abs=1e-3
    )


def test_the_subject_s_left_eye_lower_is_clockwise() -> None:
    """The left eye is to the right of the picture; y grows downwards."""
    points = level_face()
    points[LEFT_EYE, 1] += 16
    assert np.degrees(landmarks.roll(points)) == pytest.approx(45)


def test_interocular_is_from_outer_corner_to_outer_corner() -> None:
    points = level_face()
    points[36], points[45] = [1, 2], [31, 42]
    assert landmarks.interocular(points) == pytest.approx(50)


def test_five_points_in_their_order() -> None:
    points = np.stack([np.arange(POINTS), np.arange(POINTS) ** 2], 1).astype(np.float32)
    five = landmarks.five(points)
    assert five[:, 0].tolist() == [38.5, 44.5, 30, 48, 54]
    assert five[2:, 1].tolist() == [900, 48**2, 54**2]
    np.testing.assert_allclose(landmarks.eye_centres(points), five[:2])
    assert points[MOUTH][:, 0].tolist() == list(range(48, 68))


@pytest.mark.parametrize("shape", [(67, 2), (68, 3), (136,), (1, 68, 2)])
def test_other_numbers_of_points_are_refused(shape: tuple[int, ...]) -> None:
    landmarks.check(np.zeros((68, 2), np.float32))
    with pytest.raises(ShapeError, match=r"landmarks are \(68, 2\)"):
        landmarks.check(np.zeros(shape, np.float32))
