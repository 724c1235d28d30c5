"""How strongly expressions show, as the raters of lists of one's own say: csv and folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.data import table
from mien.data.sets import importers
from mien.data.sets.folder import read_folder
from mien.data.sets.intensities import Scale, scale_of
from mien.data.sets.listed import read_listed
from mien.data.table import Table
from mien.errors import ConfigError, DataError
from mien.labels import subset
from tests.made import picture

FILES = ("happy/a.png", "happy/b.png", "sad/c.png", "neutral/d.png")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    for i, name in enumerate(FILES):
        picture(tmp_path / "own" / name, seed=i)
    return tmp_path / "own"


def told(result: Table) -> list[dict[str, float] | None]:
    """What each row was rated, by label, in the order of the files' names."""
    rows = sorted(result.rows, key=lambda row: row.source or "")
    return [
        None
        if row.intensity is None
        else dict(zip(result.intensity_labels, np.round(row.intensity, 4).tolist(), strict=True))
        for row in rows
    ]


def of_list(root: Path, head: str, *lines: str, scale: str | None = None) -> Table:
    (root / "list.csv").write_text("\n".join([f"file,label{head}", *lines]) + "\n")
    return read_listed(root / "list.csv", scale_of(scale) if scale else None)


# --- what is read ---------------------------------------------------------------------------


def test_a_column_for_the_pictures_own_label(faces: Path) -> None:
    """Xu et al.: what is not happy is neutral. A neutral picture needs no number."""
    result = of_list(
        faces,
        ",intensity",
        "happy/a.png,happy,3",
        "happy/b.png,happy,",
        "sad/c.png,sad,5",
        "neutral/d.png,neutral,",
        scale="0..5",
    )
    assert result.intensity_labels == ("neutral", "happiness", "sadness")
    assert told(result) == [
        {"neutral": 0.4, "happiness": 0.6, "sadness": 0.0},
        None,
        {"neutral": 1.0, "happiness": 0.0, "sadness": 0.0},
        {"neutral": 0.0, "happiness": 0.0, "sadness": 1.0},
    ]
    assert result.notes["intensities"] == {
        "scale": "0..5",
        "columns": ["intensity"],
        "rated": 3,
        "unrated": ["happy/b.png"],
    }
    assert [row.more for row in result.rows] == [{}] * 4


def test_a_column_for_each_label(faces: Path) -> None:
    """Each by itself, under any of a label's names, and in the order of the labels."""
    result = of_list(
        faces,
        ",intensity_sad,Intensity_joy,camera",
        "happy/a.png,happy,0.1,0.9,phone",
        "sad/c.png,sad,0.5,0.5,",
        "neutral/d.png,neutral,0,0,",
    )
    assert result.intensity_labels == ("happiness", "sadness")
    assert told(result) == [
        {"happiness": 0.9, "sadness": 0.1},
        {"happiness": 0.0, "sadness": 0.0},
        {"happiness": 0.5, "sadness": 0.5},
    ]
    assert result.rows[0].more == {"camera": "phone"}


@pytest.mark.parametrize(
    ("scale", "cells", "expected"),
    [
        ("0..1", ("0.2", "1", "0"), [0.2, 0.0, 1.0]),
        ("0..100", ("20", "100", "0"), [0.2, 0.0, 1.0]),
        ("1..5", ("2", "5", "1"), [0.25, 0.0, 1.0]),  # as JAFFE's raters: 1 is not at all
        ("0..5", ("1", "5", "0"), [0.2, 0.0, 1.0]),  # as Xu et al.: the first level is 20 %
        ("0..5", ("20 %", "100%", "0%"), [0.2, 0.0, 1.0]),
    ],
)
def test_the_scale_is_told(
    faces: Path, scale: str, cells: tuple[str, str, str], expected: list[float]
) -> None:
    happy, sad, none = cells
    lines = (f"happy/a.png,happy,{happy}", f"sad/c.png,sad,{sad}", f"neutral/d.png,neutral,{none}")
    result = of_list(faces, ",intensity", *lines, scale=scale)
    rated = [row or {} for row in told(result)]
    by_file = [rated[0]["happiness"], rated[2]["neutral"], rated[1]["neutral"]]
    assert by_file == pytest.approx([expected[0], 0.0, 1.0])
    assert rated[2]["sadness"] == 1.0


def test_decimal_commas_of_a_european_spreadsheet(faces: Path) -> None:
    text = "file;label;intensity \nhappy/a.png;happy;0,25\n"
    (faces / "list.csv").write_text(text, encoding="utf-8-sig")
    (row,) = told(read_listed(faces / "list.csv"))
    assert row == {"neutral": 0.75, "happiness": 0.25}


def test_a_folder_says_it_with_its_people(faces: Path) -> None:
    lines = ["file,subject,intensity", "happy/a.png,ann,4", "happy/b.png,ben,", "sad/c.png,ann,2"]
    (faces / "people.csv").write_text("\n".join(lines) + "\n")
    result = read_folder(faces, Scale(0, 5))
    assert told(result) == [
        {"neutral": 0.2, "happiness": 0.8, "sadness": 0.0},
        None,
        None,  # neutral, and in no row of the list
        {"neutral": 0.6, "happiness": 0.0, "sadness": 0.4},
    ]
    assert [row.subject for row in result.rows] == ["ann", "ben", None, "ann"]
    assert result.notes["intensities"]["unrated"] == ["happy/b.png", "neutral/d.png"]


