"""``mien data`` as a person runs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures

from mien.data import table
from mien.data.sets import importers
from mien.data.table import Table
from mien.expression.recognize import load_model
from tests.app.running import Call, save
from tests.made import picture, video


@pytest.fixture(scope="module")
def hand_placed(w300_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred faces of 300-W's, eighty of them for training."""
    path = tmp_path_factory.mktemp("tables") / "hand.parquet"
    train, test = w300_table.of_split("train"), w300_table.of_split("test")
    rows = [*train.rows[::15][:80], *test.rows[::16][:20]]
    table.write(Table("300w", rows), path)
    return path


def test_300w_is_imported(call: Call, w300_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    for pts in sorted(w300_folder.glob("helen/testset/*.pts"))[:3]:
        for file in (pts, pts.with_suffix(".webp")):
            copy = folder / file.relative_to(w300_folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    out = tmp_path / "t.parquet"
    done = call("data", "import", "300w", folder, "-o", out)
    assert (done.status, done.out) == (0, "")
    first, terms = done.err.splitlines()
    assert first == f"{out}: 3 pictures in test"
    assert "no commercial use" in terms
    assert {len(row.landmarks or ()) for row in table.read(out).rows} == {136}


def test_tables_are_joined(call: Call, crops: Path, hand_placed: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.parquet"
    done = call("data", "join", crops, hand_placed, "-o", out)
    assert (done.status, done.err) == (0, f"{out}: 103 pictures in test, train\n")
    both = table.read(out)
    assert both.name == "both"
    assert list(both.rows) == [*table.read(crops).rows, *table.read(hand_placed).rows]
    again = call("data", "join", out, crops, "-o", tmp_path / "three.parquet")
    assert again.status == 2
    assert "join each only once" in again.err
    assert not (tmp_path / "three.parquet").exists()


def test_a_join_says_what_stays_behind(call: Call, crops: Path, tmp_path: Path) -> None:
    rated = table.read(crops)
    rows = [replace(row, id=f"rated/{row.id}", intensity=(0.5,)) for row in rated.rows]
    table.write(Table("rated", rows, intensity_labels=("fear",)), tmp_path / "rated.parquet")
    out = tmp_path / "both.parquet"
    done = call("data", "join", crops, tmp_path / "rated.parquet", "-o", out)
    assert "the intensities of 3 pictures stay behind: not all tables rate the same" in done.err
    assert table.read(out).intensity_labels == ()


def test_a_join_says_that_votes_stay_behind(call: Call, crops: Path, tmp_path: Path) -> None:
    rows = [replace(row, id=f"v/{row.id}", votes=(1.0,)) for row in table.read(crops).rows]
    table.write(Table("voted", rows, ("fear",)), tmp_path / "voted.parquet")
    done = call("data", "join", crops, tmp_path / "voted.parquet", "-o", tmp_path / "b.parquet")
    assert "the votes of 3 pictures stay behind: joined tables keep their labels" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--train", "nan", "--select", "nan", "--test", "nan"], "are shares summing to 1"),
        (["--seed", "-3"], "split.seed is a whole number from 0, got -3"),
    ],
)
def test_splits_of_no_meaning(
    call: Call, crops: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    done = call("data", "split", crops, "--by", "random", *words, "-o", tmp_path / "d.parquet")
    assert (done.status, said in done.err) == (2, True), done.err


def test_cut_by_its_box_a_face_is_not_looked_for(call: Call, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "box.parquet"
    done = call("data", "align", crops, "--align", "box", "-o", out)
    assert (done.status, done.err) == (0, f"{out}: 3 faces cut by box\n")
    assert table.read(out).notes["whole"] == 0


def test_a_table_is_aligned(call: Call, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "level.parquet"
    done = call("data", "align", crops, "--align", "similarity", "--size", "64", "-o", out)
    said = f"{out}: 2 faces cut by similarity; no face seen in 1 of 3 pictures, which stay whole\n"
    assert (done.status, done.err) == (0, said)
    sizes = {row.source: (row.width, row.height) for row in table.read(out).rows}
    assert sizes == {
        "train/happy/a.png": (64, 64),
        "train/neutral/wall.png": (90, 90),  # no face to cut
        "test/happy/b.png": (64, 64),
    }
    again = call("data", "align", out, "--align", "mouth", "-o", tmp_path / "twice.parquet")
    assert (again.status, again.err.strip()) == (2, "mien: crops was cut by 'similarity' already")
    wrong = call("data", "align", crops, "--align", "mouht", "-o", tmp_path / "wrong.parquet")
    assert wrong.status == 2
    assert "did you mean mouth?" in wrong.err


def test_decoys_are_collected(call: Call, hand_placed: Path, tmp_path: Path) -> None:
    cup = Image.fromarray(pictures.coffee())  # type: ignore[no-untyped-call]
    save(np.asarray(cup.resize((200, 133))), tmp_path / "nobody" / "coffee.png")
    out = tmp_path / "decoys.parquet"
    done = call("data", "decoys", tmp_path / "nobody", "--faces", hand_placed, "-o", out)
    found = table.read(out)
    assert (done.status, done.err) == (0, f"{out}: {len(found)} decoys\n")
    of_cup = [row for row in found.rows if row.source == "coffee.png"]
    assert len(of_cup) >= 4
    assert len(found) >= len(of_cup) + 4
    assert {(row.split, row.label) for row in found.rows} == {("decoys", "not_a_face")}
    of_test = {row.source for row in table.read(hand_placed).of_split("test").rows}
    assert not of_test & {row.source for row in found.rows}
    assert call("data", "decoys", tmp_path / "nobody", "-o", out).status == 0
    assert list(table.read(out).rows) == of_cup
    hard = call("data", "decoys", tmp_path / "nobody", "--hard", "-o", tmp_path / "hard.parquet")
    # A network that sees no face in a cup says so, and writes nothing.
    assert (hard.status == 0) == (tmp_path / "hard.parquet").exists()
    assert hard.status == 0 or "takes nothing in" in hard.err


def test_landmarks_are_taught(
    call: Call, peer_models: Path, crops: Path, hand_placed: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert comes with the train extra")
    out = tmp_path / "taught.parquet"
    words = ["data", "teach", crops, "--points", hand_placed, "-o", out]
    done = call(*words)
    assert done.status == 0
    said = f"{out}: 2 faces; 1 pictures left out: no face seen, or labelled as none"
    assert done.err.splitlines()[-1] == said
    sources = [row.source for row in table.read(out).rows]
    assert sources == ["test/happy/b.png", "train/happy/a.png"]
    assert call(*words, "--split", "train").status == 0
    [row] = table.read(out).rows
    assert (row.source, row.split, len(row.landmarks or ())) == ("train/happy/a.png", "taught", 136)


def test_without_a_teacher_nobody_is_taught(
    call: Call, crops: Path, hand_placed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "taught.parquet"
    done = call("data", "teach", crops, "--points", hand_placed, "-o", out)
    assert done.status == 1
    assert "mien models pull face-landmarker" in done.err
    assert not out.exists()


def test_every_data_set_is_named(call: Call) -> None:
    shown = call("data", "import", "--help").out
    assert [name for name in importers if name not in shown] == []


def test_frames_a_second_of_videos_and_of_pictures(call: Call, tmp_path: Path) -> None:
    video(tmp_path / "videos" / "happy" / "ann_1.mp4", 10, 10)
    (tmp_path / "videos" / "happy" / "bad_1.mp4").touch()
    out = tmp_path / "t.parquet"
    done = call("data", "import", "videos", tmp_path / "videos", "--fps", "2", "--out", out)
    assert done.status == 0
    assert "t.parquet: 2 pictures in all" in done.err
    assert "left out happy/bad_1.mp4: " in done.err
    done = call("data", "import", "jaffe", tmp_path, "--fps", "2", "--out", out)
    assert done.status == 2
    assert "frames a second are for videos, and these are pictures" in done.err


def test_no_more_than_ten_left_out_are_told(call: Call, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "happy" / "good.png")
    for i in range(13):
        (tmp_path / "in" / "happy" / f"bad{i}.png").touch()
    done = call("data", "import", "folder", tmp_path / "in", "--out", tmp_path / "t.parquet")
    assert done.err.count("left out happy/bad") == 10
    assert "left out 3 more; the table's notes name all" in done.err


def test_import_says_which_intensities_it_read(call: Call, tmp_path: Path) -> None:
    faces = tmp_path / "own"
    for i, name in enumerate(("happy/a.png", "happy/b.png", "sad/c.png", "neutral/d.png")):
        picture(faces / name, seed=i)
    lines = "file,subject,intensity\nhappy/a.png,ann,4\nsad/c.png,ann,2\n"
    (faces / "people.csv").write_text(lines)
    out = tmp_path / "t.parquet"
    done = call("data", "import", "folder", faces, "--scale", "0..5", "-o", out)
    assert done.status == 0
    assert "intensities of neutral, happiness, sadness: 2 pictures rated, on the scale 0..5" in (
        done.err
    )
    assert "without a rating: happy/b.png and 1 more" in done.err
    refused = call("data", "import", "folder", faces, "-o", tmp_path / "u.parquet")
    assert refused.status == 2
    assert "intensity: 4 lies outside of the scale 0..1; tell mien data import" in refused.err
    assert not (tmp_path / "u.parquet").exists()


def test_a_split_takes_only_the_frontal_pictures(call: Call, tmp_path: Path) -> None:
    names = [
        f"Rafd{camera}_{person}_Caucasian_female_{expression}_frontal"
        for camera in ("045", "090")
        for person in ("01", "02", "03")
        for expression in ("happy", "sad")
    ]
    for i, name in enumerate(names):
        picture(tmp_path / "rafd" / f"{name}.jpg", i)
    given, out = tmp_path / "rafd.parquet", tmp_path / "front.parquet"
    assert call("data", "import", "rafd", tmp_path / "rafd", "-o", given).status == 0
    done = call("data", "split", given, "--by", "subject", "--only", "camera=090", "-o", out)
    assert done.status == 0
    assert done.err.splitlines()[0] == "left out 6 of 12 rows, all but camera = 090"
    assert {row.more["camera"] for row in table.read(out).rows} == {"090"}
    assert table.read(out).notes["only"]["rows"] == {"given": 12, "kept": 6}
    for only, message in (
        ("camera=90", "none of the 12 rows of rafd has '90' for its camera; there is 045 (6), 090"),
        ("camera", "--only takes COLUMN=TEXT (camera=090), got 'camera'"),
        ("view=090", "rafd has no column 'view'; it has camera, gaze, subject, split, sequence"),
    ):
        bad = call("data", "split", given, "--by", "subject", "--only", only, "-o", out)
        assert (bad.status, message in " ".join(bad.err.split())) == (2, True), bad.err
    twice = ("--only", "camera=090", "--only", "camera=045")
    assert (
        "--only names 'camera' twice"
        in call("data", "split", given, "--by", "subject", *twice, "-o", out).err
    )


def test_decoys_name_the_pictures_that_cannot_be_read(
    call: Call, crops: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "nobody", tmp_path / "d.parquet"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    done = call("data", "decoys", folder, "-o", out)
    assert (done.status, "; 1 could not be read, broken.jpg for one: " in done.err) == (2, True)
    coffee = np.asarray(pictures.coffee())[::2, ::2]  # type: ignore[no-untyped-call]
    Image.fromarray(coffee).save(folder / "coffee.png")
    done = call("data", "decoys", folder, "-o", out)
    assert (done.status, "left out broken.jpg: " in done.err) == (0, True), done.err
    assert list(table.read(out).notes["unreadable"]) == ["broken.jpg"]
    done = call("data", "decoys", folder, "--hard", "--faces", crops, "-o", out)
    assert (done.status, "leave out --faces" in done.err) == (2, True), done.err


@pytest.mark.parametrize("option", ["--share", "--least"])
def test_strong_frames_of_no_number(call: Call, crops: Path, tmp_path: Path, option: str) -> None:
    done = call("data", "strong", crops, option, "nan", "-o", tmp_path / "s.parquet")
    assert (done.status, done.err) == (2, f"mien: {option} takes a number, got nan\n")


def test_a_model_is_fitted_to_faces_cut_as_it_takes_them(
    call: Call, crops: Path, tmp_path: Path
) -> None:
    """Evaluation cuts them so, too; whole crops gave another temperature."""
    level = tmp_path / "level.parquet"
    call("data", "align", crops, "--align", "similarity", "--size", "64", "-o", level)
    fitted = []
    for faces in (crops, level):
        out = tmp_path / f"{faces.stem}.onnx"
        done = call("calibrate", "mien", faces, "--crops", "-o", out)
        assert done.status == 0, done.err
        fitted.append((done.err.splitlines(), load_model(out).info.temperature))
    said = "2 faces cut by similarity, as mien takes them; no face seen in 1, which stay whole"
    assert said in fitted[0][0]
    assert fitted[0][1] == pytest.approx(fitted[1][1])
