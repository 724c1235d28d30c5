from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mien.data import occlude
from mien.errors import ShapeError, UnknownName
from mien.face import FloatArray, ImageArray
from mien.faces import landmarks


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def gray(height: int, width: int) -> ImageArray:
    return np.full((height, width, 3), 90, np.uint8)


def face() -> FloatArray:
    """Landmarks of an upright face in 100 x 100 pixels: jaw, brows, nose, eyes and lips."""
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack([50 + 38 * np.cos(turn), 45 + 45 * np.sin(turn)], 1)
    brows = np.stack([np.r_[np.linspace(18, 42, 5), np.linspace(58, 82, 5)], np.full(10, 30.0)], 1)
    bridge = np.stack([np.full(4, 50.0), np.linspace(38, 58, 4)], 1)
    base = np.stack([np.linspace(42, 58, 5), np.full(5, 62.0)], 1)
    ring = np.linspace(-np.pi, np.pi, 6, endpoint=False)
    eyes = [np.stack([x + 8 * np.cos(ring), 40 + 3 * np.sin(ring)], 1) for x in (31, 69)]
    lips = [
        np.stack([50 + a * np.cos(r), 75 + b * np.sin(r)], 1)
        for a, b, n in ((16, 6, 12), (10, 2, 8))
        for r in [np.linspace(-np.pi, np.pi, n, endpoint=False)]
    ]
    points = np.concatenate([jaw, brows, bridge, base, *eyes, *lips]).astype(np.float32)
    landmarks.check(points)
    return points


@pytest.mark.parametrize(("part", "first"), [("eyes", 10), ("nose", 20), ("mouth", 30)])
def test_a_band_is_the_papers(part: str, first: int) -> None:
    hidden = occlude.band(gray(48, 48), part, rng())
    changed = (hidden != 90).any(axis=2)
    assert changed[first : first + 10].mean() > 0.98  # noise may be 90 by chance
    changed[first : first + 10] = False
    assert not changed.any()
    noise = hidden[first : first + 10, :, 0].astype(float)
    assert (noise.min(), noise.max()) < (10, 255)
    assert abs(noise.mean() - 127.5) < 12
    assert abs(noise.std() - 256 / 12**0.5) < 6  # uniform
    assert (hidden == hidden[:, :, :1]).all()


def test_a_band_grows_with_the_picture() -> None:
    rows = (occlude.band(gray(96, 60), "nose", rng()) != 90).any(axis=(1, 2))
    assert np.flatnonzero(rows).tolist() == list(range(40, 60))


def test_the_picture_itself_stays_and_the_seed_decides() -> None:
    picture = gray(48, 48)
    first, again = (occlude.band(picture, "eyes", rng()) for _ in range(2))
    assert (picture == 90).all()
    np.testing.assert_array_equal(first, again)
    other = occlude.band(picture, "eyes", np.random.default_rng(8))
    assert (first != other).any()


def _hidden(what: str, points: FloatArray) -> npt.NDArray[np.bool_]:
    hidden = occlude.region(gray(100, 100), points, what, rng())
    return np.asarray((hidden != 90).any(axis=2))


def test_a_region_hides_its_own_points_and_no_others() -> None:
    points = face()
    at = {
        "eyes": points[[37, 40, 44, 46]],
        "nose": points[[29, 30, 33]],
        "mouth": points[[51, 57, 62]],
        "chin": np.array([[50.0, 88.0]]),
        "cheek": np.array([[24.0, 58.0]]),
    }
    hides = {
        "eyes": {"eyes"},
        "nose": {"nose"},
        "mouth": {"mouth"},
        "mask": {"nose", "mouth", "chin", "cheek"},
        "sunglasses": {"eyes"},
    }
    for what, parts in hides.items():
        hidden = _hidden(what, points)
        for name, places in at.items():
            share = np.mean([hidden[int(y) - 1 : int(y) + 2, int(x)].any() for x, y in places])
            if name == "nose" and what == "mask":
                assert share >= 2 / 3
            else:
                assert share == (name in parts), (what, name)


def test_halves_are_the_subjects_and_meet_in_the_middle() -> None:
    left, right = _hidden("left_half", face()), _hidden("right_half", face())
    assert left[:, 55:].any()
    assert not left[:, :45].any()
    assert not right[:, 55:].any()
    assert left[25].any()  # the forehead, too
    assert (left & right).sum() < 100
    assert abs(int(left.sum()) - int(right.sum())) < 0.05 * left.sum()


@pytest.mark.parametrize("what", occlude.REGIONS)
def test_a_turned_face_is_hidden_as_an_upright_one(what: str) -> None:
    """Turned by a right angle, the same pixels are hidden, turned."""
    points = face()
    turned = np.stack([99 - points[:, 1], points[:, 0]], 1)
    upright, other = _hidden(what, points), _hidden(what, turned)
    back = np.rot90(other)
    assert (upright & back).sum() > 0.9 * (upright | back).sum()


def test_a_mask_is_of_one_colour_and_gray_in_a_gray_picture() -> None:
    gray_one = occlude.region(gray(100, 100), face(), "mask", rng())
    assert len(np.unique(gray_one)) == 2
    coloured = gray(100, 100)
    coloured[0, 0] = 1, 2, 3
    masked = occlude.region(coloured, face(), "mask", rng())
    assert masked[75, 50].tolist() == [166, 202, 224]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean mouth"):
        occlude.band(gray(48, 48), "mouht", rng())
    with pytest.raises(UnknownName, match="did you mean sunglasses"):
        occlude.region(gray(48, 48), face(), "glasses", rng())
    with pytest.raises(ShapeError, match=r"\(68, 2\)"):
        occlude.region(gray(48, 48), face()[:5], "eyes", rng())
    with pytest.raises(ShapeError, match=r"\(48, 48\)"):
        occlude.band(gray(48, 48)[:, :, 0], "eyes", rng())
