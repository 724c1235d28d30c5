"""Boxes and transforms: numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import ShapeError
from mien.face import FloatArray
from mien.geometry import (
    Matrix,
    Points,
    alike,
    area_inside,
    clip,
    holds,
    inverse,
    iou,
    is_in,
    overlap,
    similarity,
    square,
    suppress,
    transform,
    turned_square,
)


def boxes(*rows: tuple[float, float, float, float]) -> FloatArray:
    return np.array(rows, np.float32).reshape(-1, 4)


def box(x0: float, y0: float, x1: float, y1: float) -> FloatArray:
    return np.array([x0, y0, x1, y1], np.float32)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 10, 20), 1.0),
        ((5, 0, 15, 20), 100 / 300),
        ((0, 10, 10, 40), 100 / 400),
        ((-5, -5, 5, 5), 25 / 275),
        ((2, 5, 4, 10), 10 / 200),
        ((-10, -20, 20, 40), 200 / 1800),
        ((10, 0, 20, 20), 0.0),  # they share an edge: x1 is exclusive
        ((10, 20, 20, 30), 0.0),  # they share a corner
        ((30, 0, 40, 20), 0.0),
        ((30, 50, 40, 60), 0.0),  # off in x and in y: two minuses must not make a plus
    ],
)
def test_iou_by_hand(other: tuple[float, float, float, float], expected: float) -> None:
    ours = box(0, 0, 10, 20)
    np.testing.assert_allclose(iou(ours, boxes(other)), [expected], rtol=1e-6)
    np.testing.assert_allclose(iou(box(*other), ours[None]), [expected], rtol=1e-6)


def test_iou_of_none_and_of_boxes_without_area() -> None:
    assert iou(box(0, 0, 10, 10), boxes()).shape == (0,)
    assert iou(box(5, 5, 5, 5), boxes((5, 5, 5, 5), (0, 0, 10, 10))).tolist() == [0, 0]
    assert iou(box(0, 0, 0.5, 0.5), boxes((0, 0, 0.5, 0.5), (0, 0, 1, 1))).tolist() == [1, 0.25]


def kept(found: FloatArray, scores: list[float], overlap: float = 0.3) -> list[int]:
    return [int(i) for i in suppress(found, np.array(scores, np.float32), overlap)]


def test_suppress_nothing() -> None:
    assert kept(boxes(), []) == []


def test_suppress_sorts_by_score_and_keeps_what_lies_apart() -> None:
    found = boxes((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10))
    assert kept(found, [0.5, 0.9, 0.7]) == [1, 2, 0]


def test_equal_scores_keep_their_order() -> None:
    found = boxes((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10))
    assert kept(found, [0.5, 0.5, 0.5]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [(0.19, [1]), (0.21, [1, 0])],
    ids=["more than the limit", "less than the limit"],
)
def test_overlap(overlap: float, expected: list[int]) -> None:
    # 10 x 4 of 100 + 140 - 40 = 200 is an overlap of .2; neither holds the other's middle.
    found = boxes((0, 0, 10, 10), (0, 6, 10, 20))
    assert kept(found, [0.8, 0.9], overlap) == expected


@pytest.mark.parametrize("scores", [[0.9, 0.8], [0.8, 0.9]])
@pytest.mark.parametrize("inner", [(40, 40, 60, 60), (5, 5, 25, 25), (75, 0, 100, 20)])
def test_one_inside_the_other_is_one_face(
    inner: tuple[float, float, float, float], scores: list[float]
) -> None:
    found = boxes((0, 0, 100, 100), inner)
    assert iou(found[0], found[1:])[0] < 0.3
    assert kept(found, scores) == [int(np.argmax(scores))]


def test_a_suppressed_box_suppresses_nothing() -> None:
    # The middle one goes because of the first; the third overlaps only the middle one.
    found = boxes((0, 0, 10, 10), (4, 0, 14, 10), (10, 0, 20, 10))
    assert kept(found, [0.9, 0.8, 0.7]) == [0, 2]


def test_two_people_side_by_side_stay_two() -> None:
    assert kept(boxes((0, 0, 100, 130), (80, 0, 180, 130)), [0.9, 0.8]) == [0, 1]


def test_many_equal_scores_keep_their_order() -> None:
    found = boxes(*((20.0 * i, 0, 20 * i + 10, 10) for i in range(40)))
    assert kept(found, [0.5] * 40) == list(range(40))


@pytest.mark.parametrize(
    ("other", "overlap", "expected"),
    [
        ((0, 0, 100, 100), 1.0, True),  # the very same
        ((10, 10, 110, 110), 1.0, True),  # each holds the other's middle
        ((40, -40, 140, 60), 1.0, True),
        ((51, 0, 151, 100), 1.0, False),  # neither does
        ((0, 51, 100, 151), 1.0, False),
        ((50, 0, 150, 100), 1.0, False),  # the middle of the first is on its edge, of the other out
        ((5, 5, 25, 25), 1.0, False),  # inside, and beside the middle: one holds the other's only
        ((5, 5, 25, 25), 0.039, True),  # 400 of 10,000
        ((5, 5, 25, 25), 0.04, False),
        ((40, 40, 60, 60), 1.0, True),  # inside, and about the middle
        ((60, 0, 160, 100), 0.24, True),  # 4,000 of 16,000
        ((60, 0, 160, 100), 0.26, False),
        ((200, 0, 300, 100), 0.0, False),
    ],
)
def test_alike_by_hand(
    other: tuple[float, float, float, float], overlap: float, expected: bool
) -> None:
    ours = box(0, 0, 100, 100)
    assert alike(ours, boxes(other), overlap).tolist() == [expected]
    assert alike(box(*other), ours[None], overlap).tolist() == [expected]


def test_alike_among_several_and_none() -> None:
    found = boxes((0, 0, 10, 10), (300, 5, 310, 15), (1, 2, 11, 12))
    assert alike(box(0, 0, 10, 10), found, 0.9).tolist() == [True, False, True]
    assert alike(box(0, 0, 10, 10), boxes(), 0.9).tolist() == []


def test_what_others_count_on_has_one_type() -> None:
    """Whatever the types of what is given: boxes of a detector may be whole numbers."""
    whole = np.array([[0, 0, 10, 10], [3, 0, 13, 10]])
    assert iou(whole[0], whole).dtype == np.float32
    np.testing.assert_allclose(iou(whole[0], whole), [1, 70 / 130], rtol=1e-6)
    assert alike(whole[0], whole, 0.3).dtype == np.bool_
    assert suppress(whole, np.array([1, 2]), 0.3).dtype == np.intp
    assert suppress(whole[:0], np.array([]), 0.3).dtype == np.intp
    matrix = similarity(np.array([[0, 0], [2, 0]]), np.array([[1, 1], [1, 5]], np.float32))
    assert matrix.dtype == np.float64
    np.testing.assert_allclose(matrix, [[0, -2, 1], [2, 0, 1]], atol=1e-12)
    assert transform(matrix, np.array([[1, 0]])).dtype == np.float32
    assert inverse(matrix.astype(np.float32)).dtype == np.float64


def test_odd_sides_have_a_middle_between_pixels() -> None:
    assert square(np.array([0, 0, 3, 3]), 1.0).tolist() == [0, 0, 3, 3]
    assert kept(boxes((0, 0, 3, 3), (1.6, 0, 4.6, 3)), [0.9, 0.8], 0.9) == [0, 1]
    assert kept(boxes((0, 0, 3, 3), (1.4, 0, 4.4, 3)), [0.9, 0.8], 0.9) == [0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((1, 2, 3, 4), (1, 2, 3, 4)),
        ((0, 0, 30, 20), (0, 0, 30, 20)),
        ((-5, -6, 35, 26), (0, 0, 30, 20)),
        ((-5, 3, 8.5, 7.25), (0, 3, 8.5, 7.25)),
        ((25, 15, 40, 40), (25, 15, 30, 20)),
        ((-9, -9, -1, -1), (0, 0, 0, 0)),
        ((31, 21, 40, 40), (30, 20, 30, 20)),
    ],
)
def test_clip(
    given: tuple[float, float, float, float], expected: tuple[float, float, float, float]
) -> None:
    inside = clip(box(*given), width=30, height=20)
    assert inside.dtype == np.float32
    assert tuple(inside.tolist()) == expected


@pytest.mark.parametrize(
    ("given", "scale", "expected"),
    [
        ((0, 0, 10, 10), 1.0, (0, 0, 10, 10)),
        ((0, 0, 10, 20), 1.0, (-5, 0, 15, 20)),  # about the middle (5, 10), side 20
        ((0, 0, 20, 10), 1.5, (-5, -10, 25, 20)),  # about the middle (10, 5), side 30
        ((100, 50, 110, 54), 0.5, (102.5, 49.5, 107.5, 54.5)),
    ],
)
def test_square(
    given: tuple[float, float, float, float],
    scale: float,
    expected: tuple[float, float, float, float],
) -> None:
    around = square(box(*given), scale)
    assert around.dtype == np.float32
    assert tuple(around.tolist()) == expected


def test_nothing_changes_the_box_it_is_given() -> None:
    ours = box(-5, -6, 35, 26)
    clip(ours, 30, 20)
    square(ours, 1.3)
    iou(ours, ours[None])
    assert ours.tolist() == [-5, -6, 35, 26]


# -- transforms ---------------------------------------------------------------------------------

ANGLES = [-170.0, -90.0, -31.0, 0.0, 12.5, 90.0, 180.0]
SHIFT = np.array([12.0, -90.0])
FIVE = np.array([[40.0, 50.0], [80.0, 48.0], [61.0, 70.0], [45.0, 90.0], [78.0, 91.0]])


def turned(points: Points, degrees: float, scale: float = 1.0) -> Matrix:
    """Points clockwise (x right, y down) about the origin."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(scale * points @ np.array([[c, s], [-s, c]]), np.float64)


