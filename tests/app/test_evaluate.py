"""``mien evaluate`` on one's own pictures: faces found, people held back, groups told apart."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from mien.data import table
from mien.data.table import Table, png
from mien.media.preprocess import resize
from mien.training import finetune
from tests import stripes
from tests.app.running import Call

PEOPLE = ("KA", "KL", "KM", "KR")
LABELS = {"HA": "happy", "SU": "surprise", "NE": "neutral"}


@pytest.fixture(scope="module")
def faces(owners_layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four women of JAFFE's in the middle of large pictures, and what a table knows of them."""
    folder = tmp_path_factory.mktemp("own") / "my_faces"
    lines = ["file,subject,camera,age_band"]
    for i, file in enumerate(sorted((owners_layout / "jaffe").glob("*.tiff"))):
        person, code = file.name[:2], file.name[3:5]
        if person in PEOPLE and code in LABELS:
            place = folder / LABELS[code]
            place.mkdir(parents=True, exist_ok=True)
            wide = ImageOps.expand(Image.open(file).convert("L"), 160, 90)
            wide.save(place / f"{file.stem}.png")
            camera = "left" if i % 2 else "right"
            lines.append(f"{place.name}/{file.stem}.png,{person},{camera},")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    return folder


def result(call: Call, out: Path, *words: object) -> tuple[dict[str, Any], str]:
    done = call("evaluate", *words, "--out", out)
    assert done.status == 0, done.err
    return json.loads(out.read_text()), done.err + done.out


def accuracy(result: dict[str, Any]) -> float:
    return float(result["results"][-1]["accuracy"])


def test_a_folder_of_photographs_has_its_faces_found(
    call: Call, faces: Path, tmp_path: Path
) -> None:
    """Taken for crops, the same photographs are read worse: nobody is to do that unasked."""
    found, said = result(call, tmp_path / "a.json", "mien", faces)
    count = len(list(faces.glob("*/*.png")))
    assert f"{count} faces found in {count} pictures" in said
    assert found["data"] == {"name": "my_faces", "split": "all", "rows": count}
    taken, said = result(call, tmp_path / "b.json", "mien", faces, "--crops")
    assert "faces found" not in said
    assert accuracy(found) > accuracy(taken) + 0.2
    own = tmp_path / "t.parquet"
    assert call("data", "import", "folder", faces, "-o", own).status == 0
    of_table, _ = result(call, tmp_path / "c.json", "mien", own)
    assert of_table["results"] == found["results"]


def test_small_pictures_are_crops_and_it_says_so(
    call: Call, jaffe_table: Table, tmp_path: Path
) -> None:
    small = [
        replace(row, image=png(resize(picture, 48)), width=48, height=48)
        for row, picture in zip(jaffe_table.rows[:6], jaffe_table.pictures(), strict=False)
    ]
    table.write(replace(jaffe_table, rows=small), tmp_path / "t.parquet")
    _, said = result(call, tmp_path / "a.json", "mien", tmp_path / "t.parquet")
    assert "small pictures: each is taken for a face" in said


def test_figures_by_a_column(call: Call, faces: Path, tmp_path: Path) -> None:
    found, said = result(call, tmp_path / "a.json", "mien", faces, "--by", "camera")
    told = found["results"][0]["by"]
    assert list(told["groups"]) == ["left", "right"]
    assert [group["people"] for group in told["groups"].values()] == [4, 4]
    assert sum(group["n"] for group in told["groups"].values()) == found["results"][0]["n"]
    right = sum(group["n"] * group["accuracy"] for group in told["groups"].values())
    assert right / found["results"][0]["n"] == pytest.approx(found["results"][0]["accuracy"])
    assert "largest gap, accuracy: " in said
    assert "by camera, training" in said
    done = call("evaluate", "mien", faces, "--crops", "--by", "sex")
    assert done.status == 2
    assert "my_faces has no column 'sex'; it has camera, subject, split, sequence" in done.err


def test_what_is_asked_of_a_folder_that_shows_some_expressions(
    call: Call, faces: Path, tmp_path: Path
) -> None:
    """Of three of eight, and it says so; of one alone every answer would be right."""
    found, said = result(call, tmp_path / "a.json", "mien", faces)
    assert len(found["model"]["labels"]) == 8
    assert (
        "asked which of neutral, happiness, surprise each face shows: no picture shows sadness, "
        "anger, disgust, fear, contempt" in said
    )
    one = tmp_path / "smiles" / "happy"
    shutil.copytree(faces / "happy", one)
    done = call("evaluate", "mien", one.parent)
    assert done.status == 2
    assert "smiles shows happiness only; asked of one expression alone" in done.err
    assert "Warning" not in done.err


