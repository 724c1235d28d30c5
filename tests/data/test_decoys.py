"""What is taken for a face and is none: where it comes from, and that it is none."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures

from mien import geometry
from mien.data import decoys
from mien.data.table import Row, Table
from mien.errors import DataError, InputError
from mien.face import FloatArray, Frame, ImageArray
from mien.faces.cascades import INSET
from mien.faces.landmarker import Landmarker, squares
from mien.faces.landmarks import leveled_box


def small(name: str, side: int) -> ImageArray:
    """A picture of scikit-image's, nobody on it, its longer side so long."""
    rgb = np.asarray(getattr(pictures, name)(), np.uint8)
    factor = side / max(rgb.shape[:2])
    less = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(less, np.uint8)


def noise(seed: int) -> ImageArray:
    return np.random.default_rng(seed).integers(0, 256, (80, 100, 3), np.uint8)


def save(rgb: ImageArray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cup of coffee, two pictures of noise, and what else lies in folders."""
    out = tmp_path_factory.mktemp("nobody")
    save(small("coffee", 240), out / "deep" / "coffee.png")
    save(noise(0), out / "noise0.png")
    save(noise(1), out / "noise1.png")
    (out / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (out / "readme.txt").touch()
    return out


@pytest.fixture(scope="module")
def found(folder: Path) -> Table:
    return decoys.from_pictures(folder)


def images(table: Table) -> set[bytes]:
    return {row.image for row in table.rows}


# -- pictures without people --------------------------------------------------------------------


def test_they_are_gray_patches_and_no_faces(found: Table) -> None:
    assert len(found) >= 8
    assert found.splits == ("decoys",)
    assert {row.label for row in found.rows} == {"not_a_face"}
    assert {(row.width, row.height, row.landmarks, row.votes) for row in found.rows} == {
        (96, 96, None, None)
    }
    for picture in found.pictures():
        assert picture.shape == (96, 96, 3)
        assert (picture == picture[:, :, :1]).all()
        assert picture.std() > 1


def test_each_says_where_it_is_from(found: Table) -> None:
    from_coffee = [row for row in found.rows if row.source == "deep/coffee.png"]
    assert [row.id for row in from_coffee] == [
        f"decoy/deep/coffee.png/{i}" for i in range(len(from_coffee))
    ]
    assert len(from_coffee) >= 8
    assert {row.source for row in found.rows} <= {"deep/coffee.png", "noise0.png", "noise1.png"}


def test_a_small_picture_gives_each_once(found: Table) -> None:
    """It is as large at 800 pixels as at 500: at neither is it enlarged."""
    assert len(images(found)) == len(found)


def test_a_large_picture_is_searched_at_two_sizes(tmp_path: Path) -> None:
    """On the smaller copy the same windows reach farther: there is more on it than on one."""
    save(small("rocket", 560), tmp_path / "large" / "a.png")
    save(small("rocket", 500), tmp_path / "small" / "a.png")
    large = decoys.from_pictures(tmp_path / "large")
    assert len(large) > len(decoys.from_pictures(tmp_path / "small"))
    assert len(images(large)) == len(large)


def test_the_same_seed_gives_the_same_ones(tmp_path: Path) -> None:
    """More windows pass on coins than are taken: a seed says which."""
    save(small("coins", 320), tmp_path / "coins.png")
    once, again, other = (decoys.from_pictures(tmp_path, seed) for seed in (1, 1, 2))
    assert once == again
    assert images(other) != images(once)
    assert len(other) == len(once)
    assert len(images(other) & images(once)) > len(once) / 2


def test_other_pictures_in_the_folder_change_nothing(
    folder: Path, found: Table, tmp_path: Path
) -> None:
    shutil.copytree(folder / "deep", tmp_path / "deep")
    alone = decoys.from_pictures(tmp_path)
    assert list(alone.rows) == [row for row in found.rows if row.source == "deep/coffee.png"]


@pytest.mark.parametrize("turned", ["turned", "mirrored"])
def test_a_curtain_turned_is_a_curtain(
    folder: Path, found: Table, tmp_path: Path, turned: str
) -> None:
    """By right angles and mirrored the picture is searched anyway."""
    rgb = small("coffee", 240)
    view = np.rot90(rgb) if turned == "turned" else rgb[:, ::-1]
    save(np.ascontiguousarray(view), tmp_path / "coffee.png")
    straight = {row.image for row in found.rows if row.source == "deep/coffee.png"}
    assert images(decoys.from_pictures(tmp_path)) == straight


def test_no_wallpaper_fills_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(small("coins", 320), tmp_path / "coins.png")
    monkeypatch.setattr(decoys, "_MOST", 3)
    assert len(decoys.from_pictures(tmp_path)) == 3 * 4 * 2


def test_a_folder_without_anything_like_a_face(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        decoys.from_pictures(tmp_path)
    save(np.full((90, 90, 3), 128, np.uint8), tmp_path / "gray.png")
    with pytest.raises(DataError, match=r"no window of any picture in .* passes for a face"):
        decoys.from_pictures(tmp_path)


# -- beside faces -------------------------------------------------------------------------------


class Windows:
    """Cascades that let the same windows through in every picture."""

    def __init__(self, *windows: list[float]) -> None:
        self._windows = np.array(windows, np.float32).reshape(-1, 4)

    def __call__(self) -> Windows:
        return self

    def windows(self, gray: ImageArray, step: float) -> FloatArray:
        assert gray.ndim == 2
        return self._windows


def window(square: tuple[float, float, float]) -> list[float]:
    """The window whose landmarks are expected in a square: left, top, side."""
    left, top, side = square
    own = side / INSET.side
    x, y = left + side / 2, top + side / 2 - INSET.drop * own
    return [x - own / 2, y - own / 2, x + own / 2, y + own / 2]


def pointed(landmarks: list[tuple[float, float]]) -> Row:
    """A picture 250 x 200 whose gray levels are x, with landmarks within these."""
    ramp = np.tile(np.arange(250, dtype=np.uint8), (200, 1))
    points = [landmarks[i % len(landmarks)] for i in range(68)]
    return Row(
        "made",
        "train",
        "unknown",
        cv2.imencode(".png", ramp)[1].tobytes(),
        250,
        200,
        subject="Ann",
        source="made.png",
        landmarks=tuple(v for point in points for v in point),
    )


FACE = [(100.0, 80.0), (140.0, 120.0)]  # 40 wide and high


@pytest.mark.parametrize(
    ("square", "overlap"),
    [
        ((100, 80, 40), 1.0),
        ((110, 80, 40), 0.6),
        ((118, 80, 40), 0.379),
        ((122, 80, 40), 0.29),
        ((130, 100, 40), 0.067),
        ((110, 90, 20), 0.25),
        ((70, 50, 100), 0.16),
        ((160, 80, 40), 0.0),
    ],
)
def test_a_window_that_overlaps_the_face_is_none(
    monkeypatch: pytest.MonkeyPatch, square: tuple[float, float, float], overlap: float
) -> None:
    monkeypatch.setattr(decoys, "Cascades", Windows(window(square)))
    left, top, side = square
    there = np.array([left, top, left + side, top + side], np.float32)
    face = np.array([*FACE[0], *FACE[1]], np.float32)
    assert geometry.iou(face, there[None])[0] == pytest.approx(overlap, abs=1e-3)
    found = decoys.from_faces(Table("made", [pointed(FACE)]))
    assert len(found) == (overlap < 0.3)
    for picture in found.pictures():
        # On a ramp the middle of the patch is as bright as its place, and its width is twice the
        # side of the square.
        across = picture[48, :, 0].astype(float)
        assert across[40:56].mean() == pytest.approx(left + side / 2 - 0.5, abs=1)
        assert (across[60] - across[36]) / 24 * 96 == pytest.approx(2 * side, abs=2 * side * 0.1)


def test_what_lies_beside_a_face_is_of_its_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is kept for selection together with the face."""
    around = Windows(window((20, 20, 30)), window((100, 80, 40)), window((190, 130, 50)))
    monkeypatch.setattr(decoys, "Cascades", around)
    bare = replace(pointed(FACE), id="bare", landmarks=None)
    found = decoys.from_faces(Table("made", [bare, pointed(FACE)]))
    assert [(row.id, row.split, row.label, row.subject, row.source) for row in found.rows] == [
        ("decoy/made/0", "decoys", "not_a_face", "Ann", "made.png"),
        ("decoy/made/1", "decoys", "not_a_face", "Ann", "made.png"),
    ]


def test_a_long_face_counts_as_a_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the network's own square does: its sides are no more face than its middle."""
    monkeypatch.setattr(decoys, "Cascades", Windows(window((85, 80, 60))))
    assert len(decoys.from_faces(Table("made", [pointed([(110, 80), (120, 140)])]))) == 0


def test_real_faces_have_some_beside_them(w300_table: Table) -> None:
    few = w300_table.keep(i % 40 == 0 for i in range(len(w300_table)))
    found = decoys.from_faces(few)
    assert 5 < len(found) < 3 * len(few)
    assert {row.source for row in found.rows} <= {row.source for row in few.rows}
    assert len({row.id for row in found.rows}) == len(found)


def test_mine_has_both(folder: Path, found: Table, w300_table: Table) -> None:
    few = w300_table.keep(i % 80 == 0 for i in range(len(w300_table)))
    beside = decoys.from_faces(few)
    both = decoys.mine(folder, few)
    assert list(both.rows) == [*found.rows, *beside.rows]
    assert both.name == "decoys"
    assert list(decoys.mine(folder, None).rows) == list(found.rows)


# -- the network's own false alarms -------------------------------------------------------------


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker()


def test_hard_ones_are_what_the_network_takes_for_a_face(
    landmarker: Landmarker, astronaut: ImageArray, tmp_path: Path
) -> None:
    """Somebody's word for it that nobody is here: in her face it is sure to see one."""
    save(np.ascontiguousarray(astronaut[20:220, 120:320]), tmp_path / "a" / "nobody.png")
    found = decoys.hard(tmp_path, landmarker)
    assert (found.name, found.splits) == ("hard-decoys", ("hard",))
    assert {(row.label, row.source, row.width, row.height) for row in found.rows} == {
        ("not_a_face", "a/nobody.png", 96, 96)
    }
    assert len({row.id for row in found.rows}) == len(found)
    assert "hard/a/nobody.png/0/0" in {row.id for row in found.rows}
    # A first look's square and what it made the second look at, one after the other.
    first, second = list(found.pictures())[:2]
    middle = np.array([[24, 24, 72, 72]], np.float32)
    once, again = (
        landmarker.look(Frame(patch), squares(middle), [0.0]) for patch in (first, second)
    )
    assert again.scores[0] > 0.9
    around, turn = leveled_box(again.points[0])
    assert abs(turn) < 0.1
    np.testing.assert_allclose((around[:2] + around[2:]) / 2, [48, 48], atol=3)
    assert (around[2:] - around[:2]).max() == pytest.approx(48, abs=9)
    assert once.scores[0] >= 0.04


def test_what_the_network_sees_through_is_not_hard(landmarker: Landmarker, tmp_path: Path) -> None:
    save(np.full((120, 160, 3), 128, np.uint8), tmp_path / "gray.png")
    with pytest.raises(DataError, match=r"the network takes nothing in .* for a face"):
        decoys.hard(tmp_path, landmarker)


# -- all over -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(400, 400), (640, 360), (360, 640), (500, 170), (3, 3)])
def test_large_squares_cover_the_picture(size: tuple[int, int]) -> None:
    """Inside it, of three sizes, from border to border, half a side apart at the most."""
    width, height = size
    squares = decoys.all_over(width, height)
    sides = squares[:, 2] - squares[:, 0]
    np.testing.assert_allclose(sides, squares[:, 3] - squares[:, 1], rtol=1e-4)
    assert (squares > -1e-3).all()
    assert (squares[:, 2:] < [width + 1e-3, height + 1e-3]).all()
    shares = sorted({round(float(side) / min(size), 3) for side in sides})
    assert shares == [0.42, 0.6, 0.85]
    for share in shares:
        side = share * min(size)
        of_size = squares[np.isclose(sides, side, rtol=1e-3)]
        for start, end, length in ((0, 2, width), (1, 3, height)):
            places = np.unique(of_size[:, start].round(2))
            assert places[0] == 0
            assert of_size[:, end].max() == pytest.approx(length, rel=1e-3)
            assert (np.diff(places) <= side / 2 + 0.01).all()
        columns, rows = (len(np.unique(of_size[:, i].round(2))) for i in (0, 1))
        assert len(of_size) == columns * rows


def test_a_strip_is_no_portrait() -> None:
    for size in ((900, 300), (300, 900), (30_000, 40)):
        assert decoys.all_over(*size).shape == (0, 4)
