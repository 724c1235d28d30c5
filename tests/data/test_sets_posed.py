"""Posed faces from laboratories (CK+, MUG, KDEF, RaFD), made in their owners' layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.data.sets.ckplus import read_ckplus
from mien.data.sets.kdef import read_kdef
from mien.data.sets.mug import read_frames, read_graded, read_mug
from mien.data.sets.rafd import read_rafd
from mien.errors import DataError
from tests.made import picture

# --- CK+ ------------------------------------------------------------------------------------


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def sequence(root: Path, name: str, emotion: str | None, frames: int = 6) -> Path:
    """One of CK+'s: pictures from 1 on, and the emotion of the last where it has one."""
    stem = name.replace("/", "_")
    for i in range(1, frames + 1):
        picture(root / "cohn-kanade-images" / name / f"{stem}_{i:08d}.png", i)
    (root / "Emotion" / name).mkdir(parents=True, exist_ok=True)
    if emotion is not None:
        text = root / "Emotion" / name / f"{stem}_{frames:08d}_emotion.txt"
        written(text, f"   {emotion}\n")
    return root


def test_ckplus_first_is_neutral_and_the_last_three_show_it(tmp_path: Path) -> None:
    sequence(tmp_path, "S005/001", "3.0000000e+00")
    sequence(tmp_path, "S010/002", "7.0000000e+00")
    sequence(tmp_path, "S010/003", None)
    table = read_ckplus(tmp_path)
    assert [(r.id, r.label, r.subject, r.sequence) for r in table.rows[:4]] == [
        ("ckplus/S005/001/S005_001_00000001", "neutral", "S005", "001"),
        ("ckplus/S005/001/S005_001_00000004", "disgust", "S005", "001"),
        ("ckplus/S005/001/S005_001_00000005", "disgust", "S005", "001"),
        ("ckplus/S005/001/S005_001_00000006", "disgust", "S005", "001"),
    ]
    assert [r.label for r in table.rows[4:]] == ["neutral", *["surprise"] * 3]
    assert table.rows[1].source == "cohn-kanade-images/S005/001/S005_001_00000004.png"
    assert table.notes["sequences_without_emotion"] == 1
    assert table.notes["left_out"]["sequences"] == "1 of them without an emotion, or without frames"
    assert len(read_ckplus(tmp_path, apex=1)) == 4


CKPLUS = ["neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"]


@pytest.mark.parametrize(("number", "label"), list(enumerate(CKPLUS)))
def test_ckplus_numbers(tmp_path: Path, number: int, label: str) -> None:
    sequence(tmp_path, "S005/001", f"{number}.0000000e+00", 2)
    assert [r.label for r in read_ckplus(tmp_path).rows] == ["neutral", label]


def test_ckplus_as_its_archives_unpack(tmp_path: Path) -> None:
    """With landmarks and action units; a frame is never neutral and peak at once."""
    sequence(tmp_path, "S005/001", "1.0000000e+00", 2)
    (tmp_path / "Emotion").rename(tmp_path / "moved")
    (tmp_path / "Emotion_labels").mkdir()
    (tmp_path / "moved").rename(tmp_path / "Emotion_labels" / "Emotion")
    points = "".join(f"   {i}.5000000e+00   {2 * i}.0000000e+00\n" for i in range(68))
    marked = tmp_path / "Landmarks" / "Landmarks" / "S005" / "001"
    written(marked / "S005_001_00000002_landmarks.txt", points)
    coded = tmp_path / "FACS_labels" / "FACS" / "S005" / "001" / "S005_001_00000002_facs.txt"
    written(coded, "   4.0000000e+00   2.0000000e+00\n   1.7000000e+01   0.0000000e+00\n")
    table = read_ckplus(tmp_path)
    assert [r.label for r in table.rows] == ["neutral", "anger"]
    assert table.rows[0].landmarks is None
    assert table.rows[1].landmarks == tuple(v for i in range(68) for v in (i + 0.5, 2 * i))
    assert table.notes["action_units"] == {"S005/001": {"4": 2.0, "17": 0.0}}


