"""Every importer on made data in its owner's exact layout, and on what people get wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.data import table as tables
from mien.data.sets.ferplus import VOTE_LABELS, majority, read_fer2013, read_ferplus, read_votes
from mien.data.sets.folder import read_folder
from mien.data.sets.jaffe import read_jaffe
from mien.data.sets.w300 import read_300w, read_points
from mien.data.table import Table
from mien.errors import DataError, ImageError


def face(seed: int, side: int = 48) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def save(path: Path, seed: int, side: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(face(seed, side)).save(path)
    return path


def gray(table: Table, i: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return list(table.pictures())[i][:, :, 0]


# --- FER2013 --------------------------------------------------------------------------------

# (emotion, Usage) as the owners write them: 0 angry, 1 disgust, 3 happy, 6 neutral.
ROWS = [(0, "Training"), (3, "Training"), (6, "PublicTest"), (1, "PrivateTest")]
LABELS = ["anger", "happiness", "neutral", "disgust"]


def csv_line(i: int, emotion: object, usage: str) -> str:
    return f"{emotion},{' '.join(map(str, face(i).ravel()))},{usage}"


def fer2013_csv(folder: Path, head: str = "emotion,pixels,Usage") -> Path:
    lines = [head] + [csv_line(i, e, u) for i, (e, u) in enumerate(ROWS)]
    path = folder / "fer2013.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def kaggle_folders(root: Path, *, numbered: bool) -> Path:
    """As the data set lies on Kaggle: train/ and test/, a folder per emotion.

    Some copies kept the row number in the name (Training_3908.jpg), some counted anew.
    """
    native = ["angry", "happy", "neutral", "disgust"]
    for i, (_, usage) in enumerate(ROWS):
        side = "train" if usage == "Training" else "test"
        stem = f"{usage}_{i}" if numbered else f"im{i}"
        save(root / side / native[i] / f"{stem}.png", i)
    return root


def test_fer2013_csv(tmp_path: Path) -> None:
    table = read_fer2013(fer2013_csv(tmp_path))
    assert table.name == "fer2013"
    assert [row.id for row in table.rows] == [f"fer2013/{i:05d}" for i in range(4)]
    assert [row.label for row in table.rows] == LABELS
    assert [row.split for row in table.rows] == [usage for _, usage in ROWS]
    assert {(row.width, row.height, row.votes, row.source) for row in table.rows} == {
        (48, 48, None, "fer2013.csv")
    }
    for i in range(4):
        np.testing.assert_array_equal(gray(table, i), face(i))


def test_fer2013_in_the_folder_around_it(tmp_path: Path) -> None:
    fer2013_csv(tmp_path)
    assert len(read_fer2013(tmp_path)) == 4


@pytest.mark.parametrize("head", ["emotion, pixels, Usage", "\ufeffemotion,pixels,Usage"])
def test_fer2013_from_other_hands(tmp_path: Path, head: str) -> None:
    """Kaggle's icml_face_data.csv has blanks after its commas, Excel leaves a byte order mark."""
    assert [row.label for row in read_fer2013(fer2013_csv(tmp_path, head)).rows] == LABELS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (csv_line(9, 7, "Training"), r"line 6: emotion is a number 0\.\.6, got '7'"),
        (csv_line(9, -1, "Training"), "emotion is a number 0..6, got '-1'"),
        (csv_line(9, "happy", "Training"), "got 'happy'"),
        (csv_line(9, 3, "Test"), r"line 6: Usage is one of .*'Training'.*, got 'Test'"),
        ("3,1 2 3,Training", "line 6: pixels are 48 x 48 numbers 0..255: cannot reshape"),
        (csv_line(9, 3, "Training").replace(" ", " 300 ", 1), r"must be in range\(0, 256\)"),
        (csv_line(9, 3, "Training").replace(" ", " x ", 1), "invalid literal"),
        ("3", "line 6: Usage is one of .*, got ''"),
    ],
)
def test_fer2013_names_the_bad_row(tmp_path: Path, line: str, message: str) -> None:
    path = fer2013_csv(tmp_path)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        read_fer2013(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"pixels,label\n1 2,3\n", r"lacks the columns \['emotion', 'Usage'\]; it has \['pixels'"),
        (b"", r"lacks the columns \['emotion', 'pixels', 'Usage'\]; it has \[\]"),
        (b"emotion,pixels,Usage\n", "holds no pictures"),
        (b"\xff\xd8\xff\xe0 a picture", "is not readable CSV"),
        (b"emotion,pixels,Usage\n3," + b"1" * 200_000 + b",Training\n", "is not readable CSV"),
    ],
)
def test_fer2013_of_another_kind(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_fer2013(path)


def test_fer2013_nowhere(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(
            DataError, match=r"holds neither fer2013\.csv nor the folders train/ and"
        ):
            read_fer2013(path)


def test_kaggle_folders_with_row_numbers(tmp_path: Path) -> None:
    table = read_fer2013(kaggle_folders(tmp_path, numbered=True))
    assert [row.id for row in table.rows] == [f"fer2013/{i:05d}" for i in range(4)]
    assert [row.label for row in table.rows] == LABELS
    assert [row.split for row in table.rows] == [usage for _, usage in ROWS]
    assert table.rows[3].source == "test/disgust/PrivateTest_3.png"
    np.testing.assert_array_equal(gray(table, 3), face(3))


def test_kaggle_folders_without_row_numbers(tmp_path: Path) -> None:
    """Then train and test are all that is known: the two test splits are not told apart."""
    table = read_fer2013(kaggle_folders(tmp_path / "fer2013", numbered=False).parent)
    assert {(row.id, row.split, row.label) for row in table.rows} == {
        ("fer2013/train/angry/im0", "train", "anger"),
        ("fer2013/train/happy/im1", "train", "happiness"),
        ("fer2013/test/neutral/im2", "test", "neutral"),
        ("fer2013/test/disgust/im3", "test", "disgust"),
    }


def test_kaggle_folders_with_other_things_in_them(tmp_path: Path) -> None:
    kaggle_folders(tmp_path, numbered=True)
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "train" / "angry" / "Thumbs.db").touch()
    assert len(read_fer2013(tmp_path)) == 4
    (tmp_path / "train" / "hapy").mkdir()
    with pytest.raises(
        DataError, match=r"train/hapy is not named after a label: .*did you mean ha"
    ):
        read_fer2013(tmp_path)


def test_kaggle_folders_with_a_damaged_picture(tmp_path: Path) -> None:
    """Fatal here: row numbers must stay complete, or FER+'s votes would slide."""
    kaggle_folders(tmp_path, numbered=True)
    (tmp_path / "train" / "happy" / "Training_1.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"Training_1\.png is empty"):
        read_fer2013(tmp_path)


# --- FER+ -----------------------------------------------------------------------------------

VOTE_HEAD = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,"
VOTE_HEAD += "unknown,NF"
VOTES = [
    (4, 0, 0, 1, 3, 2, 0, 0, 0, 0),
    (0, 10, 0, 0, 0, 0, 0, 0, 0, 0),
    (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),  # left out by FER+: no name, no votes
    (2, 0, 0, 0, 3, 0, 0, 0, 4, 1),
]
IMAGE_NAMES = ["fer0000000.png", "fer0000001.png", "", "fer0000003.png"]


def votes_csv(folder: Path, usages: list[str] | None = None) -> Path:
    usages = usages or [usage for _, usage in ROWS]
    lines = [
        ",".join([usage, name, *map(str, votes)])
        for usage, name, votes in zip(usages, IMAGE_NAMES, VOTES, strict=False)
    ]
    path = folder / "fer2013new.csv"
    path.write_text("\n".join([VOTE_HEAD, *lines]) + "\n")
    return path


@pytest.mark.parametrize("layout", ["csv", "folders", "named"])
def test_ferplus_joins_by_row(tmp_path: Path, layout: str) -> None:
    votes = votes_csv(tmp_path)
    if layout == "folders":
        kaggle_folders(tmp_path, numbered=True)
    else:
        fer2013_csv(tmp_path)
    table = read_ferplus(votes if layout == "named" else tmp_path)
    assert table.name == "ferplus"
    assert table.vote_labels == VOTE_LABELS
    assert [row.id for row in table.rows] == ["fer2013/00000", "fer2013/00001", "fer2013/00003"]
    assert [row.split for row in table.rows] == ["Training", "Training", "PrivateTest"]
    assert [row.label for row in table.rows] == ["neutral", "happiness", "unknown"]
    assert [row.votes for row in table.rows] == [VOTES[0], VOTES[1], VOTES[3]]
    assert table.notes["left_out_by_ferplus"] == 1
    assert table.notes["left_out"] == {"rows": "FER+ names no picture for 1 rows of FER2013's"}
    for i, seed in enumerate((0, 1, 3)):  # each with the picture of its own row
        np.testing.assert_array_equal(gray(table, i), face(seed))


def test_vote_labels_are_the_columns_of_the_owners() -> None:
    """FER+'s header, in mien's names: NF is a picture without a face."""
    assert VOTE_HEAD.split(",")[2:9] == list(VOTE_LABELS[:7])
    assert VOTE_LABELS[7:] == ("contempt", "unknown", "not_a_face")


def test_ferplus_columns_go_by_name_not_place(tmp_path: Path) -> None:
    path = tmp_path / "fer2013new.csv"
    path.write_text(
        "NF,unknown,contempt,fear,disgust,anger,sadness,surprise,happiness,neutral,"
        "Image name,Usage\n"
        "9,8,7,6,5,4,3,2,1,0, fer0000000.png ,Training\n"
    )
    assert read_votes(path) == [("Training", "fer0000000.png", tuple(map(float, range(10))))]


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ((0, 0, 0, 0, 5, 5, 0, 0, 0, 0), "anger"),  # the first of two equals, as published
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), "not_a_face"),
        ((1, 0, 0, 0, 0, 0, 0, 9, 0, 0), "contempt"),
    ],
)
def test_majority(votes: tuple[float, ...], label: str) -> None:
    assert majority(votes) == label