def test_faces_cut_for_another_model_are_told(
    call: Call, jaffe_table: Table, tmp_path: Path
) -> None:
    """A second cut of a cut face is none that a user's picture gets."""
    few = jaffe_table.keep(i % 20 == 0 for i in range(len(jaffe_table)))
    table.write(few, tmp_path / "few.parquet")
    for how in ("xu2019", "similarity"):
        cut = tmp_path / f"{how}.parquet"
        assert (
            call("data", "align", tmp_path / "few.parquet", "--align", how, "-o", cut).status == 0
        )
        done = call("evaluate", "mien", cut)
        told = "these faces are cut by 'xu2019', and mien takes 'similarity'" in done.err
        assert (done.status, told) == (0, how == "xu2019")


@pytest.mark.parametrize(
    ("words", "said"), [(["--split", "test"], "no split 'test'"), (["--by", "sex"], "no column")]
)
def test_what_is_not_there_is_told_before_the_search(
    call: Call, faces: Path, words: list[str], said: str
) -> None:
    done = call("evaluate", "mien", faces, *words)
    assert (done.status, said in done.err, "faces found" in done.err) == (2, True, False)


def test_nobody_is_counted_where_nobody_is_known(call: Call, faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    shutil.copytree(faces, folder)
    known = result(call, tmp_path / "a.json", "mien", folder, "--by", "camera")[1]
    assert "people" in known
    lines = (folder / "people.csv").read_text().splitlines()
    nobody = [",".join([*(c := line.split(","))[:1], "", *c[2:]]) for line in lines[1:]]
    (folder / "people.csv").write_text("\n".join([lines[0], *nobody]) + "\n")
    unknown = result(call, tmp_path / "b.json", "mien", folder, "--by", "camera")[1]
    [head] = [line for line in unknown.splitlines() if line.startswith("by camera, training")]
    assert "people" not in head


@pytest.fixture(scope="module")
def run(faces: Path) -> finetune.Trained:
    quick = ["train.epochs=1", "train.warmup_epochs=0", "train.batch=8"]
    return finetune.train_folder(faces, faces.parent / "run", stripes.Silent(), quick, "cpu")


def test_a_run_s_own_test_is_repeated(call: Call, run: finetune.Trained, tmp_path: Path) -> None:
    """To the last digit, for the model and for the one that it began as; by a column, too."""
    folder = run.model.parent
    printed = run.report["figures"]
    own, said = result(call, tmp_path / "a.json", "--run", folder)
    assert own["results"] == [printed["model.onnx"]]
    assert "faces found" not in said
    began = next(name for name in printed if name != "model.onnx")
    other, _ = result(call, tmp_path / "b.json", began, "--run", folder, "--by", "camera")
    [entry] = other["results"]
    assert entry.pop("by")["column"] == "camera"
    assert entry == printed[began]
    people = {row.subject for row in table.read(folder / "faces.parquet").rows}
    assert people == set(PEOPLE)


def test_a_folder_that_a_model_was_trained_on_is_told(
    call: Call, run: finetune.Trained, faces: Path
) -> None:
    done = call("evaluate", run.model, faces)
    assert done.status == 0
    assert (
        f"figures on them flatter; on those held back: mien evaluate --run {run.model.parent}"
        in done.err
    )
    assert run.report["split"]["rows"]["train"] > 0
    assert f"was trained on {run.report['split']['rows']['train']} of these" in done.err


def test_a_split_folder_says_which_part_nobody_trained_on(
    call: Call, jaffe_table: Table, tmp_path: Path
) -> None:
    rows = [
        replace(row, split="train" if i % 2 else "test") for i, row in enumerate(jaffe_table.rows)
    ]
    path = tmp_path / "t.parquet"
    table.write(replace(jaffe_table, rows=rows[:8]), path)
    done = call("evaluate", "mien", path, "--crops")
    assert "those of 'train' too" in done.err
    assert "--split test" in done.err
    assert "note:" not in call("evaluate", "mien", path, "--crops", "--split", "test").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which model, on which pictures?"),
        (["mien"], "which model, on which pictures?"),
        (["--run", "."], "holds no run of `mien train --data`"),
        (["m.onnx", "t.parquet", "--run", "."], "--run tests on what the run held back"),
        (["--run", ".", "--crops"], "--run tests on what the run held back"),
        (["m.onnx", "t.parquet", "--crops", "--detector", "mien"], "leave one"),
        (["m.onnx", "p.toml", "--panel", "--by", "sex"], "--by goes with the figures of one data"),
    ],
)
def test_what_does_not_go_together(call: Call, words: list[str], said: str, tmp_path: Path) -> None:
    done = call("evaluate", *words)
    assert done.status == 2
    assert said in done.err
