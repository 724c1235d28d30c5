"""Accuracy against what is done to pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.app.verbs import main
from mien.data import splits, table
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError, UnknownName
from mien.evaluation import plots, stress
from mien.evaluation.stress import CONDITIONS
from mien.expression.baserates import BaseRates
from mien.expression.recognize import load_model
from mien.face import FloatArray, ImageArray
from mien.media.image import read_bytes
from mien.testing import FakeRecognizer
from mien.training import recipes
from mien.training.arrange import arrange

NOWHERE = np.zeros((0, 2), np.float32)


def face(side: int = 64) -> ImageArray:
    """Something with edges and a slope, gray."""
    picture = np.tile(np.linspace(60, 190, side, dtype=np.uint8)[:, None, None], (1, side, 3))
    picture[side // 4 : side // 2, side // 4 : side // 2] = 20
    return picture


def apply(name: str, level: Any, picture: ImageArray, points: FloatArray = NOWHERE) -> ImageArray:
    return CONDITIONS[name].apply(picture, level, np.random.default_rng(1), points)


@pytest.mark.parametrize(
    "name",
    ["contrast", "dim", "sidelight", "blur", "motion", "noise", "jpeg", "resolution", "rotation"],
)
def test_each_level_changes_more_than_the_one_before(name: str) -> None:
    picture = face()
    apart = []
    for level in CONDITIONS[name].levels[1:]:
        changed = apply(name, level, picture)
        assert changed.dtype == np.uint8
        assert (changed == changed[:, :, :1]).all(), "a gray picture stays gray"
        back = cv2.resize(changed, (64, 64), interpolation=cv2.INTER_LINEAR)
        apart.append(float(np.abs(back.astype(int) - picture).mean()))
    assert apart[0] > 0
    # a quarter turn of a slope is as far from it as half of that: 60 and 90 degrees are alike
    assert all(later > 0.9 * before for before, later in pairwise(apart))


def test_what_a_level_means() -> None:
    picture = face()
    assert (apply("brightness", 40, picture).astype(int) - picture == 40).mean() > 0.9
    assert apply("brightness", 120, picture).max() == 255
    assert apply("resolution", 16, picture).shape == (16, 16, 3)
    assert apply("resolution", 32, face(24)).shape == (24, 24, 3), "never enlarged"
    noise = apply("noise", 20, np.full((100, 100, 3), 128, np.uint8)).astype(float)
    assert noise.std() == pytest.approx(20, rel=0.05)
    half = np.zeros((65, 65, 3), np.uint8)
    half[:, 33:] = 255
    assert apply("contrast", 50, picture).std() == pytest.approx(picture.std() / 2, rel=0.02)
    assert apply("contrast", 50, picture).mean() == pytest.approx(picture.mean(), abs=1)
    white = np.full((64, 64, 3), 255, np.uint8)
    assert (
        apply("gamma", 2.5, white // 2).mean() < 60 < 150 < apply("gamma", 0.4, white // 2).mean()
    )
    assert apply("dim", 10, white).mean() == pytest.approx(255 * 0.1 ** (1 / 2.2), abs=2)
    beside = apply("sidelight", 90, white)[0, :, 0].astype(float)
    assert sorted((beside[0], beside[-1])) == [round(255 * 0.1 ** (1 / 2.2)), 255]
    dot = np.zeros((51, 51, 3), np.uint8)
    dot[25, 25] = 255
    moved = apply("motion", 16, dot)[:, :, 0]
    length = np.hypot(*(np.ptp(np.nonzero(moved > 5), axis=1)))
    assert 6 <= length <= 11, "16 % of 51 pixels, a line"
    assert (moved > 5).sum() < 25
    turned = apply("rotation", 90, half)
    assert abs(float(turned[:20].mean()) - float(turned[-20:].mean())) > 250
    assert (apply("blur", 4, half)[:, 20] == 0).all()
    assert 0 < apply("blur", 4, half)[30, 32, 0] < 255


def test_conditions_by_name() -> None:
    assert stress.named("all") == tuple(CONDITIONS)
    assert stress.named("jpeg, blur,jpeg") == ("jpeg", "blur")
    with pytest.raises(UnknownName, match="did you mean noise"):
        stress.named("nois")


def made(labels: list[str]) -> Table:
    content = cv2.imencode(".png", face(32))[1].tobytes()
    rows = [Row(f"r{i}", "Test", label, content, 32, 32) for i, label in enumerate(labels)]
    return Table("made", rows)


def test_who_is_asked_and_what_is_counted() -> None:
    happy, sad = FakeRecognizer("happiness"), FakeRecognizer("sadness")
    sad.info = replace(sad.info, name="sad")
    data = made(["happiness"] * 6 + ["sadness"] * 2 + ["unknown"])
    found = stress.stress([happy, sad], data, "Test", ["noise"])
    assert found["data"] == {"name": "made", "split": "Test", "rows": 9, "n": 8}
    assert found["majority_baseline"] == 0.75
    curves = found["results"]
    assert curves["fake"]["clean"]["accuracy"] == 0.75
    assert [p["accuracy"] for p in curves["sad"]["noise"]] == [0.25] * 6
    assert [p["level"] for p in curves["sad"]["noise"]] == [None, 10, 20, 30, 40, 60]
    low, high = curves["fake"]["clean"]["accuracy_ci95"]
    assert low < 0.75 < high
    json.dumps(found)
    with pytest.raises(ConfigError, match="asked once"):
        stress.stress([happy, happy], data)
    with pytest.raises(DataError, match="less than two labels"):
        stress.stress([happy], made(["fear"]))


def test_real_faces_suffer_and_a_run_can_be_repeated(lfw_table: Table) -> None:
    some = lfw_table.keep(i % 60 == 0 for i in range(len(lfw_table)))
    model = load_model()
    names = ["occlusion", "noise"]
    found = stress.stress([model], some, conditions=names)
    curves = found["results"][model.info.name]
    clean = curves["clean"]["accuracy"]
    assert clean > 0.6
    assert curves["noise"][-1]["accuracy"] < clean - 0.1
    hidden = {point["level"]: point["accuracy"] for point in curves["occlusion"]}
    assert hidden[None] == clean
    assert hidden["mask"] < clean - 0.05
    again = stress.stress([model], some, conditions=["noise"])
    assert again["results"][model.info.name]["noise"] == curves["noise"]


class Looking(FakeRecognizer):
    """Keeps what it is shown."""

    def __init__(self, alignment: str, name: str) -> None:
        super().__init__()
        self.info = replace(self.info, align=alignment, name=name)
        self.shown: list[list[ImageArray]] = []

    def probabilities(self, crops: Sequence[ImageArray], rates: BaseRates) -> FloatArray:
        self.shown.append(list(crops))
        return super().probabilities(crops, rates)


def test_a_model_of_mouths_gets_the_mouths_of_changed_faces(
    lfw_table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = lfw_table.keep(i % 200 == 0 for i in range(len(lfw_table)))
    first, second = Looking("mouth", "first"), Looking("mouth", "second")
    found, cut = list[int](), stress.crops

    def counted(pictures: Sequence[ImageArray], alignment: str, size: int) -> list[ImageArray]:
        found.append(len(pictures))
        return cut(pictures, alignment, size)

    monkeypatch.setattr(stress, "crops", counted)
    stress.stress([first, second], some, conditions=["dim"])
    levels = CONDITIONS["dim"].levels
    assert len(first.shown) == len(levels)
    assert len(found) == len(levels), "cut once for both"
    sizes = [crop.shape[0] for crops in first.shown for crop in crops]
    assert sizes.count(48) > 0.9 * len(sizes), "but for faces without landmarks in the dark"
    brightness = [np.mean([crop.mean() for crop in crops]) for crops in first.shown]
    assert brightness == sorted(brightness, reverse=True)
    (bright,), (dark,) = first.shown[0][:1], first.shown[1][:1]
    alike = np.corrcoef(bright.mean(axis=2).ravel(), dark.mean(axis=2).ravel())[0, 1]
    assert alike > 0.9, "the same mouth"


def test_mouths_that_were_cut_before_are_taken_as_they_are() -> None:
    mouths = replace(made(["happiness", "sadness"]), notes={"align": "mouth"})
    model = Looking("mouth", "mouths")
    stress.stress([model], mouths, conditions=["brightness"])
    assert {crop.shape for crops in model.shown for crop in crops} == {(32, 32, 3)}
    np.testing.assert_array_equal(model.shown[0][0], face(32))


def test_the_recipe_s_own_side_of_whole_faces(lfw_table: Table) -> None:
    """mien evaluate MODEL lfw.parquet --recipe biondi2019 --stress dim"""
    some = lfw_table.keep(i % 12 == 0 for i in range(len(lfw_table)))
    words = ["split.each=[20, 5]", "split.by=stratified"]
    recipe = recipes.read(recipes.find("biondi2019"), words)
    cut = arrange(recipe, some)
    whole = splits.uncut(cut, some)
    assert [(row.id, row.split) for row in whole.rows] == [(row.id, row.split) for row in cut.rows]
    assert {row.width for row in cut.rows} == {28}
    assert {row.width for row in whole.rows} == {112}
    assert "align" not in whole.notes


def test_the_command_draws_and_writes(
    jaffe_table: Table,
    peer_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out, drawn = tmp_path / "j.parquet", tmp_path / "s.json", tmp_path / "plots"
    table.write(jaffe_table.keep(i % 12 == 0 for i in range(len(jaffe_table))), data)

    def run(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["mien", "evaluate", "mien", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    words = (data, "--stress", "jpeg,rotation", "--beside", "mini-xception", "-o", out)
    assert run(*words, "--plots", drawn) == 0
    said = capsys.readouterr()
    assert "mini-xception" in said.out
    assert "rotation" in said.out
    assert list(json.loads(out.read_text())["results"]) == ["mien", "mini-xception"]
    assert sorted(f.name for f in drawn.iterdir()) == [
        "stress-accuracy.png",
        "stress-balanced-accuracy.png",
    ]
    assert run(data, "--beside", "mini-xception") == 2
    assert "--beside goes with --stress" in capsys.readouterr().err
    assert run(data, "--stress", "all", "--detector", "haar") == 2
    assert "--stress takes face crops" in capsys.readouterr().err


@pytest.mark.parametrize("names", [["noise"], list(CONDITIONS)])
def test_curves_are_whole(names: list[str]) -> None:
    def curve(condition: str) -> list[dict[str, Any]]:
        return [
            {
                "level": level,
                **dict.fromkeys(("accuracy", "balanced_accuracy"), 0.8),
                **{f"{k}_ci95": [0.7, 0.9] for k in ("accuracy", "balanced_accuracy")},
            }
            for level in CONDITIONS[condition].levels
        ]

    result = {
        "conditions": {name: {"unit": CONDITIONS[name].unit} for name in names},
        "majority_baseline": 0.4,
        "results": {m: {name: curve(name) for name in names} for m in ("ours", "theirs", "other")},
    }
    content = plots.stress(result, title="made" if len(names) > 1 else "")
    picture = read_bytes(content, "figure")
    assert all((edge == 255).all() for edge in (picture[[0, -1]], picture[:, [0, -1]]))
    if len(names) == 1:
        assert content == plots.stress(result)
        assert content != plots.stress(result, "balanced_accuracy")