def test_ferplus_with_splits_that_do_not_match(tmp_path: Path) -> None:
    fer2013_csv(tmp_path)
    votes_csv(tmp_path, ["Training", "PublicTest", "PublicTest", "PrivateTest"])
    message = r"row 1 is of Training in fer2013\.csv but of PublicTest in .*fer2013new\.csv: these"
    with pytest.raises(DataError, match=message):
        read_ferplus(tmp_path)


def test_ferplus_with_fewer_rows(tmp_path: Path) -> None:
    fer2013_csv(tmp_path)
    votes_csv(tmp_path, ["Training", "Training"])
    with pytest.raises(DataError, match=r"4 pictures but 2 rows of votes in .*fer2013new\.csv"):
        read_ferplus(tmp_path)


def test_ferplus_cannot_join_names_without_row_numbers(tmp_path: Path) -> None:
    kaggle_folders(tmp_path, numbered=False)
    votes_csv(tmp_path)
    with pytest.raises(DataError, match=r"do not carry FER2013's row numbers .*; use fer2013\.csv"):
        read_ferplus(tmp_path)


def test_ferplus_without_votes_or_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no fer2013new\.csv in .*; it lies in github\.com/micro"):
        read_ferplus(tmp_path)
    votes_csv(tmp_path)
    with pytest.raises(DataError, match=r"holds neither fer2013\.csv nor the folders"):
        read_ferplus(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Usage,neutral\nTraining,3\n", r"lacks the columns \['Image name', 'happiness', "),
        (f"{VOTE_HEAD}\nTraining,a.png,x,0,0,0,0,0,0,0,0,0\n", "line 2: votes are numbers: .*'x'"),
        (f"{VOTE_HEAD}\nTraining,a.png,1,2\n", "line 2: votes are numbers: .*''"),
    ],
)
def test_damaged_votes(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "fer2013new.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_votes(path)


# --- A folder of one's own ------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac's disk holds names in UTF-8 only")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    """From a disk that was written with another encoding: spelt out, and a table like any other."""
    root = tmp_path / "mine"
    save(root / "sad" / "b.png", 1, 30)
    (root / "sad" / "b.png").rename(os.fsdecode(bytes(root / "sad") + b"/caf\xe9.png"))
    made = read_folder(root)
    tables.write(made, tmp_path / "t.parquet")
    [back] = tables.read(tmp_path / "t.parquet").rows
    assert back.id == "mine/sad/caf\\udce9.png"


def test_folder_without_splits(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    save(root / "happy" / "b.png", 1, 30)
    save(root / "happy" / "deeper" / "c.JPG", 2, 40)
    save(root / "Angry" / "a.bmp", 3)
    (root / "happy" / "readme.txt").touch()
    table = read_folder(root)
    assert table.name == "mine"
    assert [(r.id, r.split, r.label, r.width) for r in table.rows] == [
        ("mine/Angry/a.bmp", "all", "anger", 48),
        ("mine/happy/b.png", "all", "happiness", 30),
        ("mine/happy/deeper/c.JPG", "all", "happiness", 40),
    ]
    assert table.rows[1].image == (root / "happy" / "b.png").read_bytes()  # as it came
    told = f"folder {tmp_path / 'mine' / 'happy'} holds 1 other file (1 .txt)"
    assert table.notes == {"unreadable": {}, "left_out": {"happy": told}}


def test_folder_with_splits(tmp_path: Path) -> None:
    save(tmp_path / "train" / "happy" / "a.png", 1)
    save(tmp_path / "train" / "sad" / "a.png", 2)
    save(tmp_path / "my test" / "happy" / "a.png", 3)
    table = read_folder(tmp_path)
    assert [(row.split, row.label, row.source) for row in table.rows] == [
        ("my test", "happiness", "my test/happy/a.png"),
        ("train", "happiness", "train/happy/a.png"),
        ("train", "sadness", "train/sad/a.png"),
    ]
    assert len({row.id for row in table.rows}) == 3


def test_the_folder_one_stands_in_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "mine" / "happy" / "a.png", 1)
    monkeypatch.chdir(tmp_path / "mine")
    table = read_folder(Path())
    assert (table.name, table.rows[0].id) == ("mine", "mine/happy/a.png")


@pytest.mark.parametrize("name", ["people.csv", "subjects.csv"])
def test_folder_with_people(tmp_path: Path, name: str) -> None:
    save(tmp_path / "happy" / "a.png", 1)
    save(tmp_path / "happy" / "b.png", 2)
    save(tmp_path / "sad" / "a.png", 3)
    text = "file,subject,age\nhappy/a.png,Ann,30\nsad/a.png,Bo,\nhappy/b.png,,\nhappy/z.png,Cy,\n"
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert [row.subject for row in read_folder(tmp_path).rows] == ["Ann", None, "Bo"]


def test_people_named_in_another_way(tmp_path: Path) -> None:
    """Otherwise nobody would notice that no person is known, and splits would leak."""
    save(tmp_path / "happy" / "a.png", 1)
    (tmp_path / "people.csv").write_text("file,subject\na.png,Ann\n")
    message = "names files like 'a.png', but the pictures are called like 'happy/a.png'"
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path)


