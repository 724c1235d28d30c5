"""Crops: on a ramp the values say which pixels came, on made-up faces where each point goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mien import geometry
from mien.errors import ShapeError, UnknownName
from mien.face import Crop, Face, FloatArray, Frame, ImageArray
from mien.faces import align, landmarks
from mien.faces.align import ALIGNMENTS, cut, outline, share_inside

WIDTH, HEIGHT = 50, 40


def ramp(width: int = WIDTH, height: int = HEIGHT) -> Frame:
    """Red is x, green is y."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.arange(width)
    rgb[..., 1] = np.arange(height)[:, None]
    return Frame(rgb)


def box(x0: float, y0: float, x1: float, y1: float) -> FloatArray:
    return np.array([x0, y0, x1, y1], np.float32)


def whole(frame: Frame, around: FloatArray) -> ImageArray:
    """What the plain alignment cuts of a frame."""
    return cut(frame, align.box(around, 1.0))


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
    crop = whole(ramp(), box(x, y, x + side, y + side))
    assert crop.shape == (side, side, 3)
    assert crop.dtype == np.uint8
    assert columns(crop) == clamped(x, side, WIDTH)
    assert rows(crop) == clamped(y, side, HEIGHT)


def test_inside_outside_left_and_below_by_hand() -> None:
    inside = whole(ramp(), box(10, 20, 13, 23))
    assert (columns(inside), rows(inside)) == ([10, 11, 12], [20, 21, 22])
    corner = whole(ramp(), box(-2, 37, 3, 42))
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
    crop = whole(ramp(), given)
    assert (columns(crop), rows(crop)) == (x, y)


def test_a_shift_of_less_than_a_pixel_never_changes_the_side() -> None:
    sides = {whole(ramp(), box(x, x, x + 9, x + 9)).shape for x in np.arange(-5, 45, 0.1)}
    assert sides == {(9, 9, 3)}


def test_a_box_much_larger_than_the_picture() -> None:
    crop = whole(ramp(), box(-1000, -1000, 1000, 1000))
    assert columns(crop) == clamped(-1000, 2000, WIDTH)
    assert rows(crop) == clamped(-1000, 2000, HEIGHT)


@pytest.mark.parametrize(
    "given", [box(0, 0, 1, 1), box(-3, -3, 4, 4), box(50, -90, 57, -83), box(0.4, 0.4, 0.6, 0.6)]
)
def test_a_picture_of_one_pixel(given: FloatArray) -> None:
    crop = whole(Frame(np.full((1, 1, 3), 77, np.uint8)), given)
    assert crop.shape[0] == crop.shape[1] == max(1, round(float(given[2] - given[0])))
    assert (crop == 77).all()


def test_the_picture_stays_as_it_was() -> None:
    frame = ramp()
    whole(frame, box(-5, -5, 20, 20))
    np.testing.assert_array_equal(frame.rgb, ramp().rgb)


def edges(crop: Crop) -> list[float]:
    """x0 y0 x1 y1 of a crop's outline, counted from the edges of pixels as boxes are."""
    return [float(v) for v in landmarks.bounds(outline(crop) + 0.5)]


def test_the_plain_crop_is_a_square_about_the_face() -> None:
    crop = align.box(box(20, 10, 30, 30), 1.1)
    assert edges(crop) == [14, 9, 36, 31]
    assert crop.size == align.side(crop) == 22
    assert align.roll(crop) == 0


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
    corners = np.array([given[:2], given[[2, 1]], given[2:], given[[0, 3]]]) - 0.5
    crop = stretched(corners)
    np.testing.assert_allclose(outline(crop), corners, atol=1e-4)
    assert share_inside(ramp(), crop) == pytest.approx(expected)


def test_share_inside_never_leaves_0_to_1() -> None:
    draw = np.random.default_rng(0)
    for _ in range(500):
        x, y = draw.uniform(-60, 60, 2)
        w, h = draw.uniform(0.01, 120, 2)
        roll = draw.uniform(-4, 4)
        crop = Crop(geometry.turned_square(np.array([x, y]), max(w, h), roll, 48), 48)
        assert 0 <= share_inside(ramp(), crop) <= 1


def stretched(corners: geometry.Points, size: int = 64) -> Crop:
    """The crop whose outline is an upright rectangle of these corners."""
    scale = size / (corners[2] - corners[0])
    return Crop(np.column_stack([np.diag(scale), -scale * corners[0] - 0.5]), size)