def angle(matrix: Matrix) -> float:
    """By how many degrees a matrix turns clockwise."""
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


@pytest.mark.parametrize("degrees", ANGLES)
def test_known_rotation_in_same_rotation_out(degrees: float) -> None:
    matrix = similarity(FIVE, turned(FIVE, degrees, 1.7) + SHIFT)
    assert np.cos(np.radians(angle(matrix) - degrees)) == pytest.approx(1)
    assert np.sqrt(np.linalg.det(matrix[:, :2])) == pytest.approx(1.7)
    np.testing.assert_allclose(matrix[:, 2], SHIFT, atol=1e-9)
    np.testing.assert_allclose(
        transform(matrix, FIVE), turned(FIVE, degrees, 1.7) + SHIFT, rtol=1e-5, atol=1e-4
    )


def test_mirrored_points_never_mirror() -> None:
    matrix = similarity(FIVE, FIVE * [-1, 1])
    assert np.linalg.det(matrix[:, :2]) > 0


def test_the_best_of_points_that_do_not_fit() -> None:
    draw = np.random.default_rng(0)
    noisy = turned(FIVE, 20, 0.5) + draw.normal(0, 3, FIVE.shape)
    matrix = similarity(FIVE, noisy)
    best = ((transform(matrix, FIVE) - noisy) ** 2).sum()
    for degrees, scale, shift in ((1, 1, 0), (-1, 1, 0), (0, 1.02, 0), (0, 0.98, 0), (0, 1, 0.5)):
        other = turned(transform(matrix, FIVE), degrees, scale) + shift
        assert ((other - noisy) ** 2).sum() > best


