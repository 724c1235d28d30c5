"""Made-up scenes: faces lie where they are said to, and a seed is a scene."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.data import scenes
from mien.data.scenes import MOST, SIDE, make, sources
from mien.data.table import Row, Table
from mien.errors import DataError
from mien.face import FloatArray, ImageArray
from mien.faces.landmarks import LEFT_EYE, RIGHT_EYE

Made = tuple[ImageArray, FloatArray]


def encoded(gray: ImageArray) -> bytes:
    return cv2.imencode(".png", gray)[1].tobytes()


def face(side: int = 120) -> Row:
    """A dark picture with a bright disc as wide as its landmarks, and a black right eye."""
    gray = np.full((side, side), 40, np.uint8)
    middle, radius = side // 2, side // 4
    cv2.circle(gray, (middle, middle), radius, 230, -1)
    cv2.circle(gray, (middle - radius // 2, middle), radius // 5, 0, -1)
    points = np.full((68, 2), middle, np.float32)
    points[0], points[16] = (middle - radius, middle), (middle + radius, middle)
    points[8], points[20] = (middle, middle + radius), (middle, middle - radius)
    points[RIGHT_EYE, 0], points[LEFT_EYE, 0] = middle - radius // 2, middle + radius // 2
    return Row(
        "f", "train", "unknown", encoded(gray), side, side, landmarks=tuple(points.ravel().tolist())
    )


def table(*rows: Row) -> Table:
    return Table("made", list(rows))


def plain(level: int, side: int = 400) -> Row:
    gray = np.full((side, side), level, np.uint8)
    return Row("b", "backgrounds", "not_a_face", encoded(gray), side, side)


@pytest.fixture(scope="module")
def made() -> Made:
    return make(sources(table(face()), table(plain(100)), table(plain(120, 96))), 60, seed=5)


def test_shapes_and_numbers(made: Made) -> None:
    pictures, targets = made
    assert pictures.shape == (60, 1, SIDE, SIDE)
    assert pictures.dtype == np.uint8
    assert targets.shape == (60, MOST, 4)
    counts = (~np.isnan(targets[:, :, 0])).sum(axis=1)
    assert counts.min() == 0
    assert counts.max() >= 3
    there = targets[~np.isnan(targets[:, :, 0])]
    assert not np.isnan(there).any()
    assert (there[:, 2] >= 12).all()
    assert (there[:, 2] <= 240).all()


def test_faces_lie_where_they_are_said_to(made: Made) -> None:
    """The disc is bright on its left side, the eye black on its right: so much for the roll."""
    checked = 0
    for picture, targets in zip(*made, strict=True):
        for x, y, side, roll in targets[~np.isnan(targets[:, 0])]:
            off = np.array([np.cos(roll), np.sin(roll)]) * side / 4
            places = np.array([np.subtract((x, y), off), np.add((x, y), off)]).round().astype(int)
            if side < 40 or places.min() < 3 or places.max() > 316:
                continue
            checked += 1
            eye, cheek = (float(picture[0, row, column]) for column, row in places)
            assert eye < cheek - 60
    assert checked >= 15


def test_a_seed_is_a_scene() -> None:
    material = sources(table(face()), table(plain(100)), table(plain(120, 96)))
    one, other, third = make(material, 4, 1), make(material, 6, 1), make(material, 4, 2)
    np.testing.assert_array_equal(one[0], other[0][:4])
    np.testing.assert_array_equal(one[1], other[1][:4])
    assert (one[0] != third[0]).any()


def test_a_face_without_landmarks() -> None:
    with pytest.raises(DataError, match="b has no landmarks"):
        sources(table(plain(3)), table(plain(100)), table(plain(120, 96)))


def test_large_backgrounds_are_kept_small() -> None:
    wide = sources(table(face()), table(plain(100, 2000)), table(plain(120, 96)))
    assert max(wide.backgrounds[0].shape) == 720
    assert scenes.TARGETS == 4
