"""The experiment of autoencoder2018 on made-up faces, from the first fold to the report."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.app.verbs import main
from mien.data import table
from mien.data.against_rest import folds as dealt
from mien.data.audit import audit
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError, UnknownName
from mien.evaluation.metrics import one_against_rest
from mien.expression.recognize import load_model
from mien.papers import folds, plans, reproduce
from mien.papers.fold_report import fold_table
from mien.papers.plans import Reproduction
from mien.training import recipes
from mien.training.models import Cnn
from mien.training.recipes import AgainstRestRecipe

SMALL = [
    "folds.count=3",
    "folds.run=1",
    "folds.positives=6",
    "folds.train_positives=6",
    "autoencoder.hidden=8",
    "cnn.width=4",
    *(f"{stage}.epochs=2" for stage in ("pretrain", "finetune", "train")),
    *(f"{stage}.batch=4" for stage in ("pretrain", "finetune", "train")),
    "train.precision=32-true",
]
LABELS = ("happiness", "anger", "fear")


def faces(per_label: int = 24) -> Table:
    """A bright band where a mouth is, higher or lower or both, on noise; the first row twice."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(per_label * len(LABELS)):
        label = LABELS[i % len(LABELS)]
        picture = rng.normal(100, 10, (48, 48))
        if label != "anger":
            picture[30:34, 10:38] += 90
        if label != "happiness":
            picture[38:42, 10:38] += 90
        png = cv2.imencode(".png", np.clip(picture, 0, 255).astype(np.uint8))[1].tobytes()
        rows.append(Row(f"{i:03}", "all", label, png, 48, 48, subject=f"p{i // 12}"))
    again = [Row("again", "all", rows[0].label, rows[0].image, 48, 48, subject="p0")]
    return Table("made", rows + again)


def plan(tmp_path: Path, text: str = "") -> Reproduction:
    """autoencoder2018's, cut to two small runs on one made-up table."""
    source = recipes.find("autoencoder2018").read_text()
    head, _, tail = source.partition("[[run]]")
    deviations = "[[deviation]]" + tail.partition("[[deviation]]")[2]
    runs = """
[[run]]
name = "units"
what = "three folds"
data = "made"
set = ["folds.run=3"]

[[run]]
name = "pixels"
what = "no autoencoder"
data = "made"
set = ["folds.run=1", "folds.by=subject", "autoencoder.hidden=0"]

[[run]]
name = "narrow"
what = "one expression, no autoencoder"
data = "made"
set = ["folds.run=2", "folds.expressions=['fear']", "autoencoder.hidden=0", "cnn.width=3"]

[[run]]
name = "three"
what = "one network of all of them"
data = "made"
recipe = "autoencoder2018-eight"
set = [
    "data.labels=['happiness', 'anger', 'fear']", "data.train=train", "data.select=select",
    "data.test=test", "split.by=stratified", "split.train=0.6", "split.select=0.2",
    "split.test=0.2",
]

[[matrices]]
expression = "happiness"
beside = "units"
folds = [[130, 10, 5, 135], [127, 13, 11, 129]]

[[published]]
title = "Accuracy"
columns = ["least", "greatest"]
figures = ["expressions.{row}.min", "expressions.{row}.max"]
beside = ["units"]
rows = [{ name = "happiness", values = [96.43, 98.21], runs = ["units"] }]
"""
    path = tmp_path / "small.toml"
    path.write_text(head + runs + deviations + text)
    return plans.read(path, SMALL)


class Told:
    def __init__(self) -> None:
        self.runs: list[str] = []

    def say(self, text: str) -> None: ...
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None:
        self.runs.append(record.get("run", "three"))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folds")
    table.write(faces(), out / "made.parquet")
    data = {"made": out / "made.parquet"}
    assert reproduce.reproduce(plan(out), data, out / "r", Told(), accelerator="cpu") == {}
    return out


def runs(done: Path) -> dict[str, dict[str, Any]]:
    report = json.loads((done / "r" / "report.json").read_text())
    return {run["name"]: run for run in report["runs"]}