def test_share_inside_of_a_square_on_its_corner() -> None:
    # Its middle on the picture's upper left corner: a quarter is inside.
    crop = Crop(geometry.turned_square(np.array([-0.5, -0.5]), 20, np.pi / 4, 48), 48)
    assert share_inside(ramp(), crop) == pytest.approx(0.25)
    assert align.roll(crop) == pytest.approx(np.pi / 4)
    assert align.side(crop) == pytest.approx(20)


# -- taking pixels ------------------------------------------------------------------------------


def noise(side: int, smooth: float = 0.0) -> Frame:
    rgb = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return Frame(np.asarray(cv2.GaussianBlur(rgb, (0, 0), smooth), np.uint8) if smooth else rgb)


def upright(x: float, y: float, side: float, size: int) -> Crop:
    """The crop of a square with its upper left corner, counted in edges, at x y."""
    middle = np.array([x, y]) + side / 2 - 0.5
    return Crop(geometry.turned_square(middle, side, 0.0, size), size)


def off(ours: ImageArray, theirs: geometry.Points) -> float:
    """The largest difference in gray levels."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours.astype(float) - theirs).max())


def test_a_whole_shift_is_a_copy() -> None:
    frame = noise(60)
    np.testing.assert_array_equal(cut(frame, upright(7, 9, 30, 30)), frame.rgb[9:39, 7:37])


def test_half_the_size_is_the_average_of_four() -> None:
    frame = noise(40)
    part = frame.rgb[8:28, 4:24].astype(float)
    mean = part.reshape(10, 2, 10, 2, 3).mean(axis=(1, 3))
    assert off(cut(frame, upright(4, 8, 20, 10)), mean) <= 1


def averaged(rgb: ImageArray, size: int) -> ImageArray:
    return np.asarray(cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize(("side", "most"), [(48, 1), (96, 1), (144, 1), (768, 2), (3072, 2)])
def test_halves_and_thirds_are_averaged_exactly(side: int, most: int) -> None:
    """Each halving rounds."""
    frame = noise(side)
    assert off(cut(frame, upright(0, 0, side, 48)), averaged(frame.rgb, 48)) <= most


@pytest.mark.parametrize("side", [960, 3840])
def test_other_whole_factors_nearly(side: int) -> None:
    """Of noise alone, whose means differ by 3 to 15 levels."""
    frame = noise(side)
    away = np.abs(cut(frame, upright(0, 0, side, 48)).astype(float) - averaged(frame.rgb, 48))
    assert away.mean() < 0.15 * averaged(frame.rgb, 48).std() + 1


@pytest.mark.parametrize("side", [100, 150, 240, 331, 500, 511])
def test_other_factors_nearly(astronaut: ImageArray, side: int) -> None:
    """Plain bilinear warping is 2 to 11 levels away from the average, and 40 to 130 at edges."""
    part = astronaut[:side, 1 : 1 + side]
    ours = cut(Frame(astronaut), upright(1, 0, side, 48))
    away = np.abs(ours.astype(float) - averaged(part, 48))
    assert away.mean() < 1.5
    assert away.max() < 20


def test_a_face_of_4000_pixels_has_no_grain_left() -> None:
    frame = noise(4000)
    turned_crop = Crop(geometry.turned_square(np.array([2000.0, 2000.0]), 2700, 0.5, 48), 48)
    expected = frame.rgb.std() * 48 / 2700
    assert cut(frame, turned_crop).std() == pytest.approx(float(expected), rel=0.25)


def test_enlarging_is_bilinear() -> None:
    frame = noise(20, smooth=2)
    large = np.asarray(cv2.resize(frame.rgb, (80, 80)), np.uint8)
    assert off(cut(frame, upright(0, 0, 20, 80)), large) <= 2


@pytest.mark.parametrize("degrees", [-120, -30, 15, 90, 180])
def test_a_turned_face_is_turned_back(degrees: float) -> None:
    frame = noise(200, smooth=6)
    there = geometry.turned_square(np.array([99.5, 99.5]), 200, np.radians(-degrees), 200)
    tilted = Frame(np.asarray(cv2.warpAffine(frame.rgb, there, (200, 200)), np.uint8))
    back = Crop(geometry.turned_square(np.array([99.5, 99.5]), 90, np.radians(degrees), 45), 45)
    straight = cut(frame, upright(55, 55, 90, 45))
    assert off(cut(tilted, back), straight) <= 4


@pytest.mark.parametrize("x", [-5000.0, -400.0, 80.0, 300.0, 1e6])
def test_a_crop_wholly_outside_repeats_the_border(x: float) -> None:
    picture = ramp()
    crop = Crop(geometry.turned_square(np.array([x, 20.0]), 30, 0.3, 16), 16)
    edge = 0 if x < 0 else WIDTH - 1
    pixels = cut(picture, crop)
    assert (pixels[..., 0] == edge).all()
    assert share_inside(picture, crop) == 0


@pytest.mark.parametrize("roll", [0.0, 0.7])
@pytest.mark.parametrize(("x", "side"), [(0, 1), (0.3, 0.2), (-7, 40), (900, 3)])
def test_a_picture_of_one_pixel_is_that_pixel(x: float, side: float, roll: float) -> None:
    frame = Frame(np.full((1, 1, 3), 77, np.uint8))
    crop = Crop(geometry.turned_square(np.array([x, x]), side, roll, 16), 16)
    assert (cut(frame, crop) == 77).all()


def test_a_strip_too_long_for_opencv_to_warp() -> None:
    frame = ramp(40_000, 20)
    pixels = cut(frame, Crop(geometry.turned_square(np.array([39_000, 10]), 18, 0.2, 9), 9))
    assert pixels[4, 4, 0] == pytest.approx(39_000 % 256, abs=1)
    assert pixels[4, 4, 1] == pytest.approx(10, abs=1)


# -- alignments ---------------------------------------------------------------------------------


def made_up() -> FloatArray:
    """A level face 100 wide: ears at x 50 and 150, eyes at y 80, chin at y 180."""
    points = np.zeros((68, 2), np.float32)
    t = np.linspace(0, np.pi, 17)
    points[:17] = np.stack([100 - 50 * np.cos(t), 80 + 100 * np.sin(t)], axis=1)
    points[17:27] = np.stack([np.linspace(60, 140, 10), np.full(10, 70)], axis=1)
    points[27:31] = np.stack([np.full(4, 100), np.linspace(85, 115, 4)], axis=1)
    points[31:36] = np.stack([np.linspace(90, 110, 5), np.full(5, 120)], axis=1)
    ring = np.stack([-np.cos(np.arange(6) * np.pi / 3), -np.sin(np.arange(6) * np.pi / 3)], axis=1)
    points[36:42] = np.array([79, 80]) + ring * [8, 4]
    points[42:48] = np.array([121, 80]) + ring * [8, 4]
    for part, (rx, ry) in ((slice(48, 60), (20, 10)), (slice(60, 68), (14, 5))):
        t = np.linspace(np.pi, 3 * np.pi, part.stop - part.start, endpoint=False)
        points[part] = np.stack([100 + rx * np.cos(t), 145 + ry * np.sin(t)], axis=1)
    return points


FACE = made_up()
ROLLS = [-100.0, -20.0, 0.0, 33.0, 90.0, 180.0]


def tilted(points: FloatArray, degrees: float) -> FloatArray:
    """Points turned clockwise about (300, 200), where they stay inside a frame of 600 x 400."""
    matrix = geometry.turned_square(np.array([100, 120]), 1, -np.radians(degrees), 1)
    return geometry.transform(matrix, points) + np.array([300, 200], np.float32)


def in_crop(crop: Crop, points: FloatArray) -> FloatArray:
    """Points in the crop as shares of its side."""
    return np.asarray((geometry.transform(crop.matrix, points) + 0.5) / crop.size, np.float32)


@pytest.mark.parametrize("degrees", ROLLS)
def test_xu2019_is_the_paper_s(degrees: float) -> None:
    crop = align.xu2019(tilted(FACE, degrees))
    assert crop.size == 128
    there = in_crop(crop, tilted(FACE, degrees))
    assert there[0, 0] == pytest.approx(0, abs=1e-4)  # its point 1: the left border
    assert there[16, 0] == pytest.approx(1, abs=1e-4)  # 17: the right
    assert there[8, 1] == pytest.approx(1, abs=1e-4)  # 9: the bottom
    eyes = landmarks.eye_centres(there)
    np.testing.assert_allclose(eyes[:, 1], 1 / 3, atol=1e-4)  # level, a third below the top
    # 100 wide and 1.5 x (180 - 80) high: scaled apart.
    assert align.side(crop) == pytest.approx(np.sqrt(100 * 150), rel=1e-4)
    assert np.cos(align.roll(crop) - np.radians(degrees)) == pytest.approx(1)


@pytest.mark.parametrize("degrees", ROLLS)
def test_similarity_brings_a_turned_template_to_its_place(degrees: float) -> None:
    points = FACE.copy()
    five = (align.TEMPLATE * 80).astype(np.float32)
    points[36:42], points[42:48] = five[0], five[1]
    points[[30, 48, 54]] = five[2:]
    there = in_crop(align.similarity(tilted(points, degrees), 48), tilted(points, degrees))
    np.testing.assert_allclose(landmarks.five(there), align.TEMPLATE, atol=1e-4)


def test_similarity_keeps_a_face_s_shape() -> None:
    crop = align.similarity(tilted(FACE, 25), 48)
    turn = crop.matrix[:, :2]
    np.testing.assert_allclose(turn @ turn.T, np.eye(2) * np.linalg.det(turn), atol=1e-9)


@pytest.mark.parametrize("degrees", ROLLS)
def test_every_point_of_the_lips_is_in_the_mouth(degrees: float) -> None:
    points = tilted(FACE, degrees)
    crop = align.mouth(points)
    assert crop.size == 64
    lips = in_crop(crop, points)[landmarks.MOUTH]
    # 40 wide, a fifth of that free on either side: from .2 / 1.4 to 1.2 / 1.4.
    assert lips[:, 0].min() == pytest.approx(0.2 / 1.4, abs=1e-4)
    assert lips[:, 0].max() == pytest.approx(1.2 / 1.4, abs=1e-4)
    assert lips[:, 1].mean() == pytest.approx(0.5, abs=1e-3)
    assert align.side(crop) == pytest.approx(56, rel=1e-4)


def test_an_open_mouth_is_whole_too() -> None:
    points = FACE.copy()
    points[landmarks.MOUTH, 1] = 145 + (points[landmarks.MOUTH, 1] - 145) * 4
    lips = in_crop(align.mouth(points), points)[landmarks.MOUTH]
    assert lips.min() > 0.1
    assert lips.max() < 0.9


NO_FACES = {
    "one place": np.full((68, 2), 50, np.float32),
    "not finite": np.full((68, 2), np.nan, np.float32),
    "infinite": np.where(np.arange(68)[:, None] == 8, np.inf, FACE).astype(np.float32),
}
MORE_NO_FACES = {
    "on a line": np.stack([np.arange(68), np.arange(68)], axis=1).astype(np.float32),
    "upside down for its eyes": FACE * np.array([1, -1], np.float32),
    "ears swapped": FACE[np.r_[16:-1:-1, 17:68]],
    "far away": FACE + np.float32(1e6),
    "huge": FACE * 1000,
    "a dot": FACE * np.float32(0.001) + 100,
}


@pytest.mark.parametrize("name", [n for n in ALIGNMENTS if n != "box"])
@pytest.mark.parametrize("points", NO_FACES.values(), ids=NO_FACES)
def test_points_of_no_face_are_refused(points: FloatArray, name: str) -> None:
    with pytest.raises(ShapeError):
        getattr(align, name)(points, 48)


@pytest.mark.parametrize("name", [n for n in ALIGNMENTS if n != "box"])
def test_five_points_are_too_few(name: str) -> None:
    with pytest.raises(ShapeError, match=r"\(68, 2\)"):
        getattr(align, name)(FACE[:5], 48)


AROUND = Face(box(50, 70, 150, 180), 0.9)


@pytest.mark.parametrize("name", ALIGNMENTS)
@pytest.mark.parametrize("points", [*NO_FACES.values(), None], ids=[*NO_FACES, "none"])
def test_a_face_without_usable_points_is_cut_by_its_box(
    points: FloatArray | None, name: str
) -> None:
    crop = align.place(replace(AROUND, landmarks=points), name, 48, 1.1)
    assert edges(crop) == edges(align.box(AROUND.box, 1.1))


@pytest.mark.parametrize("name", ALIGNMENTS)
@pytest.mark.parametrize("points", MORE_NO_FACES.values(), ids=MORE_NO_FACES)
def test_strange_points_never_lead_the_crop_astray(points: FloatArray, name: str) -> None:
    crop = align.place(replace(AROUND, landmarks=points), name, 48, 1.1)
    assert 10 < align.side(crop) < 300
    middle = outline(crop).mean(axis=0)
    assert (AROUND.box[:2] <= middle).all()
    assert (middle <= AROUND.box[2:]).all()
    assert cut(Frame(np.zeros((400, 600, 3), np.uint8)), crop).shape == (crop.size, crop.size, 3)


@pytest.mark.parametrize("name", [n for n in ALIGNMENTS if n != "box"])
def test_good_points_are_used(name: str) -> None:
    ours = align.place(replace(AROUND, landmarks=FACE), name, 48, 1.1)
    theirs = getattr(align, name)(FACE, 48)
    np.testing.assert_array_equal(ours.matrix, theirs.matrix)
    assert ours.size == theirs.size == 48


@pytest.mark.parametrize(
    ("times", "fits"), [(0.38, True), (0.37, False), (5.9, True), (6.1, False), (0.0, False)]
)
def test_a_face_is_at_most_four_times_as_high_as_wide_or_as_wide_as_high(
    times: float, fits: bool
) -> None:
    """It is 150 high, from chin to top, and 100 times as much wide."""
    points = FACE * np.array([times, 1], np.float32)
    if fits:
        assert align.side(align.xu2019(points)) == pytest.approx((1.5e4 * times) ** 0.5, rel=1e-4)
    else:
        with pytest.raises(ShapeError, match=f"no face: {100 * times:.1f} wide and 150.0 high"):
            align.xu2019(points)


@pytest.mark.parametrize(
    ("sides", "fits"), [(0.51, True), (0.49, False), (7.9, True), (8.1, False)]
)
@pytest.mark.parametrize("name", ["similarity", "xu2019", "mouth"])
def test_how_large_a_crop_is_beside_the_box_of_its_face(
    name: str, sides: float, fits: bool
) -> None:
    """From an eighth of the box's longer side to twice it; else the landmarks are another's."""
    crop = getattr(align, name)(FACE, 48)
    middle, half = (
        outline(crop).mean(axis=0) + 0.5,
        align.side(crop) * sides * np.array([0.5, 0.25]),
    )
    around = np.concatenate([middle - half, middle + half])
    found = align.of_landmarks(Face(np.asarray(around, np.float32), 0.9, FACE), name, 48)
    assert (found is not None) == fits


def test_the_middle_of_a_crop_lies_in_the_box_of_its_face() -> None:
    x, y = outline(align.xu2019(FACE, 48)).mean(axis=0) + 0.5
    for x0, y0, fits in (
        (x - 1, y - 1, True),
        (x + 1, y - 1, False),
        (x - 1, y + 1, False),
        (x - 99, y - 99, True),
        (x - 101, y - 99, False),
        (x - 99, y - 101, False),
    ):
        face = Face(box(x0, y0, x0 + 100, y0 + 100), 0.9, FACE)
        assert (align.of_landmarks(face, "xu2019", 48) is not None) == fits
        crop = align.place(face, "xu2019", 48, 1.3)
        assert (crop.size == 48) == fits
        assert fits or crop.size == 130


def test_where_there_is_nothing_to_align_by() -> None:
    assert align.of_landmarks(replace(AROUND, landmarks=FACE), "box", 48) is None
    assert align.of_landmarks(AROUND, "xu2019", 48) is None


def test_where_similarity_brings_eyes_nose_and_mouth() -> None:
    """The shipped models were trained on just that: another place is another model's."""
    assert align.TEMPLATE.tolist() == [
        [0.313, 0.395],
        [0.687, 0.395],
        [0.5, 0.588],
        [0.338, 0.777],
        [0.662, 0.777],
    ]
    assert align.TEMPLATE.dtype == np.float64


def test_the_names_of_alignments() -> None:
    assert ALIGNMENTS == ("box", "similarity", "xu2019", "mouth")
    assert align.DEFAULT == "box"
    for name in ALIGNMENTS:
        assert align.known(name) == name
    assert align.known(None) is None
    assert align.known("mouth") == "mouth"
    with pytest.raises(UnknownName, match="did you mean similarity"):
        align.known("similar")


def test_real_faces(shared: Path) -> None:
    """Points that people placed: all of every mouth in its crop, no face taken for none."""
    pointed = pd.read_parquet(shared / "data" / "landmarks68.parquet")
    for row in pointed.itertuples():
        points = np.asarray(row.landmarks, np.float32).reshape(68, 2)
        lips = in_crop(align.mouth(points), points)[landmarks.MOUTH]
        assert 0 < lips.min() < lips.max() < 1
        face = Face(landmarks.bounds(points), 1.0, points)
        for name in ("similarity", "xu2019", "mouth"):
            placed, aligned = align.place(face, name, 48, 1.0), getattr(align, name)(points, 48)
            np.testing.assert_array_equal(placed.matrix, aligned.matrix)