def test_people_without_the_columns(tmp_path: Path) -> None:
    save(tmp_path / "happy" / "a.png", 1)
    (tmp_path / "people.csv").write_text("path,name\nhappy/a.png,Ann\n")
    message = r"people\.csv lacks the columns \['file', 'subject'\]; it has \['path', 'name'\]"
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path)


def test_unreadable_pictures_are_listed_and_the_others_kept(tmp_path: Path) -> None:
    save(tmp_path / "happy" / "a.png", 1)
    (tmp_path / "happy" / "empty.jpg").touch()
    (tmp_path / "happy" / "text.jpg").write_text("no picture")
    (tmp_path / "happy" / "cut.png").write_bytes((tmp_path / "happy" / "a.png").read_bytes()[:500])
    (tmp_path / "happy" / "dead.jpg").symlink_to(tmp_path / "gone.jpg")
    os.mkfifo(tmp_path / "happy" / "pipe.jpg")
    table = read_folder(tmp_path)
    assert [row.source for row in table.rows] == ["happy/a.png"]
    unreadable = table.notes["unreadable"]
    assert list(unreadable) == [
        f"happy/{name}" for name in ("cut.png", "dead.jpg", "empty.jpg", "pipe.jpg", "text.jpg")
    ]
    assert "is empty" in unreadable["happy/empty.jpg"]
    assert "cut short" in unreadable["happy/cut.png"]
    assert "no such file" in unreadable["happy/dead.jpg"]
    assert "pipe" in unreadable["happy/pipe.jpg"]
    assert "no picture" in unreadable["happy/text.jpg"]


