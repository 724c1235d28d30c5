"""Faces from the web and tables beside pictures, made in their owners' layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.data.sets.affectnet import read_affectnet
from mien.data.sets.faces10k import read_faces10k
from mien.data.sets.lfw import read_lfw
from mien.data.sets.listed import read_listed
from mien.data.sets.rafdb import read_rafdb
from mien.data.table import Table
from mien.errors import DataError
from tests.made import picture

# --- RAF-DB ---------------------------------------------------------------------------------

RAFDB = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]


def rafdb(root: Path, *lines: str) -> Path:
    (root / "EmoLabel").mkdir(parents=True)
    (root / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("around", ["", "basic"])
@pytest.mark.parametrize("folder", ["aligned", "original"])
def test_rafdb(tmp_path: Path, around: str, folder: str) -> None:
    """Labels counted from 1, the owners' split, the aligned pictures where they are there."""
    stems = [f"train_{i:05d}" for i in range(1, 7)] + ["test_0001"]
    root = rafdb(tmp_path / around, *(f"{s}.jpg {i}" for i, s in enumerate(stems, 1)))
    for i, stem in enumerate(stems):
        picture(root / "Image" / "original" / f"{stem}.jpg", i, 8)
        if folder == "aligned":
            picture(root / "Image" / "aligned" / f"{stem}_aligned.jpg", i, 10)
    table = read_rafdb(tmp_path)
    assert [r.id for r in table.rows] == [f"rafdb/{stem}" for stem in stems]
    assert [r.label for r in table.rows] == RAFDB
    assert [r.split for r in table.rows] == [*["train"] * 6, "test"]
    assert {r.width for r in table.rows} == {10 if folder == "aligned" else 8}


@pytest.mark.parametrize("line", ["train_00002.jpg 0", "train_00002.jpg 8", "val_1.jpg 3", "x"])
def test_rafdb_names_the_bad_line(tmp_path: Path, line: str) -> None:
    rafdb(tmp_path, "train_00001.jpg 5", line)
    with pytest.raises(DataError, match=r"line 2: expected a line like .* 1\.\.7, got") as caught:
        read_rafdb(tmp_path)
    assert f"'{line}'" in str(caught.value)


def test_rafdb_without_a_picture(tmp_path: Path) -> None:
    rafdb(tmp_path, "train_00001.jpg 5", "train_00002.jpg 5")
    with pytest.raises(DataError, match=r"no picture in .* can be read: no such file: .*00001"):
        read_rafdb(tmp_path)
    picture(tmp_path / "Image" / "aligned" / "train_00001_aligned.jpg")
    assert list(read_rafdb(tmp_path).notes["unreadable"]) == [
        "Image/aligned/train_00002_aligned.jpg"
    ]


# --- AffectNet ------------------------------------------------------------------------------


def affectnet(root: Path, name: str, exp: object, val: float = 0.5, aro: float = -0.5) -> Path:
    """One picture with its arrays; ``name`` is like train_set/0."""
    side, _, stem = name.partition("/")
    picture(root / side / "images" / f"{stem}.jpg")
    notes = root / side / "annotations"
    notes.mkdir(exist_ok=True)
    np.save(notes / f"{stem}_exp.npy", np.array(exp))
    np.save(notes / f"{stem}_val.npy", np.array(val))
    np.save(notes / f"{stem}_aro.npy", np.array(str(aro)))  # the owners saved texts
    np.save(notes / f"{stem}_lnd.npy", np.arange(136) / 2)
    return root


def test_affectnet(tmp_path: Path) -> None:
    labels = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger"]
    labels += ["contempt", "unknown", "unknown", "not_a_face"]
    for i in range(len(labels)):
        affectnet(tmp_path, f"train_set/{i}", str(i))
    affectnet(tmp_path, "val_set/7", 3, -2, -2)
    table = read_affectnet(tmp_path)
    assert [r.label for r in table.rows] == [*labels, "surprise"]
    assert [r.id for r in table.rows[1:3]] == ["affectnet/train/1", "affectnet/train/2"]
    assert table.rows[10].id == "affectnet/train/10"  # numbers, not texts, give the order
    assert table.splits == ("train", "val")
    assert table.intensity_labels == ("valence", "arousal")
    assert table.rows[0].intensity == (0.75, 0.25)  # [-1, 1] on [0, 1]
    assert table.rows[-1].intensity is None  # -2 is none
    assert table.rows[0].landmarks == tuple(i / 2 for i in range(136))


