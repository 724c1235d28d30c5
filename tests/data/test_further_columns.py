"""What an owner's list says besides: kept from the list to the table's file, and through a cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data import table
from mien.data.cut import faces_of
from mien.data.sets import further
from mien.data.sets.folder import read_folder
from mien.data.sets.listed import read_listed
from mien.errors import DataError
from mien.face import ImageArray


@pytest.fixture
def pictures(tmp_path: Path, astronaut: ImageArray) -> Path:
    for name in ("happy/a.png", "happy/b.png", "sad/c.png"):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(astronaut[:300, 100:400]).save(tmp_path / "own" / name)
    return tmp_path / "own"


def test_of_a_folder(pictures: Path) -> None:
    (pictures / "people.csv").write_text(
        "file,subject,sex,age_band\nhappy/a.png,ann,female,18-29\nhappy/B.PNG,,male,\nsad/c.png,,,\n"
    )
    found = read_folder(pictures)
    assert [row.more for row in found.rows] == [
        {"sex": "female", "age_band": "18-29"},
        {"sex": "male"},
        {},
    ]
    assert [row.subject for row in found.rows] == ["ann", None, None]
    assert found.columns == ("sex", "age_band", "subject", "split", "sequence")
    assert found.column("sex") == ["female", "male", None]
    with pytest.raises(DataError, match="own has no column 'skin'; it has sex, age_band, subject"):
        found.column("skin")


def test_of_a_list(pictures: Path) -> None:
    (pictures / "list.csv").write_text(
        "file;label;subject;camera;width\nhappy/a.png;happy;ann;phone;7\nsad/c.png;sad;;;\n"
    )
    one, other = read_listed(pictures / "list.csv").rows
    assert one.more == {"camera": "phone"}  # its width is the picture's own
    assert (one.width, one.subject) == (300, "ann")
    assert other.more == {}


def test_kept_in_the_file_and_through_a_cut(pictures: Path, tmp_path: Path) -> None:
    (pictures / "people.csv").write_text("file,subject,sex\nhappy/a.png,ann,female\n")
    found = read_folder(pictures)
    table.write(found, tmp_path / "t.parquet")
    again = table.read(tmp_path / "t.parquet")
    assert [row.more for row in again.rows] == [{"sex": "female"}, {}, {}]
    assert list(again.rows) == list(found.rows)
    cut = faces_of(again, "box", 48)
    assert cut.column("sex") == ["female", None, None]
    assert cut.are_crops
    assert not again.are_crops


def test_which_tables_are_of_crops() -> None:
    gray = np.full((48, 48), 9, np.uint8)
    row = table.Row("a", "all", "anger", table.png(gray), 48, 48)
    assert table.Table("t", [row]).are_crops
    assert table.Table("t", [replace(row, width=112, height=112)]).are_crops  # LFW's, cut
    assert not table.Table("t", [row, replace(row, width=256, height=256)]).are_crops
    cut = table.Table("t", [replace(row, width=256, height=256)], notes={"align": "box"})
    assert cut.are_crops


def test_further_columns_of_a_row() -> None:
    said = {"file": "a", "sex": " f ", "age": "", None: ["x"], "votes": "1"}
    assert further(said, ("file",)) == {"sex": "f"}  # type: ignore[arg-type]