def test_nothing_but_unreadable_pictures(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "empty.jpg").touch()
    with pytest.raises(DataError, match=r"no picture in .* can be read: .*empty\.jpg is empty"):
        read_folder(tmp_path)


def test_other_labels_and_empty_classes_are_left_out_and_named(tmp_path: Path) -> None:
    save(tmp_path / "happy" / "only.png", 1)
    save(tmp_path / "boredom" / "a.png", 2)
    (tmp_path / "sad").mkdir()
    table = read_folder(tmp_path)
    assert [(row.label, row.source) for row in table.rows] == [("happiness", "happy/only.png")]
    left_out = table.notes["left_out"]
    assert list(left_out) == ["boredom", "sad"]
    assert "not named after a label: no label called 'boredom'; there are: " in left_out["boredom"]
    assert "sad holds no pictures" in left_out["sad"]


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["hapy"], "folder .*/hapy is not named after a label: .*did you mean happy"),
        (
            ["train/happy", "train/angri"],
            r"folder .*train/angri is not named .* did you mean angry",
        ),
        (["pictures"], "folder .*/pictures is not named after a label: .*there are: neutral"),
        (["happy", "sad"], "no pictures in .*; expected <label>/.*jpg or <split>/<label>/"),
        ([], "no pictures in .*; expected <label>"),
        ([".git/x"], "no pictures in .*; expected <label>"),
    ],
)
def test_folders_of_another_layout(tmp_path: Path, folders: list[str], message: str) -> None:
    for name in folders:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder: .*gone"):
        read_folder(tmp_path / "gone")


