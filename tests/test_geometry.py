"""Boxes: numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face import FloatArray
from mien.geometry import clip, iou, square, suppress


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
