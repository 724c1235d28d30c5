"""Names that are spelt in several ways, in lists and on a disk; and names that lead elsewhere."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from mien.data.sets.folder import read_folder
from mien.data.sets.listed import read_listed
from mien.data.sets.w300 import read_300w
from mien.media import image
from mien.names import Spelled, folded
from mien.results import summary
from mien.results.summary import Recording
from tests.made import picture

COMPOSED, A_MACS = "Zo\xeb", "Zoe\u0308"


def subjects(root: Path) -> dict[str, str | None]:
    return {Path(row.id).name: row.subject for row in read_folder(root).rows}


def test_spelling_of_a_table_of_people(tmp_path: Path) -> None:
    """A Mac's letters, an ending in capitals, and Windows's separators: three people, one each."""
    for i, name in enumerate((f"happy/{A_MACS}_1.png", "happy/Ann_1.PNG", "sad/ben_1.png")):
        picture(tmp_path / name, seed=i)
    lines = [f"happy/{COMPOSED}_1.png,zoe", "happy/ann_1.png,ann", "sad\\ben_1.png,ben"]
    (tmp_path / "people.csv").write_text("\n".join(["file,subject", *lines]), encoding="utf-8")
    found = subjects(tmp_path)
    assert found == {f"{A_MACS}_1.png": "zoe", "Ann_1.PNG": "ann", "ben_1.png": "ben"}
    assert read_folder(tmp_path).notes["left_out"] == {}


def test_spelling_that_fits_two_files_is_exact(tmp_path: Path) -> None:
    picture(tmp_path / "happy" / "a.png", seed=1)
    picture(tmp_path / "happy" / "A.png", seed=2)
    text = "file,subject\nhappy/a.png,ann\nhappy/A.png,bob\n"
    (tmp_path / "people.csv").write_text(text, encoding="utf-8")
    assert subjects(tmp_path) == {"a.png": "ann", "A.png": "bob"}


def test_spelling_rows_that_match_no_picture_are_told(tmp_path: Path) -> None:
    picture(tmp_path / "happy" / "a.png", seed=1)
    picture(tmp_path / "happy" / "b.png", seed=2)
    text = "file,subject\nhappy/a.png,ann\nhappy/c.png,cleo\n"
    (tmp_path / "people.csv").write_text(text, encoding="utf-8")
    assert read_folder(tmp_path).notes["left_out"]["people.csv"] == (
        "1 of its 2 rows name no picture ('happy/c.png'), and "
        "1 of 2 pictures have no row ('happy/b.png')"
    )


def test_spelling_of_one_subject_is_one(tmp_path: Path) -> None:
    picture(tmp_path / "happy" / "a.png", seed=1)
    picture(tmp_path / "happy" / "b.png", seed=2)
    text = f"file,subject\nhappy/a.png,{COMPOSED}\nhappy/b.png, {A_MACS} \n"
    (tmp_path / "people.csv").write_text(text, encoding="utf-8")
    assert set(subjects(tmp_path).values()) == {COMPOSED}


def test_spelling_of_a_list_of_files(tmp_path: Path) -> None:
    picture(tmp_path / "in" / f"{A_MACS}.PNG")
    text = f"file,label\nin\\{COMPOSED}.png,happiness\n"
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    (row,) = read_listed(tmp_path / "list.csv").rows
    assert row.source is not None
    assert folded(row.source) == folded(f"in/{COMPOSED}.png")


def test_spelling_of_points_beside_a_picture(tmp_path: Path) -> None:
    picture(tmp_path / "indoor_1.PNG")
    points = "\n".join(f"{i} {i}" for i in range(68))
    text = f"version: 1\nn_points: 68\n{{\n{points}\n}}\n"
    (tmp_path / "indoor_1.pts").write_text(text, encoding="utf-8")
    assert len(read_300w(tmp_path)) == 1


@pytest.mark.parametrize("asked", [COMPOSED, A_MACS])
@pytest.mark.parametrize("stored", [COMPOSED, A_MACS])
def test_spelling_of_a_path_and_a_pattern(asked: str, stored: str, tmp_path: Path) -> None:
    made = picture(tmp_path / f"{stored}.png")
    assert list(image.find([tmp_path / f"{asked}.png"])) == [made]
    assert list(image.find([str(tmp_path / f"{asked}.*")])) == [made]


def test_spelling_of_files_that_are_written() -> None:
    """On a Mac or on Windows these would be one file."""
    recordings = [Recording(f"{stem}.mp4", ()) for stem in ("A", "a", COMPOSED, A_MACS)]
    names = summary.names(recordings)
    assert len({folded(name) for name in names}) == 4
    assert names[0] == "A"


def test_spelling_in_neither_direction_changes_a_letter() -> None:
    said = Spelled({"a.png": 1})
    assert said.get("\xe4.png") is None
    assert unicodedata.normalize("NFD", COMPOSED) == A_MACS


@pytest.mark.parametrize("name", ["../out.png", "in/../../out.png", "..\\out.png", "{out}"])
def test_a_list_does_not_lead_out_of_its_folder(name: str, tmp_path: Path) -> None:
    out = picture(tmp_path / "out.png")
    picture(tmp_path / "mine" / "in" / "a.png")
    name = name.format(out=out)
    text = f"file,label\nin/a.png,happiness\n{name},sadness\n"
    (tmp_path / "mine" / "list.csv").write_text(text, encoding="utf-8")
    table = read_listed(tmp_path / "mine")
    assert [row.source for row in table.rows] == ["in/a.png"]
    assert table.notes["left_out"][name].startswith(f"{name} lies outside of")
