"""Where faces might be: what the network's cells say, read right, and on real pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mien import geometry
from mien.face import FloatArray, Frame, ImageArray
from mien.faces import proposals
from mien.faces.proposals import ANSWERS, STRIDES, Proposals, Proposer, decode, distinct

FACE = np.array([181, 85, 268, 172], np.float32)  # a square around the astronaut's landmarks


@pytest.fixture(scope="module")
def proposer() -> Proposer:
    return Proposer()


def silent(rows: int = 5, columns: int = 5) -> list[FloatArray]:
    """Maps whose every cell says that there is no face, for a picture of whole coarsest cells."""
    maps = []
    for stride in STRIDES:
        fine = STRIDES[-1] // stride
        said = np.zeros((ANSWERS, rows * fine, columns * fine), np.float32)
        said[0] = -9.0
        maps.append(said)
    return maps


def test_cells_that_say_no_propose_nothing() -> None:
    assert len(decode(silent(), 0.05)) == 0
    assert distinct(decode(silent(), 0.05)).boxes.shape == (0, 4)


@pytest.mark.parametrize("level", range(len(STRIDES)))
def test_a_cell_speaks_of_its_own_place(level: int) -> None:
    """Half a stride right of and below the third cell's middle in the second row, twice as wide."""
    maps, stride = silent(), STRIDES[level]
    maps[level][:, 1, 2] = [2.0, 0.5, 0.5, np.log(2), np.sin(0.3), np.cos(0.3)]
    found = decode(maps, 0.5)
    middle, half = np.array([3.0, 2.0]) * stride, 4.0 * stride
    np.testing.assert_allclose(found.boxes, [[*(middle - half), *(middle + half)]], rtol=1e-5)
    assert found.rolls[0] == pytest.approx(0.3, abs=1e-5)
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-5)
    assert len(decode(maps, 0.9)) == 0


def test_boxes_do_not_depend_on_the_processor() -> None:
    """To the last digit what exact arithmetic says: NumPy's single-precision exp is not that."""
    maps, rng = silent(), np.random.default_rng(8)
    shape = maps[0].shape[1:]
    maps[0][:] = rng.uniform(-1.0, 1.0, (ANSWERS, *shape))
    maps[0][0] = 4.0
    _, x, y, size, sine, cosine = maps[0].reshape(ANSWERS, -1).astype(np.float64)
    rows, columns = (places.ravel() for places in np.indices(shape))
    half = [math.exp(v) * proposals.SIDES * STRIDES[0] / 2 for v in size]
    found = decode(maps, 0.5)
    np.testing.assert_array_equal(
        found.boxes,
        np.stack(
            [
                (columns + 0.5 + x) * STRIDES[0] - half,
                (rows + 0.5 + y) * STRIDES[0] - half,
                (columns + 0.5 + x) * STRIDES[0] + half,
                (rows + 0.5 + y) * STRIDES[0] + half,
            ],
            axis=1,
        ).astype(np.float32),
    )
    rolls = [math.atan2(s, c) for s, c in zip(sine, cosine, strict=True)]
    np.testing.assert_array_equal(found.rolls, np.array(rolls, np.float32))


def test_the_likeliest_comes_first_and_stands_for_its_like() -> None:
    maps = silent()
    maps[1][:, 4, 4] = [1.0, 0, 0, 0, 0, 1]
    maps[1][:, 4, 5] = [3.0, -0.9, 0, 0, 0, 1]  # a tenth of a cell beside the first
    maps[1][:, 12, 15] = [2.0, 0, 0, 0, 0, 1]
    found = decode(maps, 0.1)
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert len(found) == 3
    np.testing.assert_array_equal(distinct(found).scores, found.scores[:2])


def test_there_is_an_end_to_them() -> None:
    boxes = np.array([[50 * i, 0, 50 * i + 40, 40] for i in range(90)], np.float32)
    many = Proposals(boxes, np.zeros(90, np.float32), np.linspace(0.9, 0.1, 90, dtype=np.float32))
    assert len(distinct(many)) == 40


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_astronaut_is_proposed_first(
    proposer: Proposer, astronaut: ImageArray, factor: float
) -> None:
    import cv2

    rgb = cv2.resize(astronaut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    found = proposer.propose(Frame(np.asarray(rgb, np.uint8)), 0.3)
    assert geometry.iou(FACE * np.float32(factor), found.boxes)[0] > 0.6
    assert abs(found.rolls[0]) < 0.25


@pytest.mark.parametrize("turns", [1, -1])
def test_a_face_on_its_side_is_proposed_with_its_roll(
    proposer: Proposer, astronaut: ImageArray, turns: int
) -> None:
    """Lying in bed, say: what the landmark network alone does not see."""
    found = proposer.propose(Frame(np.ascontiguousarray(np.rot90(astronaut, turns))), 0.3)
    assert found.rolls[0] == pytest.approx(-turns * np.pi / 2, abs=0.35)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (23, 23), (40, 30_000), (30_000, 3)])
def test_thin_pictures(proposer: Proposer, shape: tuple[int, int]) -> None:
    found = proposer.propose(Frame(np.full((*shape, 3), 90, np.uint8)), 0.3)
    assert len(found) == 0


def test_searched_at_one_size_whatever_the_picture() -> None:
    for height, width in ((3000, 4000), (240, 320)):
        x, factor = proposals.searched(Frame(np.zeros((height, width, 3), np.uint8)))
        assert x.shape == (1, 1, 256, 320)
        assert factor == width / 320
        assert (x[0, 0, 240:] == 128).all()
        assert (x[0, 0, :240] == 0).all()