def test_affectnet_with_labels_alone(tmp_path: Path) -> None:
    affectnet(tmp_path, "val_set/0", 1)
    for part in ("val", "aro", "lnd"):
        (tmp_path / "val_set" / "annotations" / f"0_{part}.npy").unlink()
    picture(tmp_path / "val_set" / "images" / "5.jpg")
    table = read_affectnet(tmp_path)
    assert [(r.label, r.intensity, r.landmarks) for r in table.rows] == [("happiness", None, None)]
    assert "5_exp.npy is not there" in table.notes["left_out"]["val_set/images/5.jpg"]


@pytest.mark.parametrize(
    ("exp", "message"),
    [
        (11, r"0_exp\.npy: a label is a number 0\.\.10, got 11"),
        (1.5, r"a label is a number 0\.\.10, got 1\.5"),
        ("happy", "0_exp.npy is not an array of 1 numbers"),
        ([1, 2], "0_exp.npy is not an array of 1 numbers: it has 2"),
    ],
)
def test_affectnet_labels_of_another_kind(tmp_path: Path, exp: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_affectnet(affectnet(tmp_path, "train_set/0", exp))


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00"])
def test_affectnet_with_a_damaged_array(tmp_path: Path, content: bytes) -> None:
    affectnet(tmp_path, "train_set/0", 1)
    (tmp_path / "train_set" / "annotations" / "0_lnd.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"0_lnd\.npy is not an array of 136 numbers"):
        read_affectnet(tmp_path)


# --- 10k US Adult Faces ---------------------------------------------------------------------

SCORES = Path("Full Attribute Scores", "demographic & others labels")
FINAL = "demographic-others-labels-final.csv"


def faces10k(root: Path, lines: list[str], name: str = FINAL) -> Path:
    (root / SCORES).mkdir(parents=True)
    (root / SCORES / name).write_text("\n".join(["Filename,Image #,Age,Emotion?", *lines]) + "\n")
    for line in lines:
        picture(root / "Face Images" / line.partition(",")[0])
    return root


def test_faces10k_final_values(tmp_path: Path) -> None:
    labels = ["neutral", "happiness", "sadness", "anger", "fear", "surprise", "disgust"]
    lines = [f"Google_1_A B_{i}.jpg,{i},2.5,{i}" for i in range(7)]
    lines += ["Google_1_C_1.jpg,8,3,", "Google_1_C_2.jpg,9,3,0.5", "Google_1_C_3.jpg,9,3,NaN"]
    table = read_faces10k(faces10k(tmp_path, lines))
    assert [r.label for r in table.rows] == labels
    assert table.rows[0].id == "faces10k/Google_1_A B_0.jpg"
    assert table.vote_labels == ()
    assert list(table.notes["left_out"]) == [f"Google_1_C_{i}.jpg" for i in (1, 2, 3)]


def test_faces10k_single_answers_are_votes(tmp_path: Path) -> None:
    lines = ["a.jpg,1,2,1", "a.jpg,1,3,1", "a.jpg,1,2,0", "b.jpg,2,2,6"]
    table = read_faces10k(faces10k(tmp_path, lines, "demographic-others-labels.csv"))
    assert [r.label for r in table.rows] == ["happiness", "disgust"]
    assert table.vote_labels[:2] == ("neutral", "happiness")
    assert [r.votes for r in table.rows] == [(1, 2, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 1)]


def test_faces10k_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no .*final\.csv: save the sheet 'Final Values'"):
        read_faces10k(tmp_path)
    faces10k(tmp_path, ["a.jpg,1,2,7"])
    with pytest.raises(DataError, match=r"line 2: an emotion is a number 0\.\.6, got '7'"):
        read_faces10k(tmp_path)
    (tmp_path / SCORES / FINAL).write_text("Filename,Emotion\na.jpg,happy\n")
    with pytest.raises(DataError, match=r"an emotion is a number 0..6, got 'happy'"):
        read_faces10k(tmp_path)
    (tmp_path / SCORES / FINAL).write_text("Filename,Emotion amount\na.jpg,3\n")
    with pytest.raises(
        DataError, match=r"has no column 'Emotion'; it has \['Filename', 'Emotion a"
    ):
        read_faces10k(tmp_path)


# --- A table beside pictures ----------------------------------------------------------------


def test_csv_with_every_column(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    picture(root / "a.png", 1)
    picture(root / "in" / "b.png", 2)
    text = "file,label,subject,split,sequence\na.png,joy,Ann,train,walk\nin/b.png,SAD,,test,\n"
    (root / "labels.csv").write_text(text)
    for path in (root, root / "labels.csv"):
        table = read_listed(path)
        assert [(r.id, r.label, r.subject, r.split, r.sequence) for r in table.rows] == [
            ("mine/a.png", "happiness", "Ann", "train", "walk"),
            ("mine/in/b.png", "sadness", None, "test", None),
        ]


def test_csv_with_what_people_get_wrong(tmp_path: Path) -> None:
    """Other labels, one picture in a class, damaged and missing pictures: named, not fatal."""
    picture(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    lines = ["a.png,happy", "b.png,boredom", "c.png,boredom", "cut.png,sad", "gone.png,sad"]
    lines += ["/gone/too.png,sad"]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *lines]) + "\n")
    table = read_listed(tmp_path)
    assert [(r.source, r.split) for r in table.rows] == [("a.png", "all")]
    assert list(table.notes["unreadable"]) == ["cut.png", "gone.png"]
    [(key, reason), (elsewhere, why)] = table.notes["left_out"].items()
    assert (elsewhere, "lies outside of" in why) == ("/gone/too.png", True)
    assert key == "label 'boredom'"
    assert reason.endswith("(2 rows)")


def test_a_list_with_gaps(tmp_path: Path) -> None:
    """Rows without a name or a label are counted, and blanks around a split make no other one."""
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    lines = ["file,label,split", "a.png,happy, train ", "b.png,,", ",sad,", ",,", "b.png,sad,train"]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    table = read_listed(tmp_path)
    assert table.splits == ("train",)
    left_out = table.notes["left_out"]
    assert left_out["rows without a label"].endswith("labels.csv has 1 of them")
    assert left_out["rows without a file"].endswith("labels.csv has 2 of them")
    assert table.notes["unreadable"] == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na.png,hapy\n", r"labels\.csv, line 2: 'hapy' is no label: .*mean happy"),
        ("file,label\na.png,sad\na.png,sad\n", r"line 3: a\.png is listed a second time"),
        ("file,label\na.png,sad\nA.PNG,happy\n", r"line 3: A\.PNG is listed a second time"),
        ("file,label\n", r"no pictures in .*; expected rows in .*labels\.csv"),
        ("file,label\na.png,boredom\n", "'boredom' is no label: .*there are: neutral"),
        ("picture,emotion\na.png,sad\n", r"lacks the columns \['file', 'label'\]; it has \['pic"),
    ],
)
def test_csv_of_another_kind(tmp_path: Path, text: str, message: str) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_listed(tmp_path)


