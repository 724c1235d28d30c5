"""Where the shipped network puts points: against a hand's, and against itself on moved pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import geometry
from mien.data.table import Table
from mien.errors import ModelError, WeightsMissing
from mien.face import FloatArray, Frame, ImageArray
from mien.faces import landmarks
from mien.faces.landmarker import Landmarker, squares
from mien.faces.landmarks import POINTS
from mien.weights import catalogue

AROUND = np.array([183, 78, 263, 168], np.float32)  # about where the astronaut's points lie
BY_HAND = {  # read off the picture
    "right eye": (203, 101),
    "left eye": (246, 103),
    "right corner of the mouth": (202, 140),
    "left corner of the mouth": (245, 141),
}
BETWEEN_EYES = 60.0  # from outer corner to outer corner


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker()


@pytest.fixture(scope="module")
def points(landmarker: Landmarker, portrait: Frame) -> FloatArray:
    """The astronaut's, (68, 2)."""
    return placed(landmarker, portrait, AROUND)


def placed(landmarker: Landmarker, frame: Frame, box: FloatArray, roll: float = 0.0) -> FloatArray:
    """The points of the one face in a box, which must be seen."""
    result = landmarker.place(frame, box[None], [roll])
    assert result.points.dtype == result.scores.dtype == np.float32
    assert result.scores[0] > 0.9
    return np.asarray(result.points[0])


def apart(ours: FloatArray, theirs: FloatArray) -> float:
    """The mean distance of points (68, 2) over that of the eyes, as 300-W counts."""
    between = landmarks.interocular(theirs)
    return float(np.linalg.norm(ours - theirs, axis=1).mean() / between)


def noise(seed: int, width: int = 100, height: int = 100) -> ImageArray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


class DotSeeker:
    """A session that puts every point on the middle of what is bright."""

    def run(self, names: None, feed: dict[str, FloatArray]) -> list[FloatArray]:
        crops = feed["face"][:, 0]
        shares = crops / crops.sum(axis=(1, 2), keepdims=True)
        at = (np.arange(64) + 0.5) / 64  # of the crop, from edge to edge
        middle = np.stack([(shares.sum(1) * at).sum(1), (shares.sum(2) * at).sum(1)], axis=1)
        points = np.repeat(middle[:, None], POINTS, axis=1)
        return [points.astype(np.float32), np.full(len(crops), 9, np.float32)]


@pytest.mark.parametrize("degrees", [0, 30, -75])
@pytest.mark.parametrize("side", [30.0, 61.0, 200.0])
def test_points_come_back_to_the_pixels_they_were_seen_on(side: float, degrees: float) -> None:
    """A network that is right to a hair shows whether half a pixel is lost on the way."""
    seeking = Landmarker()
    seeking._session = DotSeeker()  # type: ignore[assignment]
    x, y = 203.25, 188.75
    down, across = np.mgrid[:400, :400]
    away = np.hypot(across - x, down - y) / (side / 16)
    dot = np.asarray(255 * np.exp(-(away**2)), np.uint8)
    frame = Frame(np.repeat(dot[:, :, None], 3, axis=2))
    square = np.array([[x, y, x, y]]) + side * np.array([-0.4, -0.55, 0.6, 0.45])
    found = seeking.look(frame, np.asarray(square, np.float32), [float(np.radians(degrees))])
    np.testing.assert_allclose(found.points[0], np.tile([x, y], (POINTS, 1)), atol=0.004 * side)


# -- right points -------------------------------------------------------------------------------


def test_eyes_and_mouth_are_where_they_are(points: FloatArray) -> None:
    right, left, _, *corners = landmarks.five(points)
    for name, found in zip(BY_HAND, (right, left, *corners), strict=True):
        assert np.linalg.norm(found - BY_HAND[name]) < 5, name
    assert landmarks.interocular(points) == pytest.approx(BETWEEN_EYES, abs=6)
    nose, chin = points[landmarks.NOSE_TIP], points[landmarks.CHIN]
    assert right[1] < nose[1] < corners[0][1] < chin[1]
    assert points[landmarks.RIGHT_EAR, 0] < right[0] < left[0] < points[landmarks.LEFT_EAR, 0]


def test_on_faces_whose_points_people_placed(landmarker: Landmarker, w300_table: Table) -> None:
    """Sixty of HELEN's test part, which it never saw."""
    test = w300_table.of_split("test")
    few = test.keep(i % 5 == 0 and i < 300 for i in range(len(test)))
    errors = []
    for row, picture in zip(few.rows, few.pictures(), strict=True):
        by_hand = np.array(row.landmarks, np.float32).reshape(POINTS, 2)
        found = landmarker.place(Frame(picture), landmarks.bounds(by_hand)[None])
        errors.append(apart(found.points[0], by_hand))
        assert found.scores[0] > 0.5, row.id
    assert len(errors) == 60
    assert np.mean(errors) < 0.06