def test_every_fold_has_its_matrix_and_both_halves_weigh_alike(done: Path) -> None:
    units = runs(done)["units"]
    assert [(f["fold"], f["expression"]) for f in units["folds"]] == [
        (fold, label) for fold in range(3) for label in LABELS_IN_ORDER
    ]
    for fold in units["folds"]:
        (tp, fn), (fp, tn) = fold["confusion"]
        assert tp + fn == fp + tn == 6
    for label, summary in units["expressions"].items():
        own = [f for f in units["folds"] if f["expression"] == label]
        accuracies = [100 * (f["confusion"][0][0] + f["confusion"][1][1]) / 12 for f in own]
        assert summary["min"] == pytest.approx(min(accuracies))
        assert summary["max"] == pytest.approx(max(accuracies))
        assert summary["accuracy"] == pytest.approx(np.mean(accuracies) / 100)
        low, high = summary["accuracy_ci95"]
        assert low <= summary["accuracy"] <= high


LABELS_IN_ORDER = ("happiness", "anger", "fear")  # FER+'s order


def test_no_network_learns_a_row_of_its_fold_s_test(done: Path) -> None:
    recipe = plan(done).recipes[0]
    assert isinstance(recipe, AgainstRestRecipe)
    data = table.read(done / "made.parquet")
    for fold in dealt(data, recipe.folds):
        ids = {data.rows[row].id for row in fold.test}
        trained = {data.rows[row].id for row in (*fold.train, *fold.select)}
        assert not ids & trained
        for label in LABELS:
            path = done / "r" / "runs" / "units" / f"fold{fold.number}" / label / "result.json"
            answers = json.loads(path.read_text())["answers"]
            assert {answer[0] for answer in answers} <= ids
            actual = [answer[2] for answer in answers]
            assert actual == [data_label(data, answer[0]) == label for answer in answers]


def data_label(data: Table, name: str) -> str:
    return next(row.label for row in data.rows if row.id == name)