def test_several_raters_in_a_table_of_their_own(faces: Path) -> None:
    """Their mean counts; who they are is not read, and that is said."""
    (faces / "people.csv").write_text("file,subject\nhappy/a.png,ann\n")
    (faces / "intensities.csv").write_text(
        "file,rater,intensity_happy,intensity_surprise\n"
        "happy/a.png,r1,50,0\nhappy/a.png,r2,100,50\nhappy/gone.png,r1,0,0\n"
        "sad/c.png,r1,,\n"
    )
    with pytest.raises(DataError, match=r"intensities\.csv, line 2, intensity_happy: 50 lies out"):
        read_folder(faces)
    result = read_folder(faces, scale_of("0..100"))
    assert told(result) == [{"happiness": 0.75, "surprise": 0.25}, None, None, None]
    left_out = result.notes["left_out"]
    assert left_out["column 'rater'"] == "only intensities are read from intensities.csv"
    assert left_out["intensities.csv"].startswith("1 of its 3 rows name no picture")


def test_they_are_in_the_file_and_outlive_it(faces: Path, tmp_path: Path) -> None:
    result = of_list(faces, ",intensity", "happy/a.png,happy,0.6", "sad/c.png,sad,")
    table.write(result, tmp_path / "t.parquet")
    again = table.read(tmp_path / "t.parquet")
    assert told(again) == [{"neutral": 0.4, "happiness": 0.6}, None]
    assert again.graded(subset(["happiness", "neutral", "sadness"])) == ("happiness", "neutral")
    assert again.notes["intensities"]["rated"] == 1


def test_nobody_rated_anything(faces: Path) -> None:
    result = of_list(faces, ",intensity", "happy/a.png,happy,", "sad/c.png,sad,")
    assert result.intensity_labels == ()
    assert result.notes["intensities"]["rated"] == 0
    assert len(result.notes["intensities"]["unrated"]) == 2


# --- what people get wrong ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "line", "message"),
    [
        (
            ",intensity",
            "happy/a.png,happy,3",
            r"list\.csv, line 2, intensity: 3 lies outside of the scale 0\.\.1; .* 0\.\.5 for five",
        ),
        (",intensity", "happy/a.png,happy,-0.1", "line 2, intensity: -0.1 lies outside"),
        (
            ",intensity",
            "happy/a.png,happy,nan",
            "line 2, intensity: 'nan' is no number on the scale 0..1; leave",
        ),
        (",intensity", "happy/a.png,happy,120%", r"120% lies outside of the scale 0\.\.100"),
        (",intensity", "happy/a.png,happy,strong", "'strong' is no number on the scale 0..1"),
        (",intensity", "neutral/d.png,neutral,0.5", "line 2: no expression shows on a neutral"),
        (",intensity", "happy/a.png,unknown,0.5", "line 2: 'unknown' has no intensity; leave"),
        (
            ",intensity_happy,intensity_sad",
            "happy/a.png,happy,0.5,",
            "line 2: intensity_sad is empty where others are not; what does not show is 0, and",
        ),
        (
            ",intensity_hapiness",
            "happy/a.png,happy,0.5",
            r"'intensity_hapiness' of .*list\.csv is named for no emotion: .*did you mean happi",
        ),
        (",intensity_boredom", "happy/a.png,happy,1", "is named for no emotion: .*there are"),
        (",intensity_unknown", "happy/a.png,happy,1", "is named for no emotion"),
        (",intensity_joy,intensity_happy", "happy/a.png,happy,1,1", "two columns .* happiness"),
        (",intensity,intensity_happy", "happy/a.png,happy,1,1", "either one for the picture's own"),
    ],
)
def test_what_is_no_intensity(faces: Path, head: str, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        of_list(faces, head, line)


@pytest.mark.parametrize(
    ("people", "intensities", "message"),
    [
        ("", "file,rater\nhappy/a.png,r1\n", r"intensities\.csv lacks a column 'intensity'"),
        ("", "file,intensity\na.png,1\n", "names files like 'a.png', but the pictures are called"),
        (
            "file,subject,intensity\nhappy/a.png,ann,1\n",
            "file,intensity\nhappy/a.png,1\n",
            r"intensities stand in .*people\.csv and in .*intensities\.csv; leave one",
        ),
        (
            "file,subject,intensity\nhappy/a.png,ann,1\nhappy/a.png,ann,0\n",
            "",
            r"people\.csv, line 3: happy/a\.png is listed a second time.* in intensities\.csv",
        ),
    ],
)
def test_a_folder_with_wrong_tables(
    faces: Path, people: str, intensities: str, message: str
) -> None:
    for name, text in (("people.csv", people), ("intensities.csv", intensities)):
        if text:
            (faces / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_folder(faces)


def test_columns_that_are_not_read_are_named(faces: Path) -> None:
    """A column called as an expression may be anything; one called as mien's own is no longer lost
    without a word."""
    result = of_list(faces, ",happy,width,camera", "happy/a.png,happy,0.5,7,phone")
    assert result.notes["left_out"] == {
        "column 'happy'": "kept as words; as intensities it has to be called 'intensity_happy'",
        "column 'width'": "a mien table has another use for this name",
    }
    assert result.intensity_labels == ()
    assert result.rows[0].more == {"happy": "0.5", "camera": "phone"}


@pytest.mark.parametrize("text", ["5", "0..", "a..b", "5..0", "1..1", "0..inf", "0..nan", ""])
def test_what_is_no_scale(text: str) -> None:
    with pytest.raises(ConfigError, match="a scale"):
        scale_of(text)


def test_a_scale_is_for_lists_of_ones_own(faces: Path) -> None:
    with pytest.raises(ConfigError, match=r"a scale is for .* lists of your own \(csv, folder\)"):
        importers.build("jaffe").read(faces, scale=Scale())