def test_the_second_look_places_them_better(landmarker: Landmarker, w300_table: Table) -> None:
    """From a box off by a fifth, as the worst of the cascades, and twenty degrees of turn."""
    few = w300_table.of_split("test")
    few = few.keep(i % 11 == 0 for i in range(len(few)))
    once, twice = [], []
    for row, picture in zip(few.rows, few.pictures(), strict=True):
        by_hand = np.array(row.landmarks, np.float32).reshape(POINTS, 2)
        box = geometry.square(landmarks.bounds(by_hand), 1.15)
        box += 0.2 * (box[2] - box[0])
        first = landmarker.look(Frame(picture), squares(box[None]), [0.35])
        once.append(apart(first.points[0], by_hand))
        second = landmarker.place(Frame(picture), box[None], [0.35])
        twice.append(apart(second.points[0], by_hand))
    assert np.mean(twice) < 0.9 * np.mean(once)
    assert np.mean(twice) < 0.07


# -- the same points on a picture that moved ------------------------------------------------------


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_wider_picture_shifts_them(
    landmarker: Landmarker, portrait: Frame, points: FloatArray, level: int
) -> None:
    """By whole pixels: every pixel the network sees is the same."""
    padding = ((50, 30), (70, 20), (0, 0))
    wider = Frame(np.pad(portrait.rgb, padding, constant_values=level))
    moved = placed(landmarker, wider, AROUND + np.array([70, 50, 70, 50], np.float32))
    np.testing.assert_allclose(moved, points + np.array([70, 50]), atol=0.05)


def test_a_cut_picture_shifts_them(
    landmarker: Landmarker, portrait: Frame, points: FloatArray
) -> None:
    part = Frame(portrait.rgb[40:200, 140:300].copy())
    moved = placed(landmarker, part, AROUND - np.array([140, 40, 140, 40], np.float32))
    np.testing.assert_allclose(moved, points - np.array([140, 40]), atol=0.05)


@pytest.mark.parametrize(("factor", "tolerance"), [(3.0, 0.5), (0.75, 1.5)])
def test_a_larger_picture_spreads_them(
    landmarker: Landmarker,
    portrait: Frame,
    points: FloatArray,
    factor: float,
    tolerance: float,
) -> None:
    how = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    rgb = cv2.resize(portrait.rgb, None, fx=factor, fy=factor, interpolation=how)
    scaled = placed(landmarker, Frame(np.asarray(rgb, np.uint8)), AROUND * np.float32(factor))
    # Pixel 0 has its middle at .5 of an edge-to-edge count, which is what grows with the picture.
    np.testing.assert_allclose((scaled + 0.5) / factor - 0.5, points, atol=tolerance)


