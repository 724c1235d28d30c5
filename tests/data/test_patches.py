"""Patches twice as wide as the face: what was at a point of the picture is at it in the patch."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.data import patches
from mien.data.patches import SIDE, patch_square, square_patch
from mien.data.table import Row, Table
from mien.face import FloatArray, ImageArray
from mien.faces.landmarks import NOSE_TIP, POINTS

LOW, HIGH = 0, 1  # the points that span the box of the made-up faces


def face(left: float, top: float, width: float, height: float, tip: float) -> FloatArray:
    """Made-up landmarks in a box, the nose tip at a share of it from the left and top."""
    draw = np.random.default_rng(0)
    points = np.asarray(draw.uniform(0.3, 0.7, (POINTS, 2)), np.float32)
    points[LOW], points[HIGH], points[NOSE_TIP] = 0, 1, tip
    return np.asarray(points * [width, height] + [left, top], np.float32)


def row(gray: ImageArray, points: FloatArray, name: str = "made") -> Row:
    height, width = gray.shape
    placed = tuple(float(v) for v in points.ravel())
    png = cv2.imencode(".png", gray)[1].tobytes()
    return Row(name, "train", "unknown", png, width, height, landmarks=placed)


def dot(point: FloatArray, radius: float, width: int = 600, height: int = 500) -> ImageArray:
    """A soft bright dot around a point, on black."""
    y, x = np.mgrid[:height, :width]
    away = np.hypot(x - point[0], y - point[1])
    return np.asarray(255 * np.exp(-((away / radius) ** 2)), np.uint8)


def middle(gray: ImageArray) -> FloatArray:
    """Where what is bright has its centre of gravity, x y."""
    y, x = np.mgrid[: gray.shape[0], : gray.shape[1]]
    weights = gray.astype(float) / gray.sum()
    return np.array([(x * weights).sum(), (y * weights).sum()], np.float32)


@pytest.mark.parametrize("width", [30.0, 60.0, 85.0, 110.0, 200.0, 243.0])
@pytest.mark.parametrize("tip", [0.3, 0.5, 0.77])
def test_a_dot_at_a_point_is_at_the_point_of_the_patch(width: float, tip: float) -> None:
    """From a face enlarged three times to one shrunk five times; a tenth of a pixel of 96."""
    points = face(150.3, 120.8, width, 0.9 * width, tip)
    made = Table("made", [row(dot(points[NOSE_TIP], 0.05 * width), points)])
    found, moved = patches.of_faces(made)
    assert found.shape == (1, 96, 96)
    assert found.dtype == np.uint8
    assert moved.dtype == np.float32
    np.testing.assert_allclose(middle(found[0]), moved[0, NOSE_TIP], atol=0.1)


def test_the_face_fills_the_middle_half_of_the_patch() -> None:
    points = face(150, 120, 100, 80, 0.5)
    _, moved = patches.of_faces(Table("made", [row(dot(points[0], 5), points)]))
    # 200 pixels onto 96; edges count from 0, points from the middle of a pixel.
    np.testing.assert_allclose(moved[0, [LOW, HIGH], 0] + 0.5, [24, 72], atol=1e-3)
    np.testing.assert_allclose(moved[0, [LOW, HIGH], 1] + 0.5, [48 - 19.2, 48 + 19.2], atol=1e-3)


def test_every_row_has_its_own_patch() -> None:
    rows = []
    for i, tip in enumerate((0.3, 0.6, 0.45)):
        points = face(100 + 40 * i, 90, 60 + 20 * i, 70, tip)
        rows.append(row(dot(points[NOSE_TIP], 4), points, f"made{i}"))
    found, moved = patches.of_faces(Table("made", rows))
    for patch, points in zip(found, moved, strict=True):
        np.testing.assert_allclose(middle(patch), points[NOSE_TIP], atol=0.1)


def test_the_square_of_a_box() -> None:
    centre, side = patch_square(np.array([10, 20, 50, 100], np.float32))
    assert centre.tolist() == [30, 60]
    assert side == 160


def test_beyond_the_picture_its_border_repeats() -> None:
    """A picture of 48 in the middle of a patch of 96."""
    gray = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    patch = square_patch(gray, np.array([23.5, 23.5], np.float32), 96.0)
    np.testing.assert_array_equal(patch, np.pad(gray, 24, mode="edge"))


def test_a_turned_square_is_upright_in_its_patch() -> None:
    """Turned clockwise by a right angle: what was on its right is above."""
    gray = np.random.default_rng(0).integers(0, 256, (140, 140), np.uint8)
    centre = np.array([69.5, 69.5], np.float32)
    upright, turned = square_patch(gray, centre, 96.0), square_patch(gray, centre, 96.0, np.pi / 2)
    np.testing.assert_array_equal(turned, np.rot90(upright))


def test_nothing_is_skipped_where_it_shrinks() -> None:
    """Stripes of one pixel become gray: sampling between them would leave black and white."""
    gray = np.zeros((480, 480), np.uint8)
    gray[:, ::2] = 255
    patch = square_patch(gray, np.array([239.5, 239.5], np.float32), 384.0)
    assert patch.shape == (SIDE, SIDE)
    assert np.abs(patch.astype(int) - 127).max() < 40


def test_real_points_stay_on_real_faces(w300_table: Table) -> None:
    """Eyes are darker than what lies between them and the mouth, at the points of the patch too."""
    few = w300_table.keep(i % 20 == 0 for i in range(len(w300_table)))
    found, moved = patches.of_faces(few)
    assert len(found) == len(few)
    assert ((moved > 20) & (moved < 76)).all()
    darker = 0
    for patch, points in zip(found, moved, strict=True):
        eyes = points[36:48].reshape(2, 6, 2).mean(axis=1)
        cheeks = eyes + (points[[48, 54]] - eyes) * 0.5
        levels = [
            [int(patch[round(float(y)), round(float(x))]) for x, y in c] for c in (eyes, cheeks)
        ]
        darker += sum(levels[0]) < sum(levels[1])
    assert darker > 0.9 * len(few)
