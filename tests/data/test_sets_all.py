"""What every importer keeps to, whatever its data set."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from PIL import Image

from mien.data.sets import csv_rows, importers
from mien.errors import ConfigError, DataError, UnknownName

VIDEOS = {"enterface05", "videos"}


@pytest.fixture(params=list(importers))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_says_what_it_wants_in_one_line(name: str) -> None:
    importer = importers.build(name)
    for text in (importer.layout, importer.terms):
        assert text
        assert "\n" not in text


def refuse(name: str, path: Path) -> None:
    """The path and the layout stand in the message."""
    layout = importers.build(name).layout
    with pytest.raises(DataError, match=re.escape(layout)) as caught:
        importers.build(name).read(path)
    assert str(path) in str(caught.value)


def test_an_empty_folder(name: str, tmp_path: Path) -> None:
    refuse(name, tmp_path)


def test_a_folder_of_something_else(name: str, tmp_path: Path) -> None:
    (tmp_path / "2024" / "summer").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "2024" / "summer" / "IMG_1.jpg")
    Image.new("RGB", (8, 8)).save(tmp_path / "IMG_2.jpg")
    (tmp_path / "notes.txt").write_text("of the summer")
    refuse(name, tmp_path)


def test_a_text_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("of the summer\n")
    refuse(name, path)


def test_nothing_there(name: str, tmp_path: Path) -> None:
    refuse(name, tmp_path / "gone")


def test_frames_a_second_are_for_videos(name: str, tmp_path: Path) -> None:
    if name in VIDEOS:
        with pytest.raises(ConfigError, match="frames a second are more than 0, got -1"):
            importers.build(name).read(tmp_path, -1)
    else:
        with pytest.raises(ConfigError, match="frames a second are for videos"):
            importers.build(name).read(tmp_path, 5)


def test_it_stands_in_the_documentation(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "data-sets.md"
    assert f"| `{name}` |" in page.read_text(encoding="utf-8")


def test_an_unknown_importer() -> None:
    with pytest.raises(UnknownName, match="no data set called 'fer2012'; did you mean fer2013"):
        importers.build("fer2012")


def test_a_table_saved_where_the_comma_is_for_decimals(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("file;label\na.png;happy\n", encoding="utf-8-sig")
    assert list(csv_rows(path, ("file",))) == [(2, {"file": "a.png", "label": "happy"})]


def test_rows_go_by_their_lines(tmp_path: Path) -> None:
    """As an editor counts them, whatever is blank; cells that are empty may go beyond the head."""
    path = tmp_path / "a.csv"
    path.write_text("file,label\n\na.png,happy,,\n\r\nb.png\n")
    a, b = {"file": "a.png", "label": "happy"}, {"file": "b.png", "label": ""}
    assert list(csv_rows(path, ("file",))) == [(3, a), (5, b)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"file,label,label\na.png,happy,sad\n", "has two columns called 'label'; name each once"),
        (b"file,label\na.png,happy,Ann\n", "line 2: 'Ann' stands beyond the last column, 'label'"),
        (b'file,label\na.png,"happy\nb.png,sad\n', "is not readable CSV: unexpected end of data"),
        (b"file\tlabel\na.png\thappy\n", "it has .*; its cells are parted by tabs, not by commas"),
        ("file,label\na.png,happy\n".encode("utf-16"), "it is no text in UTF-8; save it as that"),
        (
            "file,label\na.png,happy\n".encode("utf-16-le"),
            "it is no text in UTF-8; save it as that",
        ),
        (
            "file,label\nZoë.png,happy\n".encode("latin-1"),
            "it is no text in UTF-8; save it as that",
        ),
    ],
)
def test_tables_that_would_be_misread(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        list(csv_rows(path, ("file", "label")))


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    """Nobody writes into it, and nobody waits for that."""
    os.mkfifo(tmp_path / "a.csv")
    for path in (tmp_path / "a.csv", tmp_path):
        with pytest.raises(DataError, match="is no file, but a folder, a pipe or a device"):
            list(csv_rows(path, ("file",)))