@pytest.mark.parametrize(
    ("emotion", "message"),
    [
        ("8.0000000e+00", r"_emotion\.txt: an emotion is one number 0\.\.7, got \[8\.0\]"),
        ("2.5", r"an emotion is one number 0\.\.7, got \[2\.5\]"),
        ("", r"an emotion is one number 0\.\.7, got \[\]"),
        ("happy", r"_emotion\.txt is not a file of numbers"),
    ],
)
def test_ckplus_emotions_of_another_kind(tmp_path: Path, emotion: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_ckplus(sequence(tmp_path, "S005/001", emotion))


def test_ckplus_landmarks_of_another_kind(tmp_path: Path) -> None:
    sequence(tmp_path, "S005/001", "1.0")
    path = tmp_path / "Landmarks" / "S005" / "001" / "S005_001_00000001_landmarks.txt"
    written(path, "1 2\n3 4\n")
    with pytest.raises(DataError, match=r"_landmarks\.txt holds 2 points; CK\+ has 68 a face"):
        read_ckplus(tmp_path)


def test_ckplus_half_unpacked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no folder cohn-kanade-images"):
        read_ckplus(tmp_path)
    picture(tmp_path / "cohn-kanade-images" / "S005" / "001" / "S005_001_00000001.png")
    with pytest.raises(DataError, match="holds no folder Emotion beside cohn-kanade-images"):
        read_ckplus(tmp_path)
    (tmp_path / "Emotion").mkdir()
    with pytest.raises(DataError, match=r"no pictures in .*; expected sequences with an emotion"):
        read_ckplus(tmp_path)


# --- MUG ------------------------------------------------------------------------------------


def take(folder: Path, frames: int = 9) -> Path:
    for i in range(frames):
        picture(folder / f"img_{i:04d}.jpg", i)
    return folder


def test_mug_first_is_neutral_and_the_middle_shows_it(tmp_path: Path) -> None:
    take(tmp_path / "subjects3" / "001" / "anger" / "take000")
    take(tmp_path / "subjects3" / "002" / "session1" / "happiness" / "take003", 2)
    table = read_mug(tmp_path)
    assert [(r.id, r.label, r.subject, r.sequence) for r in table.rows] == [
        ("mug/001/anger/take000/img_0000", "neutral", "001", "anger/take000"),
        ("mug/001/anger/take000/img_0003", "anger", "001", "anger/take000"),
        ("mug/001/anger/take000/img_0004", "anger", "001", "anger/take000"),
        ("mug/001/anger/take000/img_0005", "anger", "001", "anger/take000"),
        (
            "mug/002/session1/happiness/take003/img_0000",
            "neutral",
            "002",
            "session1/happiness/take003",
        ),
        (
            "mug/002/session1/happiness/take003/img_0001",
            "happiness",
            "002",
            "session1/happiness/take003",
        ),
    ]
    assert len(read_mug(tmp_path / "subjects3", apex=1)) == 4


def test_mug_nine_frames_up_to_the_peak_and_down_again(tmp_path: Path) -> None:
    take(tmp_path / "001" / "anger" / "take000", 31)
    take(tmp_path / "001" / "fear" / "take000", 10)  # eight between its ends
    take(tmp_path / "001" / "neutral" / "take000", 31)
    table = read_graded(tmp_path)
    assert [row.id.rpartition("_")[2] for row in table.rows] == [
        *("0003", "0006", "0009", "0012", "0015", "0018", "0021", "0024", "0027"),
    ]
    labels = table.intensity_labels
    told = [dict(zip(labels, row.intensity or (), strict=True)) for row in table.rows]
    assert [one["anger"] for one in told] == [0.2, 0.4, 0.6, 0.8, 1.0, 0.8, 0.6, 0.4, 0.2]
    assert all(one["neutral"] == pytest.approx(1 - one["anger"]) for one in told)
    assert all(one["fear"] == 0 for one in told)
    assert [row.label for row in table.rows] == ["neutral"] * 2 + ["anger"] * 5 + ["neutral"] * 2


def test_mug_every_frame(tmp_path: Path) -> None:
    take(tmp_path / "001" / "anger" / "take000", 12)
    table = read_frames(tmp_path)
    assert [row.label for row in table.rows] == ["anger"] * 12
    assert {row.sequence for row in table.rows} == {"anger/take000"}


def test_mug_with_other_things_in_it(tmp_path: Path) -> None:
    take(tmp_path / "001" / "anger" / "take000")
    take(tmp_path / "001" / "mixed" / "take000")
    (tmp_path / "001" / "fear" / "take001").mkdir(parents=True)
    (tmp_path / "001" / "anger" / "take000" / "img_0000.jpg").write_bytes(b"")
    table = read_mug(tmp_path)
    assert [r.label for r in table.rows] == ["anger"] * 3
    assert list(table.notes["unreadable"]) == ["001/anger/take000/img_0000.jpg"]
    assert list(table.notes["left_out"]) == ["001/fear/take001", "001/mixed"]
    take(tmp_path / "002" / "hapiness" / "take000")
    with pytest.raises(DataError, match=r"002/hapiness is not named .*did you mean happiness"):
        read_mug(tmp_path)


# --- KDEF -----------------------------------------------------------------------------------


def test_kdef_names_say_who_and_what(tmp_path: Path) -> None:
    """AF is afraid in the middle and session A, female, in front; BF01 is AF01 again."""
    named = {
        "AF01/AF01AFFL": ("F01", "fear", "AAF"),
        "AF01/AF01AFS": ("F01", "fear", "AAF"),
        "AF01/AF01ANS": ("F01", "anger", "AAN"),
        "AM35/AM35DIHL": ("M35", "disgust", "ADI"),
        "BF01/BF01HAFR": ("F01", "happiness", "BHA"),
        "BF01/BF01NEHR": ("F01", "neutral", "BNE"),
        "BF01/BF01SAS": ("F01", "sadness", "BSA"),
        "BF01/BF01SUS": ("F01", "surprise", "BSU"),
    }
    for i, name in enumerate(named):
        picture(tmp_path / f"{name}.JPG", i)
    table = read_kdef(tmp_path)
    found = {r.id.removeprefix("kdef/"): (r.subject, r.label, r.sequence) for r in table.rows}
    assert found == {name.partition("/")[2]: is_ for name, is_ in named.items()}
    sides = [row.more["camera"] for row in table.rows]
    assert sides == ["FL", "S", "S", "HL", "FR", "HR", "S", "S"]


def test_kdef_odd_names_are_left_out_and_named(tmp_path: Path) -> None:
    picture(tmp_path / "AF01" / "AF01ANS.JPG")
    picture(tmp_path / "AM31" / "AM31H.JPG")
    table = read_kdef(tmp_path)
    assert len(table) == 1
    assert "not named like AF01ANS.JPG" in table.notes["left_out"]["AM31/AM31H.JPG"]


# --- RaFD -----------------------------------------------------------------------------------


def test_rafd_names_say_who_and_what(tmp_path: Path) -> None:
    named = {
        "Rafd000_73_Moroccan_male_surprised_left": ("73", "surprise", "surprised_left"),
        "Rafd045_06_Kid_female_contemptuous_right": ("06", "contempt", "contemptuous_right"),
        "Rafd090_01_Caucasian_female_angry_frontal": ("01", "anger", "angry_frontal"),
        "Rafd090_01_Caucasian_female_disgusted_frontal": ("01", "disgust", "disgusted_frontal"),
        "Rafd090_01_Caucasian_female_fearful_frontal": ("01", "fear", "fearful_frontal"),
        "Rafd090_01_Caucasian_female_happy_frontal": ("01", "happiness", "happy_frontal"),
        "Rafd090_01_Caucasian_female_neutral_frontal": ("01", "neutral", "neutral_frontal"),
        "Rafd180_01_Caucasian_female_sad_frontal": ("01", "sadness", "sad_frontal"),
    }
    for i, name in enumerate(named):
        picture(tmp_path / f"{name}.jpg", i)
    picture(tmp_path / "Rafd090_01_Caucasian_female_bored_frontal.jpg")
    table = read_rafd(tmp_path)
    found = {r.id.removeprefix("rafd/"): (r.subject, r.label, r.sequence) for r in table.rows}
    assert found == named
    assert {r.subject: r.more for r in table.rows} == {
        "73": {"camera": "000", "gaze": "left"},
        "06": {"camera": "045", "gaze": "right"},
        "01": {"camera": "180", "gaze": "frontal"},  # the last of its pictures
    }
    assert list(table.notes["left_out"]) == ["Rafd090_01_Caucasian_female_bored_frontal.jpg"]