# --- JAFFE ----------------------------------------------------------------------------------

JAFFE_NAMES = {  # name -> subject, label
    "KA.AN1.39": ("KA", "anger"),
    "KL.DI3.182": ("KL", "disgust"),
    "KM.FE2.24": ("KM", "fear"),
    "KR.HA1.74": ("KR", "happiness"),
    "MK.NE1.113": ("MK", "neutral"),
    "NA.SA3.206": ("NA", "sadness"),
    "YM-SU2.64": ("YM", "surprise"),  # a hyphen after the subject, as in copies of the set
}


def test_jaffe_names_say_who_and_what(tmp_path: Path) -> None:
    for i, stem in enumerate(JAFFE_NAMES):
        cv2.imwrite(str(tmp_path / f"{stem}.tiff"), face(i, 256))
    (tmp_path / "README_FIRST.txt").touch()
    save(tmp_path / "KA.XX1.39.tiff", 99)
    table = read_jaffe(tmp_path)
    assert [(row.subject, row.label) for row in table.rows] == list(JAFFE_NAMES.values())
    assert table.rows[0].id == "jaffe/KA.AN1.39"
    assert table.rows[0].source == "KA.AN1.39.tiff"
    assert {(row.split, row.width, row.height) for row in table.rows} == {("all", 256, 256)}
    np.testing.assert_array_equal(gray(table, 3), face(3, 256))


RATING_HEAD = "file,happy,sad,surprise,angry,disgust,fear"


def rated_jaffe(folder: Path, *ratings: str) -> Path:
    for i, stem in enumerate(("KA.AN1.39", "KL.DI3.182")):
        cv2.imwrite(str(folder / f"{stem}.tiff"), face(i, 64))
    (folder / "ratings.csv").write_text("\n".join([RATING_HEAD, *ratings]) + "\n")
    return folder


def test_jaffe_ratings_become_intensities(tmp_path: Path) -> None:
    """1 is none and 5 is high for the raters; a picture that nobody rated stays."""
    table = read_jaffe(rated_jaffe(tmp_path, "KA.AN1.39.tiff,1,2,3,5,4.5,1.25"))
    assert table.intensity_labels == (
        *("happiness", "sadness", "surprise", "anger", "disgust", "fear"),
    )
    assert table.rows[0].intensity == (0, 0.25, 0.5, 1, 0.875, 0.0625)
    assert table.rows[1].intensity is None