@pytest.mark.parametrize("degrees", [20, -20])
def test_a_turned_picture_turns_them(
    landmarker: Landmarker, portrait: Frame, points: FloatArray, degrees: float
) -> None:
    """The second look is level again, whatever the first was told of the turn."""
    # OpenCV's angles are anticlockwise.
    matrix = np.asarray(cv2.getRotationMatrix2D((223.0, 123.0), -degrees, 1.0), np.float64)
    turned = cv2.warpAffine(portrait.rgb, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    frame = Frame(np.asarray(turned, np.uint8))
    expected = geometry.transform(matrix, points)
    untold = placed(landmarker, frame, AROUND)
    assert apart(untold, expected) < 0.03
    told = placed(landmarker, frame, AROUND, float(np.radians(degrees)))
    assert apart(told, expected) < 0.03
    assert np.degrees(landmarks.roll(told) - landmarks.roll(points)) == pytest.approx(
        degrees, abs=2
    )


def test_the_mirrored_picture_has_the_mirrored_points(
    landmarker: Landmarker, portrait: Frame, points: FloatArray
) -> None:
    mirrored = Frame(np.ascontiguousarray(portrait.rgb[:, ::-1]))
    x0, y0, x1, y1 = AROUND
    found = placed(landmarker, mirrored, np.array([512 - x1, y0, 512 - x0, y1], np.float32))
    back = np.stack([511 - found[:, 0], found[:, 1]], axis=1)[landmarks.MIRROR]
    assert apart(back, points) < 0.04


# -- many, few, none ----------------------------------------------------------------------------


def test_a_batch_is_its_faces_one_by_one(landmarker: Landmarker, portrait: Frame) -> None:
    """Two of them are no face; and more than fit one run of the network."""
    shifts = np.arange(70)[:, None] % 7 * np.array([1, -1, 1, -1])
    boxes = np.asarray(AROUND + shifts, np.float32)
    boxes[5], boxes[66] = [20, 400, 90, 480], [300, 20, 400, 120]
    rolls = [0.02 * (i % 5) for i in range(70)]
    many = landmarker.place(portrait, boxes, rolls)
    for i in (0, 5, 13, 63, 64, 66, 69):
        one = landmarker.place(portrait, boxes[i : i + 1], rolls[i : i + 1])
        np.testing.assert_allclose(many.points[i], one.points[0], atol=1e-2)
        assert many.scores[i] == pytest.approx(one.scores[0], abs=1e-4)
    assert many.scores[[5, 66]].max() < 0.5 < np.delete(many.scores, [5, 66]).min()


def test_no_boxes_no_faces(landmarker: Landmarker, portrait: Frame) -> None:
    none = landmarker.place(portrait, np.empty((0, 4), np.float32))
    assert (none.points.shape, none.scores.shape) == ((0, 68, 2), (0,))


def test_what_is_no_face_is_not_looked_at_again(landmarker: Landmarker, portrait: Frame) -> None:
    boxes = np.array([AROUND, [20, 400, 90, 480]], np.float32)
    first = landmarker.look(portrait, squares(boxes), [0.0, 0.0])
    found = landmarker.place(portrait, boxes, least=0.5)
    assert first.scores[1] < 0.5
    np.testing.assert_array_equal(found.points[1], first.points[1])
    assert found.scores[1] == first.scores[1]
    assert np.abs(found.points[0] - first.points[0]).max() > 0.1
    assert found.scores[0] <= first.scores[0]


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_face(landmarker: Landmarker, seed: int) -> None:
    rgb = noise(seed)
    blotches = cv2.GaussianBlur(rgb, (0, 0), 1 + seed)
    for picture in (rgb, np.asarray(blotches, np.uint8)):
        found = landmarker.place(Frame(picture), np.array([[0, 0, 100, 100]], np.float32))
        assert found.scores[0] < 0.5
        assert np.isfinite(found.points).all()


@pytest.mark.parametrize("level", [0, 1, 60, 128, 200, 255])
def test_one_colour_is_no_face(landmarker: Landmarker, level: int) -> None:
    frame = Frame(np.full((60, 80, 3), level, np.uint8))
    boxes = np.array([[0, 0, 80, 60], [20, 10, 50, 40], [-500, -500, 500, 500]], np.float32)
    found = landmarker.place(frame, boxes)
    assert found.scores.max() < 0.5
    assert np.isfinite(found.points).all()


def test_squares_may_reach_outside_the_picture(
    landmarker: Landmarker, portrait: Frame, points: FloatArray
) -> None:
    """A picture cut tight about the face: its border repeats, and the points stay."""
    x0, y0, x1, y1 = 176, 66, 270, 186
    tight = Frame(portrait.rgb[y0:y1, x0:x1].copy())
    found = placed(landmarker, tight, AROUND - np.array([x0, y0, x0, y0], np.float32))
    assert apart(found, points - np.array([x0, y0])) < 0.05


@pytest.mark.parametrize(
    "box",
    [
        [-300, -300, -100, -100],
        [600, 600, 700, 700],
        [-5000, -5000, 5000, 5000],
        [100, 100, 100.1, 100.1],
    ],
    ids=["left above", "right below", "far around", "less than a pixel"],
)
def test_boxes_beside_the_picture_and_out_of_all_proportion(
    landmarker: Landmarker, portrait: Frame, box: list[float]
) -> None:
    found = landmarker.place(portrait, np.array([box], np.float32))
    assert found.scores[0] < 0.5
    assert np.isfinite(found.points).all()


def test_the_smallest_picture(landmarker: Landmarker) -> None:
    found = landmarker.place(Frame(noise(0, 1, 1)), np.array([[0, 0, 1, 1]], np.float32))
    assert found.scores[0] < 0.5
    assert np.isfinite(found.points).all()


def test_the_squares_are_a_third_wider_than_the_longer_side() -> None:
    boxes = np.array([[10, 20, 50, 100], [0, 0, 40, 20]], np.float32)
    np.testing.assert_allclose(squares(boxes), [[-24, 6, 84, 114], [-7, -17, 47, 37]], atol=1e-4)
    assert squares(np.empty((0, 4), np.float32)).shape == (0, 4)


# -- its file -----------------------------------------------------------------------------------


def test_a_damaged_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalogue, "_SHIPPED", tmp_path)
    with pytest.raises(WeightsMissing, match=r"landmarks68 needs landmarks68\.onnx"):
        Landmarker()
    (tmp_path / "landmarks68.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"landmarks68\.onnx is damaged or another version"):
        Landmarker()
