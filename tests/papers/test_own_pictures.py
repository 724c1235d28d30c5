"""Each paper's own experiment, on made data in its owners' layout, from the import to the report.

The faces are JAFFE's, under the names that the owners of other sets would give them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from mien.data import table
from mien.data.sets import importers
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError
from mien.papers import given, plans, reproduce
from mien.papers.report import rows_under
from mien.training import recipes
from tests.made import video
from tests.papers.test_reproduce import Silent


def imported(name: str, folder: Path, fps: float | None = None) -> Path:
    path = folder.parent / f"{folder.name}.parquet"
    table.write(importers.build(name).read(folder, fps), path)
    return path


def of(jaffe: Table, people: Sequence[str], each: int = 1) -> dict[tuple[str, str], list[Row]]:
    """Some women's pictures by who and what, so many of each."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in jaffe.rows:
        if row.subject in people:
            found.setdefault((str(row.subject), row.label), []).append(row)
    return {key: rows[:each] for key, rows in found.items()}


def saved(row: Row, path: Path, mirrored: bool = False) -> None:
    """A picture under another name, and of another kind where the name ends so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture,) = Table("one", [row]).pictures()
    cv2.imwrite(str(path), picture[:, ::-1, ::-1] if mirrored else picture[:, :, ::-1])


def done(
    paper: str, data: dict[str, Path], out: Path, changes: Sequence[str] = (), but: str = "no name"
) -> dict[str, Any]:
    """The report of a paper's own runs on these tables alone, without those whose name has ``but``.

    What is left out for the sake of time differs in its network alone.
    """
    plan = plans.read(recipes.find(paper), changes)
    pairs = zip(plan.runs, plan.recipes, strict=True)
    runs, chosen = zip(*(pair for pair in pairs if but not in pair[0].name), strict=True)
    plan = replace(plan, runs=runs, recipes=chosen)
    failures = reproduce.reproduce(plan, data, out, Silent(), quick=True, accelerator="cpu")
    assert failures == {}
    content: dict[str, Any] = json.loads((out / "report.json").read_text())
    assert [run["name"] for run in content["runs"]] == [run.name for run in plan.runs if run.own]
    assert {*content["left_out"]} == {run.name for run in plan.runs if not run.own}
    return content


def cells(out: Path, title: str) -> list[str]:
    """The last cells of every row under a heading."""
    text = (out / "report.md").read_text().partition(f"### {title}\n")[2].partition("\n#")[0]
    return [line.split("|")[-2].strip() for line in text.splitlines() if line.startswith("| ")][2:]


RAFD = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
}


def rafd(jaffe: Table, folder: Path) -> Path:
    """Four women from in front, and one of them from the side, too; contempt is mirrored anger."""
    people = sorted({str(row.subject) for row in jaffe.rows})[:4]
    for (who, label), rows in of(jaffe, people, 3).items():
        for row, gaze in zip(rows, ("frontal", "left", "right"), strict=False):
            number = people.index(who) + 1
            end = f"_{number:02}_Caucasian_female"
            saved(row, folder / f"Rafd090{end}_{RAFD[label]}_{gaze}.jpg")
            if label == "anger":
                saved(row, folder / f"Rafd090{end}_contemptuous_{gaze}.jpg", mirrored=True)
            if number == 1:
                saved(row, folder / f"Rafd045{end}_{RAFD[label]}_{gaze}.jpg")
    return imported("rafd", folder)


def test_autoencoder2018_on_rafds_frontal_camera(jaffe_table: Table, tmp_path: Path) -> None:
    path = rafd(jaffe_table, tmp_path / "rafd")
    front = sum(row.more["camera"] == "090" for row in table.read(path).rows)
    every = len(table.read(path))
    small = ["folds.count=4", "folds.run=1", "cnn.width=4", "autoencoder.hidden=8"]
    small += [f"{stage}.batch=4" for stage in ("pretrain", "finetune", "train")]
    content = done("autoencoder2018", {"rafd": path}, tmp_path / "out", small)
    runs = {run["name"]: run for run in content["runs"]}
    assert runs["rafd-500"]["recipe"]["autoencoder"]["hidden"] == 500
    assert runs["rafd-people"]["recipe"]["folds"]["by"] == "subject"
    assert runs["rafd-300"]["taken"] == {
        "rows": every,
        "only": {"camera": "090"},
        "not_chosen": every - front,
        "other_labels": {},
        "taken": front,
    }
    assert runs["rafd-cameras"]["taken"]["taken"] == every
    assert sum(runs["rafd-300"]["lost"]["given"].values()) == front
    assert len(runs["rafd-300"]["expressions"]) == 8
    text = (tmp_path / "out" / "report.md").read_text()
    assert f"| rafd-090 | {every} | {every - front} (all but camera = 090) | 0 | {front} |" in text
    assert all(
        cell[0].isdecimal()
        for cell in cells(tmp_path / "out", "On RaFD itself: accuracy over the folds, %")
    )
    (both,) = (line for line in text.splitlines() if line.startswith("| ferplus + "))
    assert both.endswith(" | eight, eight-pixels | - |")  # which are tested on jaffe, too
    assert "`mien data import ferplus FOLDER --out ferplus.parquet`" in text
    assert {*cells(tmp_path / "out", "Accuracy over the folds, %")} == {"needs ferplus"}


def test_a_camera_that_is_not_there_leaves_nothing(jaffe_table: Table, tmp_path: Path) -> None:
    path = rafd(jaffe_table, tmp_path / "rafd")
    side = table.read(path)
    side = side.keep(row.more["camera"] == "045" for row in side.rows)
    table.write(side, path)
    plan = plans.read(recipes.find("autoencoder2018"))
    message = rf"none of the {len(side)} rows of rafd has '090' for its camera; there is 045"
    with pytest.raises(DataError, match=message):
        reproduce.reproduce(plan, {"rafd": path}, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_iliev2022_on_frames_of_enterface05(tmp_path: Path) -> None:
    for person in (1, 2, 3):
        for label in ("anger", "disgust", "fear", "happiness", "sadness", "surprise"):
            file = f"subject {person}/{label}/sentence 1/s{person}_{label[:2]}_1.avi"
            video(tmp_path / "enterface05" / file, frames=10, fps=5)
    path = imported("enterface05", tmp_path / "enterface05", 1)
    assert len(table.read(path)) == 36
    content = done("iliev2022", {"enterface05": path}, tmp_path / "out", but="00")
    first, by_person = content["runs"][:2]
    assert sum(first["parts"][0]["sides"].values()) == 36 * 4  # each and three copies
    assert first["parts"][0]["recipe"]["copies"]["count"] == 3
    assert by_person["parts"][0]["audit"]["people_trained_on"] == 0
    accuracy = cells(tmp_path / "out", "On eNTERFACE'05 itself: accuracy by input size")
    assert accuracy[:2] == ["-", "-"]  # 100 pixels, left out here
    assert len(accuracy) == 6
    assert all(cell[0].isdecimal() for cell in accuracy[2:])
    assert "needs jaffe" in cells(tmp_path / "out", "Seconds for an epoch of 11,475 pictures")


@pytest.mark.usefixtures("peer_models")
def test_biondi2019_on_the_10k_us_adult_faces(jaffe_table: Table, tmp_path: Path) -> None:
    wanted = {"neutral": 0, "happiness": 1, "anger": 3}
    rows = [row for row in jaffe_table.rows if row.label in wanted]
    for i, row in enumerate(rows):
        saved(row, tmp_path / "faces10k" / "Face Images" / f"face{i}.jpg")
    lines = [f"face{i}.jpg,{wanted[row.label]}" for i, row in enumerate(rows)]
    listed = tmp_path / "faces10k" / "demographic-others-labels-final.csv"
    listed.write_text("\n".join(["Filename,Emotion", *lines]))
    path = imported("faces10k", tmp_path / "faces10k")
    content = done("biondi2019", {"faces10k": path}, tmp_path / "out", but="alexnet")
    haar, plain = content["runs"][:2]
    anger = sum(row.label == "anger" for row in rows)
    for run in (haar, plain):
        assert run["taken"]["other_labels"] == {"anger": anger}
        assert run["taken"]["taken"] == len(rows) - anger
        lost = run["parts"][0]["lost"]
        assert sum(run["parts"][0]["sides"].values()) == sum(lost["cut"].values())
    lost = haar["parts"][0]["lost"]
    assert lost["by"] == "cascade"
    assert sum(lost["given"].values()) == len(rows) - anger
    plan = plans.read(recipes.find("biondi2019"))
    models = {run.name: of.model.name for run, of in zip(plan.runs, plan.recipes, strict=True)}
    assert models["faces10k-alexnet"] == "alexnet"  # a minute and a half of training, left out
    # A quick look has two of the twenty times fifty steps.
    theirs = cells(tmp_path / "out", "(2) On the 10k US Adult Faces themselves, EmEx2")
    assert theirs[0][0].isdecimal()
    assert theirs[-1] == "-"
    assert "needs lfw" in cells(tmp_path / "out", "(2) Many people, EmEx2")


def test_xu2019_on_mug_ckplus_and_jaffe_and_then_kdef(
    jaffe_table: Table, owners_layout: Path, tmp_path: Path
) -> None:
    people = sorted({str(row.subject) for row in jaffe_table.rows})
    codes = {"anger": 1, "disgust": 3, "fear": 4, "happiness": 5, "sadness": 6, "surprise": 7}
    for (who, label), (row,) in of(jaffe_table, people[:3]).items():
        for i in range(11):
            saved(row, tmp_path / "mug" / who / label / "take000" / f"img_{i:04}.jpg")
    for (who, label), (row,) in of(jaffe_table, people[3:6]).items():
        if label not in codes:
            continue
        name = f"S{people.index(who):03}/{codes[label]:03}"
        stem = name.replace("/", "_")
        for i in (1, 2):
            saved(row, tmp_path / "ckplus/cohn-kanade-images" / name / f"{stem}_{i:08}.png")
        emotion = tmp_path / "ckplus" / "Emotion" / name / f"{stem}_00000002_emotion.txt"
        emotion.parent.mkdir(parents=True)
        emotion.write_text(f"   {codes[label]}.0000000e+00\n")
    shutil.copytree(owners_layout / "jaffe", tmp_path / "jaffe")
    for file in (tmp_path / "jaffe").glob("*.tiff"):
        if file.name[:2] not in people[6:8]:
            file.unlink()
    sides = {"anger": "AN", "disgust": "DI", "fear": "AF", "happiness": "HA", "neutral": "NE"}
    for (who, label), (row,) in of(jaffe_table, people[8:]).items():
        if label in sides:
            person = f"AF{people.index(who):02}"
            saved(row, tmp_path / "kdef" / person / f"{person}{sides[label]}S.JPG")
    data = {name: imported(name, tmp_path / name) for name in ("mug", "ckplus", "jaffe", "kdef")}
    graded = tmp_path / "mug-intensity.parquet"
    table.write(importers.build("mug-intensity").read(tmp_path / "mug"), graded)

    rated = table.read(graded).intensity_labels
    by_hand = [
        replace(row, intensity=tuple(0.6 * (name == row.label) for name in reversed(rated)))
        for row in jaffe_table.rows
        if row.subject in people[3:8]
    ]
    wild = tmp_path / "wild.parquet"
    table.write(Table("wild", by_hand, intensity_labels=rated[::-1]), wild)

    content = done("xu2019", data | {"mug-intensity": graded, "wild": wild}, tmp_path / "out")
    joined, takes, alone, together = content["runs"]
    assert joined["table"] == "mug + ckplus + jaffe"
    counts = [len(table.read(data[name])) for name in ("mug", "ckplus", "jaffe")]
    (whole,) = (tmp_path / "out" / given.JOINED).glob("mug-ckplus-jaffe-*.parquet")
    assert len(table.read(whole)) == sum(counts)
    assert {row.id.partition("/")[0] for row in table.read(whole).rows} == {*data} - {"kdef"}
    assert joined["parts"][0]["audit"]["people_trained_on"] == 0
    assert joined["elsewhere"]["kdef"]["test"]["n"] == len(table.read(data["kdef"]))
    assert takes["test"]["intensity"]["overall"]["rmse"] < 0.7
    assert takes["test"]["intensity"]["overall"]["cross_entropy"] > 0
    assert (alone["table"], together["table"]) == ("wild", "wild + mug-intensity")
    (both,) = (tmp_path / "out" / given.JOINED).glob("wild-mug-intensity-*.parquet")
    assert table.read(both).is_rated.all()
    assert "cross_entropy" in together["test"]["intensity"]["overall"]
    rows = rows_under((tmp_path / "out" / "report.md").read_text())
    assert "mug-ckplus-jaffe" in rows["On other people's pictures"]
    assert cells(
        tmp_path / "out", "On MUG, CK+, JAFFE and KDEF themselves: accuracy of the classifier"
    )[0][0].isdecimal()
    title = "On MUG's takes and pictures graded by hand: intensities"
    assert all(cell[0].isdecimal() for cell in cells(tmp_path / "out", title))
    text = (tmp_path / "out" / "report.md").read_text()
    assert "Confusion matrix on kdef, a row for each expression shown:" in text


# -- tables that are not what they should be ------------------------------------------------------


def made(tmp_path: Path, name: str, labels: Sequence[str], **more: Any) -> Path:
    rows = [Row(f"{name}/{i}", "all", label, b"", 1, 1) for i, label in enumerate(labels)]
    path = tmp_path / f"{name}.parquet"
    table.write(Table(name, rows, **more), path)
    return path


EIGHT = (*RAFD, "contempt")


@pytest.mark.parametrize(
    ("paper", "name", "set_name", "labels", "error", "message"),
    [
        (
            "autoencoder2018",
            "rafd",
            "kdef",
            EIGHT,
            ConfigError,
            "--data rafd=.*: that is a table of kdef, and one of rafd is wanted; make it with: "
            "mien data import rafd FOLDER --out rafd.parquet",
        ),
        ("autoencoder2018", "rafd", "mine", EIGHT, DataError, "mine has no column 'camera'"),
        (
            "iliev2022",
            "enterface05",
            "enterface05",
            EIGHT[:5],
            DataError,
            "enterface05-100 tells anger, .* has no sadness, surprise, only anger",
        ),
        ("xu2019", "rafd", "rafd", EIGHT, ConfigError, "xu2019 takes the tables ferplus-xu2019,"),
        (
            "xu2019",
            "mug-intensity",
            "mug",
            EIGHT,
            ConfigError,
            "that is a table of mug, and one of mug-intensity is wanted",
        ),
    ],
)
def test_a_wrong_table_is_told_before_anything_is_done(
    paper: str,
    name: str,
    set_name: str,
    labels: Sequence[str],
    error: type[Exception],
    message: str,
    tmp_path: Path,
) -> None:
    path = made(tmp_path, set_name, labels)
    with pytest.raises(error, match=message):
        reproduce.reproduce(
            plans.read(recipes.find(paper)), {name: path}, tmp_path / "out", Silent()
        )
    assert not (tmp_path / "out").exists()


def test_labels_are_counted_over_all_tables_that_are_joined(tmp_path: Path) -> None:
    """And what their owners chose of a set (mug-frames, strong ones) stands for it."""
    plan = plans.read(recipes.find("xu2019"))
    data = {
        "mug": made(tmp_path, "mug-frames", EIGHT[:3]),
        "ckplus": made(tmp_path, "ckplus", EIGHT[3:]),
        "jaffe": made(tmp_path, "jaffe", EIGHT[:1]),
        "kdef": made(tmp_path, "kdef", EIGHT[:1]),
    }
    left_out = given.check(plan, data)
    assert "mug-ckplus-jaffe" not in left_out
    assert left_out["mug-intensity"] == ("mug-intensity",)
    assert left_out["intensity-jaffe"] == ("ferplus-xu2019", "lfw-xu2019", "jaffe-xu2019")
    cut = made(tmp_path, "ckplus", EIGHT[3:], notes={"align": "box"})
    with pytest.raises(ConfigError, match=r"joins whole pictures .* were cut by 'box' already"):
        given.check(plan, data | {"ckplus": cut})


def test_some_of_a_runs_own_tables_are_not_enough(tmp_path: Path) -> None:
    plan = plans.read(recipes.find("xu2019"))
    with pytest.raises(ConfigError, match=r"needs a table of ferplus-xu2019: .* or give the paper"):
        given.check(plan, {"mug": made(tmp_path, "mug", EIGHT)})


def test_ours_are_asked_for_with_the_papers_own_beside_them(tmp_path: Path) -> None:
    plan = plans.read(recipes.find("biondi2019"))
    with pytest.raises(
        ConfigError, match=r"mien data import jaffe FOLDER .*pictures alone \(faces10k\)$"
    ):
        given.check(plan, {})


def test_every_own_run_has_cells_to_fill() -> None:
    for path in recipes.shipped().values():
        if "[[run]]" in path.read_text(encoding="utf-8"):
            plan = plans.read(path)
            for run in plan.runs:
                assert not run.own or list(given.fills(plan, run.name)), (path.stem, run.name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"join": ("jaffe", "jaffe")}, "other tables than data, each once"),
        ({"join": ("mug",)}, "other tables than data, each once"),
        ({"join": ("kdef",)}, "'kdef' is its own table, not elsewhere"),
    ],
)
def test_tables_are_joined_once(change: dict[str, Any], message: str) -> None:
    plan = plans.read(recipes.find("xu2019"))
    run = next(run for run in plan.runs if run.join)
    with pytest.raises(ConfigError, match=message):
        replace(run, **change)