def test_jaffe_ratings_as_the_owners_wrote_them(tmp_path: Path) -> None:
    """By serial number: one of the owners' names has a slip (YN-HA2 for YM.HA2.53)."""
    rated_jaffe(tmp_path)
    (tmp_path / "ratings.csv").unlink()
    text = "About JAFFE, 213 pictures.\n# HAP SAD SUR ANG DIS FEA PIC\n"
    text += "39 1.00 2.00 3.00 5.00 4.50 1.25 KB-AN1\n40 1.67 1.97 1.70 4.60 4.10 1.77 KA-AN2\n"
    (tmp_path / "README.txt").write_text(text)
    table = read_jaffe(tmp_path)
    assert [row.intensity for row in table.rows] == [(0, 0.25, 0.5, 1, 0.875, 0.0625), None]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("KA.AN1.39.tiff,1,2,3,x,4,1", r"ratings\.csv, line 2: ratings are numbers: .*'x'"),
        ("KA.AN1.39.tiff,1,2", "line 2: ratings are numbers"),
        ("KA.AN1.39.tiff,1,2,3,0.5,4,1", "line 2: ratings lie between 1 and 5, got .*0.5"),
        ("KA.AN1.39.tiff,1,2,3,nan,4,1", "line 2: ratings lie between 1 and 5, got .*nan"),
        (
            "KA-AN1,1,2,3,4,4,1",
            r"are of files like 'KA-AN1', but the pictures .* 'KA\.AN1\.39\.tiff",
        ),
    ],
)
def test_jaffe_ratings_of_another_kind(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_jaffe(rated_jaffe(tmp_path, line))


def test_jaffe_ratings_without_a_column(tmp_path: Path) -> None:
    rated_jaffe(tmp_path)
    (tmp_path / "ratings.csv").write_text("file,joy\nKA.AN1.39.tiff,3\n")
    with pytest.raises(DataError, match=r"ratings\.csv lacks the columns \['happy', 'sad', "):
        read_jaffe(tmp_path)


def test_jaffe_real_ratings(jaffe_table: Table) -> None:
    """The posed expression is rated highest on 149 of 183 pictures, as the data's notes count."""
    assert len(jaffe_table) == 213
    assert all(row.intensity for row in jaffe_table.rows)
    posed = [row for row in jaffe_table.rows if row.label != "neutral"]
    highest = [jaffe_table.intensity_labels[int(np.argmax(row.intensity or ()))] for row in posed]
    assert len(posed) == 183
    assert sum(h == row.label for h, row in zip(highest, posed, strict=True)) == 149


def test_jaffe_nowhere(tmp_path: Path) -> None:
    message = r"no pictures in .*; expected files named like KA\.AN1\.39\.tiff"
    with pytest.raises(DataError, match=message):
        read_jaffe(tmp_path)
    save(tmp_path / "smile.png", 1)
    with pytest.raises(DataError, match=r"; .*smile\.png is not named like KA\.AN1\.39\.tiff"):
        read_jaffe(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_jaffe(tmp_path / "gone")


# --- 300-W ----------------------------------------------------------------------------------


def pts(path: Path, points: object = None, head: str = "version: 1\nn_points: 68\n") -> Path:
    """A file of points as 300-W has them; counted from 1, point i at (i + 1, 2 i + 1) here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    given = [f"{i + 1:.3f} {2 * i + 1:.3f}" for i in range(68)] if points is None else points
    assert isinstance(given, list)
    path.write_text(head + "{\n" + "\n".join(map(str, given)) + "\n}\n")
    return path


def pointed(path: Path, seed: int) -> Path:
    pts(save(path, seed, 60).with_suffix(".pts"))
    return path


def test_300w_in_its_owners_folders(tmp_path: Path) -> None:
    pointed(tmp_path / "helen" / "testset" / "30427236_2.jpg", 1)
    pointed(tmp_path / "helen" / "trainset" / "100032540_1.png", 2)
    pointed(tmp_path / "afw" / "1051618982_1.jpg", 3)
    table = read_300w(tmp_path)
    assert table.name == "300w"
    assert [(row.id, row.split) for row in table.rows] == [
        ("300w/afw/1051618982_1.jpg", "train"),
        ("300w/helen/testset/30427236_2.jpg", "test"),
        ("300w/helen/trainset/100032540_1.png", "train"),
    ]
    row = table.rows[2]
    assert (row.label, row.votes, row.subject, row.width, row.height) == (
        "unknown",
        None,
        None,
        60,
        60,
    )
    assert row.source == "helen/trainset/100032540_1.png"
    assert row.image == (tmp_path / row.source).read_bytes()  # as it came
    assert row.landmarks == tuple(float(v) for i in range(68) for v in (i, 2 * i))
    np.testing.assert_array_equal(gray(table, 2), face(2, 60))


def test_points_are_counted_from_1_in_the_file_and_from_0_here(tmp_path: Path) -> None:
    rows = ["1 1", "1.5 64.25", *["10 20"] * 66]
    points = read_points(pts(tmp_path / "a.pts", rows))
    assert points.dtype == np.float32
    assert points.shape == (68, 2)
    assert points[:3].tolist() == [[0, 0], [0.5, 63.25], [9, 19]]


@pytest.mark.parametrize("head", ["", "version: 1\n", "version: 1\r\nn_points:  68\r\n"])
def test_points_under_other_heads(tmp_path: Path, head: str) -> None:
    assert read_points(pts(tmp_path / "a.pts", head=head))[67].tolist() == [67, 134]


def test_a_split_in_the_folder_above_the_one_named(tmp_path: Path) -> None:
    """Whoever names the folder of the test part itself still gets a test part."""
    pointed(tmp_path / "helen" / "testset" / "a.jpg", 1)
    assert read_300w(tmp_path / "helen" / "testset").splits == ("test",)


def test_a_picture_without_points_and_points_without_a_picture(tmp_path: Path) -> None:
    pointed(tmp_path / "a.jpg", 1)
    save(tmp_path / "b.jpg", 2)
    pts(tmp_path / "c.pts")
    pts(tmp_path / "d.pts")
    (tmp_path / "d.txt").touch()
    assert [row.source for row in read_300w(tmp_path).rows] == ["a.jpg"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1 2"] * 67, r"a\.pts holds 67 points; 300-W has 68 a face"),
        (["1 2"] * 69, "holds 69 points"),
        ([], "holds 0 points"),
        (["1 2"] * 67 + ["3"], r"a\.pts is not a file of points: "),
        (["1 2"] * 67 + ["3 x"], "is not a file of points: .*'x'"),
        (["1 2"] * 67 + ["nan 3"], "300-W has 68 a face"),
        (["1 2"] * 67 + ["inf 3"], "300-W has 68 a face"),
    ],
)
def test_damaged_points_are_named(tmp_path: Path, rows: list[str], message: str) -> None:
    pts(save(tmp_path / "a.jpg", 1).with_suffix(".pts"), rows)
    with pytest.raises(DataError, match=message) as caught:
        read_300w(tmp_path)
    assert str(tmp_path / "a.pts") in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"Dear Sir,", b"\xff\xd8\xff\xe0", b"{ 1 2 3"])
def test_points_that_are_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pts").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pts"):
        read_points(tmp_path / "a.pts")
    with pytest.raises(DataError, match=r"gone\.pts is not a file of points"):
        read_points(tmp_path / "gone.pts")


def test_a_damaged_picture_with_points(tmp_path: Path) -> None:
    pointed(tmp_path / "a.jpg", 1).write_bytes(b"")
    pointed(tmp_path / "b.jpg", 2)
    table = read_300w(tmp_path)
    assert [row.source for row in table.rows] == ["b.jpg"]
    assert "is empty" in table.notes["unreadable"]["a.jpg"]


def test_300w_nowhere(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", 1)
    with pytest.raises(DataError, match=r"expected pictures with a \.pts file beside them"):
        read_300w(tmp_path)
    with pytest.raises(DataError, match=r"no such folder: .*gone"):
        read_300w(tmp_path / "gone")


def test_300w_real(w300_table: Table) -> None:
    """HELEN's and AFW's own numbers of faces; every point about where the picture is."""
    assert len(w300_table.of_split("train")) == 870 + 337
    assert len(w300_table.of_split("test")) == 330
    for row in w300_table.rows:
        points = np.array(row.landmarks).reshape(68, 2)
        middle = points.mean(axis=0)
        assert (middle > 0).all()
        assert (middle < [row.width, row.height]).all()
        assert points[36, 0] < points[45, 0]  # the right eye is on the left
