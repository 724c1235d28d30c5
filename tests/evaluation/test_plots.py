"""Figures hold what they were given, nothing of it cut off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.app.verbs import main
from mien.data import table
from mien.data.splits import Split, split
from mien.data.table import Table
from mien.errors import DataError, ShapeError, UnknownName
from mien.evaluation import metrics, plots, runlog
from mien.face import ImageArray
from mien.labels import CANONICAL
from mien.media.image import read_bytes

RECIPE = """
[data]
label_set = "jaffe"
train = "train"
select = "select"
test = "test"
[split]
by = "subject"
[model]
name = "resnet10"
[augment]
[train]
epochs = 1
"""


def whole(content: bytes) -> ImageArray:
    """The picture, checked to hold something and to touch no border of it."""
    picture = read_bytes(content, "figure")
    edges = picture[[0, -1]].ravel(), picture[:, [0, -1]].ravel()
    assert all((edge == 255).all() for edge in edges), "something is cut off"
    assert (picture < 128).any()
    return picture


def matrix(counts: list[list[int]], labels: tuple[str, ...]) -> dict[str, Any]:
    return {"labels": list(labels), "rows_actual": counts}


def test_a_confusion_matrix() -> None:
    counts = (np.eye(8, dtype=int) * 1234 + 7).tolist()
    content = plots.confusion(matrix(counts, CANONICAL), title="FER+")
    picture = whole(content)
    assert content == plots.confusion(matrix(counts, CANONICAL), title="FER+")
    blue = (picture[:, :, 2].astype(int) - picture[:, :, 0]) > 90
    assert 0.06 < blue.mean() < 0.12, "the diagonal is dark: an eighth of the matrix"


def test_a_label_without_a_picture_and_a_count_of_ten_thousand() -> None:
    """Nothing is divided by nothing; long names and long numbers fit."""
    whole(plots.confusion(matrix([[123_456, 1], [0, 0]], ("happiness", "not_a_face"))))


def test_a_matrix_of_other_labels_is_refused() -> None:
    with pytest.raises(ShapeError, match="3 labels do not go with a matrix of"):
        plots.confusion(matrix([[1, 2], [3, 4]], CANONICAL[:3]))


def test_reliability() -> None:
    rng = np.random.default_rng(0)
    top = rng.uniform(0.5, 1, 500)
    probs = np.stack([top, 1 - top], axis=1).astype(np.float32)
    figures = metrics.reliability(probs, (rng.uniform(size=500) > top).astype(np.intp))
    whole(plots.reliability(figures, title="well calibrated"))
    one = metrics.reliability(probs[:1], np.array([0]))
    whole(plots.reliability(one))
    nothing: dict[str, list[Any]] = {
        "count": [0, 0],
        "confidence": [None, None],
        "accuracy": [None, None],
    }
    with pytest.raises(DataError, match="no answers"):
        plots.reliability(nothing)


@pytest.mark.parametrize("epochs", [1, 3, 60])
def test_learning_curves(epochs: int) -> None:
    took = {"seconds": 2.0, "images_per_s": 500.0}
    figures = {"accuracy": 0.5, "balanced_accuracy": 0.4, "nll": 1.0}
    shown = {"select": figures, "train": {"accuracy": 0.9}}
    named = [{**took, "epoch": e, "loss": 2 / (1 + e), **shown} for e in range(epochs)]
    whole(plots.learning_curves(named, title="iliev2022"))
    placed = [{**took, "epoch": e, "loss": 1.0, "select": {"nme": 0.05}} for e in range(epochs)]
    whole(plots.learning_curves(placed))


def test_no_log_and_an_empty_one(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with pytest.raises(DataError, match="cannot read"):
        runlog.epochs(log)
    log.write_text("")
    with pytest.raises(DataError, match="holds no epoch yet"):
        runlog.epochs(log)
    log.write_text('{"epoch": 0, "lo')
    with pytest.raises(DataError, match="line 1, is not of the log of a training run"):
        runlog.epochs(log)


def test_a_paper_beside_ours() -> None:
    content = plots.compared(
        ["100 px", "50 px", "20 px"],
        {"paper": [0.91, 0.87, 0.72], "ours, as in the paper": [0.9, 0.8, None]},
        {"ours, as in the paper": [(0.85, 0.93), None, None]},
        title="iliev2022",
        baseline=0.2,
    )
    whole(content)
    values: list[float | None] = [0.5] * 8
    whole(plots.compared(CANONICAL, {"paper": values, "ours": values}))
    with pytest.raises(ShapeError, match="a figure for each of the 2 groups"):
        plots.compared(["a", "b"], {"paper": [0.5]})


def test_svg_and_no_other_form() -> None:
    content = plots.confusion(matrix([[3, 1], [1, 5]], CANONICAL[:2]), form="svg")
    assert b"<svg" in content
    assert content == plots.confusion(matrix([[3, 1], [1, 5]], CANONICAL[:2]), form="svg")
    with pytest.raises(UnknownName, match="form of a figure called 'jpeg'"):
        plots.confusion(matrix([[3, 1], [1, 5]], CANONICAL[:2]), form="jpeg")


def test_evaluate_draws_the_test_split_of_a_recipe(
    jaffe_table: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, recipe, out = tmp_path / "j.parquet", tmp_path / "r.toml", tmp_path / "r.json"
    some = jaffe_table.keep(i % 3 == 0 for i in range(len(jaffe_table)))
    table.write(some, data)
    recipe.write_text(RECIPE)
    words = ["evaluate", "mien", str(data), "--recipe", str(recipe), "-o", str(out)]
    monkeypatch.setattr("sys.argv", ["mien", *words, "--plots", str(tmp_path / "plots")])
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code or 0) == 0, capsys.readouterr().err
    result = json.loads(out.read_text())
    tested = split(some, Split("subject")).of_split("test")
    assert (result["data"]["split"], result["data"]["rows"]) == ("test", len(tested))
    drawn = sorted(file.name for file in (tmp_path / "plots").iterdir())
    assert drawn == [
        "confusion-equal.png",
        "confusion-training.png",
        "reliability-equal.png",
        "reliability-training.png",
    ]


def test_a_recipe_of_landmarks_is_refused(
    jaffe_table: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "j.parquet"
    table.write(jaffe_table.keep(i < 3 for i in range(len(jaffe_table))), data)
    recipe = Path(__file__).parents[2] / "recipes" / "landmarks68.toml"
    words = ["evaluate", "mien", str(data), "--recipe", str(recipe)]
    monkeypatch.setattr("sys.argv", ["mien", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "a recipe of expressions is needed" in capsys.readouterr().err