def test_the_report_has_the_papers_layout(done: Path) -> None:
    text = (done / "r" / "report.md").read_text()
    assert "| fold | TP | FN | FP | TN | accuracy | sensitivity |" in text
    assert text.count("| all | ") == 8  # three expressions of two runs, one of one, and the paper's
    assert "| happiness | least | 96.4 |" in text
    assert "the published sensitivity and precision are exchanged" in text
    assert "a CNN of width 32 instead of 512" in text
    page = (done / "r" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5  # accuracy, reconstruction, three of "three"
    assert "figures/" not in page


def test_runs_are_compared_on_the_folds_they_share(done: Path) -> None:
    text = (done / "r" / "report.md").read_text()
    section = text.partition("### The same folds of made side by side")[2].partition("\n#")[0]
    shared = [f for f in runs(done)["units"]["folds"] if f["fold"] == 0]
    for fold in shared:
        (tp, _), (_, tn) = fold["confusion"]
        start = f"| {fold['expression']} |"
        row = next(line for line in section.splitlines() if line.startswith(start))
        assert row.split(" | ")[1:3] == ["1", f"{100 * (tp + tn) / 12:.1f}"]
    narrowed = text.partition("### Single expressions on the same folds of made")[2]
    fear = next(line for line in narrowed.splitlines() if line.startswith("| fear | 1 |"))
    assert len(fear.split(" | ")) == 5  # units, pixels and narrow


def test_who_is_taken_for_whom_is_counted(done: Path) -> None:
    """The yeses of all labels together are the matrix's first column."""
    for run in (run for run in runs(done).values() if run["name"] != "three"):
        for name, e in run["expressions"].items():
            (tp, fn), (fp, tn) = e["confusion"]
            assert e["by_label"][name] == [tp + fn, tp]
            others = [counts for label, counts in e["by_label"].items() if label != name]
            assert [sum(column) for column in zip(*others, strict=True)] == [fp + tn, fp]
    assert "### What narrow takes for what" in (done / "r" / "report.md").read_text()


def test_the_papers_matrices_stand_beside_ours(done: Path) -> None:
    text = (done / "r" / "report.md").read_text()
    first = next(f for f in runs(done)["units"]["folds"] if f["expression"] == "happiness")
    (tp, fn), (_, tn) = first["confusion"]
    ours = f"{100 * (tp + tn) / 12:.1f}"
    assert f"| 1 | 94.6 / {ours} | 92.9 / {100 * tp / (tp + fn):.1f} |" in text


def test_the_papers_matrices_give_the_figures_it_prints() -> None:
    paper = plans.read(recipes.find("autoencoder2018"))
    printed = {row.name: row.values for row in paper.published[0].rows}
    assert {one.expression for one in paper.matrices} == printed.keys()
    for one in paper.matrices:
        accuracies = [100 * (tp + tn) / 280 for tp, _, _, tn in one.folds]
        assert len(one.folds) == 10
        assert all(tp + fn == fp + tn == 140 for tp, fn, fp, tn in one.folds)
        assert (min(accuracies), max(accuracies)) == pytest.approx(
            printed[one.expression], abs=6e-3
        )


def test_an_expression_that_no_picture_shows_is_asked_for_in_vain(done: Path) -> None:
    recipe = plans.read(done / "small.toml", [*SMALL, "folds.expressions=['contempt']"]).recipes[0]
    assert isinstance(recipe, AgainstRestRecipe)
    with pytest.raises(DataError, match="no picture of made shows contempt"):
        folds.run(plan(done).runs[0], recipe, done / "made.parquet", done / "other", Told())


def test_one_network_tells_all_of_them(done: Path) -> None:
    """In the report beside the folds, and as a model file as any other."""
    result = runs(done)["three"]
    assert result["test"]["n"] == sum(map(sum, result["test"]["confusion"]["rows_actual"])) > 0
    recognizer = load_model(str(done / "r" / "runs" / "three" / "model.onnx"))
    assert recognizer.info.label_set.labels == LABELS_IN_ORDER
    text = (done / "r" / "report.md").read_text()
    section = text.partition("## One network that tells every expression")[2].partition("\n## ")[0]
    assert "8 hidden units and a CNN of width 4" in section
    counts = dict(zip(LABELS_IN_ORDER, result["test"]["confusion"]["rows_actual"], strict=True))
    for place, (label, row) in enumerate(counts.items()):
        assert f"| {label} | {sum(row)} | {100 * row[place] / sum(row):.1f} |" in section


def test_some_runs_alone_leave_the_others_as_reported(done: Path, tmp_path: Path) -> None:
    data = {"made": done / "made.parquet"}
    shutil.copy(done / "r" / "report.json", tmp_path)
    told = Told()
    assert reproduce.reproduce(plan(done), data, tmp_path, told, only=["narrow"]) == {}
    assert told.runs == ["fold0/fear", "fold1/fear"]
    content = json.loads((tmp_path / "report.json").read_text())
    assert [run["name"] for run in content["runs"]] == ["units", "pixels", "narrow", "three"]
    assert content["runs"][0] == runs(done)["units"]
    assert "Not run yet" not in (tmp_path / "report.md").read_text()
    alone = tmp_path / "alone"
    reproduce.reproduce(plan(done), data, alone, told, only=["narrow"])
    said = "**Not run yet**, and without figures here: units, pixels, three."
    assert said in (alone / "report.md").read_text()
    with pytest.raises(UnknownName, match="no run called 'narow'; did you mean narrow"):
        reproduce.reproduce(plan(done), data, tmp_path, told, only=["narow"])


def test_a_report_is_written_again_from_its_figures(done: Path, tmp_path: Path) -> None:
    """In other words where the recipe's are others now, and telling what it sets otherwise."""
    shutil.copy(done / "r" / "report.json", tmp_path)
    reproduce.rewrite(plan(done), tmp_path)
    same = (tmp_path / "report.md").read_text()
    assert same == (done / "r" / "report.md").read_text()
    changed = plan(tmp_path)
    recipe = changed.recipes[0]
    assert isinstance(recipe, AgainstRestRecipe)
    others = (replace(recipe, cnn=Cnn(512)), *changed.recipes[1:])
    reproduce.rewrite(replace(changed, recipes=others), tmp_path)
    said = "**Since it was run the recipe has changed:** cnn.width was 4, now 512."
    assert (tmp_path / "report.md").read_text().count(said) == 1
    with pytest.raises(DataError, match="holds no report of small to write anew"):
        reproduce.rewrite(plan(done), tmp_path / "nothing")


def test_neutral_s_first_fold_has_the_measures_its_rows_give() -> None:
    """Note b: the paper prints sensitivity 96.30 and precision 92.86 for this matrix."""
    found = one_against_rest(np.array([[130, 10], [5, 135]]))
    assert found["sensitivity"] == pytest.approx(0.9286, abs=5e-5)
    assert found["precision"] == pytest.approx(0.9630, abs=5e-5)
    fold = {"fold": 0, "expression": "neutral", "confusion": [[130, 10], [5, 135]]}
    result = {"folds": [fold], "expressions": {"neutral": fold}}
    line = fold_table(result, "neutral").splitlines()[2]
    assert line == "| 1 | 130 | 10 | 5 | 135 | 94.6 | 92.9 | 96.4 | 96.3 | 93.1 | 94.5 |"


def test_a_finished_fold_is_not_done_again(done: Path) -> None:
    data = {"made": done / "made.parquet"}
    results = sorted((done / "r" / "runs").rglob("result.json"))
    before = [path.stat().st_mtime_ns for path in results]
    gone = done / "r" / "runs" / "units" / "fold1" / "fear" / "result.json"
    wanted = json.loads(gone.read_text())
    gone.unlink()
    told = Told()
    reproduce.reproduce(plan(done), data, done / "r", told, accelerator="cpu")
    assert told.runs == []  # its training was complete, only the test was not
    after = [path.stat().st_mtime_ns for path in results]
    assert [a == b for a, b in zip(after, before, strict=True)] == [p != gone for p in results]
    assert json.loads(gone.read_text()) | {"seconds": 0} == wanted | {"seconds": 0}


def test_a_report_written_again_says_when_it_was_run(done: Path) -> None:
    kept = done / "r" / "runs" / "units" / "environment.json"
    then = json.loads(kept.read_text()) | {"date": "2001-02-03T04:05:06+00:00"}
    kept.write_text(json.dumps(then))
    data = {"made": done / "made.parquet"}
    reproduce.reproduce(plan(done), data, done / "r", Told(), accelerator="cpu")
    content = json.loads((done / "r" / "report.json").read_text())
    assert content["runs"][0]["environment"] == then


def test_another_recipe_in_the_same_folder_is_refused(done: Path) -> None:
    other = plan(done)
    recipe = recipes.read(done / "small.toml", [*SMALL, "cnn.width=5"])
    assert isinstance(recipe, AgainstRestRecipe)
    path = done / "r" / "runs" / "units"
    with pytest.raises(ConfigError, match="a run of another recipe or other data"):
        folds.run(other.runs[0], recipe, done / "made.parquet", path, Told())


def test_a_quick_look_is_one_fold(tmp_path: Path) -> None:
    table.write(faces(36), tmp_path / "made.parquet")
    data = {"made": tmp_path / "made.parquet"}
    told = Told()
    assert reproduce.reproduce(plan(tmp_path), data, tmp_path / "r", told, True, "cpu") == {}
    stages = ["fold0/autoencoder/tied", "fold0/autoencoder/untied"]
    cnns = [f"fold0/{label}" for label in LABELS_IN_ORDER]
    assert told.runs[: 5 + 3 + 1] == [*stages, *cnns, *cnns, "fold0/fear"]  # units, pixels, narrow
    found = runs(tmp_path)["units"]
    assert {fold["fold"] for fold in found["folds"]} == {0}
    assert set(found["described"]["rows"].values()) == {folds.QUICK["rows"]}
    assert "Its figures mean nothing" in (tmp_path / "r" / "report.md").read_text()


def test_repeats_and_people_are_found() -> None:
    data = faces()
    last = len(data) - 1  # the first row again
    known, test = np.array([0, 1, 2]), np.array([last, 13, 40])
    exact, near, person = folds.repeats(audit(data), known, test)
    assert exact.tolist() == [True, False, False]
    assert not (exact & near).any()
    assert person.tolist() == [True, False, False]  # p0; p1; p3


def test_a_matrix_has_rows_for_what_a_picture_is() -> None:
    actual = np.array([True, True, True, False, False])
    said = np.array([True, True, False, True, False])
    assert folds.confusion(actual, said) == [[2, 1], [1, 1]]


def test_the_command_line_writes_a_report_again_without_any_table(
    done: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(done / "r" / "report.json", tmp_path)
    settings = [part for text in SMALL for part in ("--set", text)]
    arguments = ["reproduce", str(done / "small.toml"), "--report-only", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["mien", *arguments, *settings])
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code or 0) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.md").read_text() == (done / "r" / "report.md").read_text()
