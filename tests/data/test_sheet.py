"""Contact sheets: what is where, and the same again with the same seed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.data.sheet import contact_sheet
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError
from mien.face import ImageArray

LEVELS = {"surprise": 40, "neutral": 80, "unknown": 120}


def row(
    number: int, label: str, split: str = "train", shape: tuple[int, int] = (20, 20), level: int = 0
) -> Row:
    """A plain picture whose gray level says its label, or is given."""
    picture = np.full((*shape, 3), level or LEVELS[label], np.uint8)
    png = cv2.imencode(".png", picture)[1].tobytes()
    return Row(f"made/{number}", split, label, png, shape[1], shape[0])


@pytest.fixture
def table() -> Table:
    """Twenty surprised, three unknown, one neutral; the last two of "test"."""
    rows = [row(i, "surprise") for i in range(20)]
    rows += [row(20 + i, "unknown") for i in range(2)]
    rows += [row(22, "unknown", "test"), row(23, "neutral", "test", (20, 33))]
    return Table("made", rows)


def cells(sheet: ImageArray, level: int, cell: int) -> list[tuple[int, int]]:
    """Top left corners (y, x) of the plain cells of one gray level."""
    filled = (sheet == level).all(axis=2).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(filled, connectivity=4)
    whole = [s for s in stats[1:count] if (s[2], s[3], s[4]) == (cell, cell, cell * cell)]
    return sorted((int(s[1]), int(s[0])) for s in whole)


def test_one_row_per_label_in_mien_s_order(table: Table) -> None:
    sheet = contact_sheet(table, per_label=5, cell=50)
    assert sheet.dtype == np.uint8
    placed = {label: cells(sheet, level, 50) for label, level in LEVELS.items()}
    assert {label: len(at) for label, at in placed.items()} == {
        "neutral": 1,
        "surprise": 5,
        "unknown": 3,
    }
    tops = [placed[label][0][0] for label in ("neutral", "surprise", "unknown")]
    assert np.diff(tops).tolist() == [54, 54]
    lefts = {label: [x for _, x in at] for label, at in placed.items()}
    assert np.diff(lefts["surprise"]).tolist() == [54] * 4
    assert lefts["unknown"] == lefts["surprise"][:3]
    assert lefts["neutral"] == lefts["surprise"][:1]


def test_the_margin_is_white_and_the_left_holds_text(table: Table) -> None:
    sheet = contact_sheet(table, per_label=5, cell=50)
    border = np.ones(sheet.shape[:2], bool)
    border[24:-24, 24:-24] = False
    assert (sheet[border] == 255).all()
    top, left = cells(sheet, LEVELS["neutral"], 50)[0]
    for line in range(3):
        beside = sheet[top + 54 * line : top + 54 * line + 50, :left]
        assert (beside < 128).any()
        assert (beside[:, -10:] == 255).all()


def test_the_sheet_is_no_wider_than_its_pictures(table: Table) -> None:
    few = table.keep(row.label == "unknown" for row in table.rows)
    narrow, wide = contact_sheet(few, per_label=3), contact_sheet(few, per_label=30)
    np.testing.assert_array_equal(narrow, wide)


def test_a_long_title_is_not_cut(table: Table) -> None:
    long = Table("a_name_" * 12, table.rows)
    assert (contact_sheet(long, per_label=1)[:, -24:] == 255).all()


def test_the_same_seed_draws_the_same_sample() -> None:
    table = Table("made", [row(i, "fear", level=i + 1) for i in range(100)])
    first = contact_sheet(table, per_label=6, seed=1)
    np.testing.assert_array_equal(first, contact_sheet(table, per_label=6, seed=1))
    assert not np.array_equal(first, contact_sheet(table, per_label=6, seed=2))


def test_no_picture_is_drawn_twice() -> None:
    table = Table("made", [row(i, "fear", level=5 * i + 5) for i in range(12)])
    sheet = contact_sheet(table, per_label=12)
    assert [len(cells(sheet, 5 * i + 5, 64)) for i in range(12)] == [1] * 12


def test_one_split(table: Table) -> None:
    sheet = contact_sheet(table, split="test")
    assert [len(cells(sheet, level, 64)) for level in LEVELS.values()] == [0, 1, 1]
    with pytest.raises(DataError, match="no split 'val'"):
        contact_sheet(table, split="val")


@pytest.mark.parametrize(("per_label", "cell"), [(0, 64), (12, 8)])
def test_sheets_nobody_could_read_are_refused(table: Table, per_label: int, cell: int) -> None:
    with pytest.raises(ConfigError, match="at least 1 picture"):
        contact_sheet(table, per_label, cell)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(DataError, match="made holds no pictures"):
        contact_sheet(Table("made", []))