def test_two_points_are_enough_and_points_on_a_line_too() -> None:
    line = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 6.0]])
    for points in (line[:2], line):
        matrix = similarity(points, turned(points, 77, 3))
        assert angle(matrix) == pytest.approx(77)


@pytest.mark.parametrize(
    ("src", "dst", "message"),
    [
        (FIVE, FIVE[:4], r"got \(5, 2\) and \(4, 2\)"),
        (FIVE[:1], FIVE[:1], "N >= 2"),
        (np.zeros((5, 3)), np.zeros((5, 3)), r"\(5, 3\)"),
        (np.full((5, 2), 7.0), FIVE, "one place"),
        (FIVE * np.nan, FIVE, "finite"),
        (FIVE, FIVE * np.inf, "finite"),
    ],
)
def test_what_has_no_transform(src: Points, dst: Points, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        similarity(src, dst)


@pytest.mark.parametrize("degrees", ANGLES)
def test_a_turned_square_brings_its_corners_to_the_crop_s(degrees: float) -> None:
    corners = np.array([[-10.0, -10.0], [10.0, -10.0], [10.0, 10.0], [-10.0, 10.0]])
    matrix = turned_square(np.array([33.0, 44.0]), 20, np.radians(degrees), 64)
    there = transform(matrix, turned(corners, degrees) + np.array([33, 44]))
    expected = [[-0.5, -0.5], [63.5, -0.5], [63.5, 63.5], [-0.5, 63.5]]
    np.testing.assert_allclose(there, expected, atol=1e-4)


def test_whole_coordinates_are_in_the_middle_of_a_pixel() -> None:
    # Half the size: pixels 0 and 1 become pixel 0, so their middles average to its middle.
    half = turned_square(np.array([9.5, 9.5]), 20, 0.0, 10)
    assert transform(half, np.array([[0, 0], [1, 1]])).mean(axis=0).tolist() == [0, 0]
    assert transform(half, np.array([[19.5, 19.5]])).tolist() == [[9.5, 9.5]]


@pytest.mark.parametrize("degrees", ANGLES)
def test_there_and_back(degrees: float) -> None:
    matrix = turned_square(np.array([1000.0, 2000.0]), 333, np.radians(degrees), 48)
    back = inverse(matrix)
    np.testing.assert_allclose(inverse(back), matrix, atol=1e-9)
    np.testing.assert_allclose(transform(back, transform(matrix, FIVE)), FIVE, atol=2e-3)


@pytest.mark.parametrize(
    "matrix", [np.zeros((2, 3)), np.array([[1.0, 1, 0], [1, 1, 0]]), np.full((2, 3), np.nan)]
)
def test_what_cannot_be_undone(matrix: Matrix) -> None:
    with pytest.raises(ShapeError, match="no transform"):
        inverse(matrix)


def test_a_face_far_from_the_origin_loses_no_digits() -> None:
    """Points of a landmark network are float32; sums of their squares would not fit in it."""
    there = (FIVE + 30_000).astype(np.float32)
    matrix = similarity(there, (2 * there.astype(np.float64) + 7).astype(np.float64))
    np.testing.assert_allclose(matrix[:, :2], [[2, 0], [0, 2]], atol=1e-9)
    back = similarity((2 * there.astype(np.float64)), there)
    np.testing.assert_allclose(back[:, :2], [[0.5, 0], [0, 0.5]], atol=1e-9)


def test_how_small_a_scale_can_be_undone() -> None:
    for power, fits in ((-19, True), (-20, False)):
        matrix = np.array([[2.0**power, 0, 1], [0, 2.0**power, 1]])
        if fits:
            assert inverse(matrix)[0].tolist() == [2.0**-power, 0, -(2.0**-power)]
        else:
            with pytest.raises(ShapeError, match="no transform"):
                inverse(matrix)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Matrix:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


@pytest.mark.parametrize(
    ("polygon", "expected"),
    [
        (rectangle(5, 5, 15, 15), 100),
        (rectangle(-5, 5, 5, 15), 50),
        (rectangle(35, 25, 45, 35), 25),  # of a picture 40 x 30
        (rectangle(-100, -100, 200, 200), 1200),
        (rectangle(-20, 5, -10, 15), 0),
        (rectangle(40, 5, 50, 15), 0),
        (rectangle(5, 5, 5, 15), 0),
        (np.array([[0.0, -10], [10, 0], [0, 10], [-10, 0]]), 50),  # a diamond: its right lower part
        (np.array([[20.0, 5], [30, 15], [20, 25], [10, 15]]), 200),
        (np.array([[5, 5], [15, 5], [5, 25]]), 100),  # a triangle, of whole numbers
        (np.array([[30, 5], [50, 5], [50, 25]]), 50),  # of which the corner reaches in
    ],
)
@pytest.mark.parametrize("order", [1, -1], ids=["clockwise", "counter-clockwise"])
def test_area_inside_by_hand(polygon: Matrix, expected: float, order: int) -> None:
    assert area_inside(polygon[::order], box(0, 0, 40, 30)) == pytest.approx(expected)


def test_two_boxes_of_plain_numbers_overlap_as_arrays_do() -> None:
    random = np.random.default_rng(4)
    boxes = random.uniform(0, 10, (40, 4)).astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    many = iou(boxes[0], boxes)
    one_by_one = [overlap(boxes[0].tolist(), box) for box in boxes.tolist()]
    np.testing.assert_allclose(one_by_one, many, atol=1e-6)
    assert 0 < (many == 0).sum() < 39
    assert overlap((0, 0, 4, 4), (4, 0, 8, 4)) == 0
    points = random.uniform(0, 20, (40, 2)).astype(np.float32)
    held = holds(boxes[:1], points)
    assert [is_in(p, boxes[0].tolist()) for p in points.tolist()] == held.tolist()
    assert 0 < held.sum() < 40