def test_csv_one_of_several(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"should hold one \.csv file.*it has: a\.csv, b\.csv"):
        read_listed(tmp_path)


# --- LFW ------------------------------------------------------------------------------------


def test_lfw_takes_the_person_from_the_name(tmp_path: Path) -> None:
    names = ["happy/Colin_Powell_0076.jpg", "happy/AFilm_12.jpg", "Colin_Powell/x_0001.jpg"]
    for name in names:
        picture(tmp_path / name)
    lines = ["file,label,subject", f"{names[0]},happy,", f"{names[1]},happy,", f"{names[2]},sad,Al"]
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    table = read_lfw(tmp_path)
    assert [r.subject for r in table.rows] == ["Colin_Powell", None, "Al"]
    assert table.rows[0].id == "lfw/happy/Colin_Powell_0076.jpg"


def test_lfw_real(owners_layout: Path, lfw_table: Table) -> None:
    """The same as the folder importer finds; people as the table has them."""
    table = read_lfw(owners_layout / "lfw")
    assert len(table) == 2969
    assert sum(row.subject is not None for row in table.rows) == 2649
    assert len({row.subject for row in table.rows} - {None}) == 1661
    there = {row.source: (row.label, row.subject) for row in lfw_table.rows}
    assert {row.source: (row.label, row.subject) for row in table.rows} == there
