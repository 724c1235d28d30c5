"""Runs tested after every epoch, one by one for people, and on other tables: made-up faces."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.data import table
from mien.data.splits import Split
from mien.data.table import Row, Table
from mien.errors import ConfigError, UnknownName
from mien.evaluation import plots
from mien.expression.logits import softmax
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.labels import label_set
from mien.papers import plans, report, reproduce
from mien.papers.plans import Experiment, Reproduction
from mien.papers.report import by_name
from mien.training import recipes
from mien.training.stepwise import best_epoch

LABELS = ("neutral", "happiness")
RECIPE = """
[paper]
cite = "Nobody, 2026"
claim = "right at every step"

[data]
label_set = "mien8"
labels = ["neutral", "happiness"]
train = "train"
select = "select"
test = "test"
drop_overlap = false

[split]
by = "stratified"
each = [10, 3]

[model]
name = "emex2"
size = 16

[augment]
flip = false

[train]
epochs = 3
epoch_steps = 4
batch = 6
optimizer = "adamw"
lr = 1e-3
schedule = "constant"
weight_decay = 0.0
warmup_epochs = 0
ema_decay = 0.0
precision = "32-true"

[[run]]
name = "many"
what = "all of them"
data = "made"
elsewhere = ["other"]
repeats = 2

[[run]]
name = "one"
what = "each alone"
data = "made"
without = ["split"]
set = ["split.by=stratified", "split.folds=3"]
people = 3

[[published]]
title = "By step"
curve = 1
columns = ["accuracy", "F1"]
figures = ["steps.{row}.accuracy", "steps.{row}.per_class.happiness.f1"]
beside = ["many", "others"]
rows = [
    { name = "4", values = [0.5, nan], runs = ["many", "many@other"] },
    { name = "12", values = [1.0, 1.0], runs = ["many", "many@other"] },
]

[[published]]
title = "One by one, by step"
curve = 1
columns = ["accuracy"]
figures = ["steps.{row}.accuracy"]
beside = ["alone", "many"]
rows = [
    { name = "8", values = [0.75], runs = ["one", "many"] },
]

[[published]]
title = "Best while training"
columns = ["accuracy", "after steps"]
figures = ["validation.greatest", "validation.after"]
beside = ["many"]
rows = [
    { name = "all", values = [0.9, 12], runs = ["many"] },
]

[[together]]
title = "Figure 4"
text = "Both at once."
tables = ["By step", "One by one, by step"]
names = ["All", "One"]
column = "accuracy"
beside = "many"

[[deviation]]
what = "nothing is real"
why = "it is a test"
"""


def made_table(name: str, people: int, seed: int) -> Table:
    """Each label a coarse pattern, on every person's own noise: six pictures of each."""
    rows = []
    for person in range(people):
        for i in range(12):
            coarse = np.random.default_rng(i % 2).integers(40, 216, (4, 4)).astype(np.float32)
            noise = np.random.default_rng([seed, person, i]).normal(0, 25, (16, 16))
            gray = np.clip(cv2.resize(coarse, (16, 16)) + noise, 0, 255).astype(np.uint8)
            png = cv2.imencode(".png", gray)[1].tobytes()
            row = Row(f"{name}/{person}-{i}", "all", LABELS[i % 2], png, 16, 16)
            rows.append(row if person == 0 and name == "made" else _of(row, f"{name}{person}"))
    return Table(name, rows)


def _of(row: Row, subject: str) -> Row:
    return replace(row, subject=subject)


class Silent:
    def say(self, text: str) -> None: ...
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


class Done:
    def __init__(self, place: Path) -> None:
        (place / "nobody.toml").write_text(RECIPE)
        self.data = {}
        for name, people, seed in (("made", 3, 1), ("other", 2, 9)):
            self.data[name] = place / f"{name}.parquet"
            table.write(made_table(name, people, seed), self.data[name])
        self.plan: Reproduction = plans.read(place / "nobody.toml")
        self.out = place / "out"
        self.failures = reproduce.reproduce(
            self.plan, self.data, self.out, Silent(), accelerator="cpu"
        )
        content = json.loads((self.out / "report.json").read_text())
        self.results = {run["name"]: run for run in content["runs"]}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return Done(tmp_path_factory.mktemp("stepwise"))


def test_every_step_has_its_figures(done: Done) -> None:
    assert done.failures == {}
    for result in by_name(list(done.results.values())).values():
        assert list(result["steps"]) == ["4", "8", "12"]
        for score in result["steps"].values():
            assert score["n"] == result["test"]["n"]
            assert {"majority_baseline", "balanced_accuracy", "per_class"} <= set(score)


def test_an_epoch_is_so_many_steps_over_and_over_the_pictures(done: Done) -> None:
    """Twenty pictures train; an epoch of four batches of six shows some of them twice."""
    part = done.results["many"]["parts"][0]
    assert part["sides"] == {"train": 20, "select": 6, "test": 10}
    assert [epoch["lr"] for epoch in part["epochs"]] == [1e-3] * 3


def test_the_figure_of_a_run_is_of_the_step_best_on_the_select_side(done: Done) -> None:
    for part in done.results["many"]["parts"]:
        answers = json.loads((done.out / part["folder"] / "answers.json").read_text())
        best = best_epoch(part["epochs"])
        assert answers["probs"] == answers["steps"][str(4 * (best + 1))]
    alike = [{"select": {"accuracy": a, "nll": nll}} for a, nll in ((0.2, 0.1), (0.7, 2), (0.7, 1))]
    assert best_epoch(alike) == 2  # of equally accurate ones the likelier


def test_each_person_is_trained_alone(done: Done) -> None:
    result = done.results["one"]
    assert result["people"] == 2  # the third has no name
    assert len(result["parts"]) == 6
    assert result["test"]["n"] == 24
    subjects = [part["recipe"]["data"]["subject"] for part in result["parts"]]
    assert subjects == [f"made{i}" for i in (1, 2) for _ in range(3)]
    text = (done.out / "report.md").read_text()
    assert "person 2, fold 3" in text
    (line,) = [x for x in text.splitlines() if x.startswith("| one |") and "0 (0%)" in x]
    assert "| 24 | 24 | 24 |" in line


def test_the_networks_of_every_seed_are_tested_on_another_table(done: Done) -> None:
    result = done.results["many"]
    there = result["elsewhere"]["other"]
    assert there["test"]["n"] == 2 * 24  # two seeds
    assert there["test"]["accuracy"] > 0.9
    each = [part["elsewhere"]["other"]["test"]["accuracy"] for part in result["parts"]]
    assert there["over_folds"]["min"]["accuracy"] == min(each)
    best = [4 * (best_epoch(part["epochs"]) + 1) for part in result["parts"]]
    for part, step in zip(result["parts"], best, strict=True):
        said = json.loads((done.out / part["folder"] / "elsewhere-other.json").read_text())
        assert said["probs"] == said["steps"][str(step)]
    text = (done.out / "report.md").read_text()
    assert "| many | other | 48 |" in text
    assert "| many@other | 2 |" in text
    assert "Step by step, on other:" in text


def test_one_model_file_for_a_run(done: Done) -> None:
    for name in ("many", "one"):
        files = list((done.out / "runs" / name).rglob("model.onnx"))
        assert [str(f.parent.name) for f in files] == ["seed1" if name == "many" else "fold0"]


def test_the_exported_network_answers_as_in_training(done: Done) -> None:
    part = done.results["many"]["parts"][0]
    folder = done.out / part["folder"]
    recognizer = load_model(str(folder / "model.onnx"))
    assert isinstance(recognizer, OnnxRecognizer)
    answers = json.loads((folder / "answers.json").read_text())
    rows = {row.id: row for row in made_table("made", 3, 1).rows}
    tested = Table("made", [rows[name] for name in answers["ids"]])
    probs = softmax(recognizer.logits(list(tested.pictures())))
    np.testing.assert_allclose(probs, answers["probs"], atol=1e-4)


def test_the_papers_table_and_its_curve(done: Done) -> None:
    text = (done.out / "report.md").read_text()
    assert "![By step](figures/steps-1.png)" in text
    assert "| 4 | F1 | - |" in text
    assert "| steps | accuracy | majority baseline | balanced accuracy | F1 of neutral" in text


def test_several_tables_are_drawn_in_one_plot(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (done.out / "report.md").read_text()
    assert "### Figure 4\n\nBoth at once.\n\n![Figure 4](figures/together-1.png)\n\n## How" in text
    assert (done.out / "figures" / "together-1.png").stat().st_size > 1000
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "steps", drawn.append)
    monkeypatch.setattr(report, "_write_figure", lambda *a: None)
    found = by_name(list(done.results.values()))
    report._together(done.plan.together[0], 1, done.plan, found, done.out)
    (panels,) = drawn
    steps = done.results["many"]["steps"]
    assert panels == {
        "accuracy": {
            "All, the paper's": [(4, 0.5), (12, 1.0)],
            "All, ours": [(4, steps["4"]["accuracy"]), (12, steps["12"]["accuracy"])],
            "One, the paper's": [(8, 0.75)],
            "One, ours": [(8, steps["8"]["accuracy"])],
        }
    }


def test_the_best_step_on_the_select_side_is_that_of_the_mean_over_seeds(done: Done) -> None:
    result = by_name(list(done.results.values()))["many"]
    parts = done.results["many"]["parts"]
    means = [
        (a["select"]["accuracy"] + b["select"]["accuracy"]) / 2
        for a, b in zip(parts[0]["epochs"], parts[1]["epochs"], strict=True)
    ]
    best = 4.0 * (means.index(max(means)) + 1)
    assert result["validation"] == {"greatest": max(means), "after": best}
    assert f"| all | after steps | 12.0 | {best:.1f}" in (done.out / "report.md").read_text()


def test_done_is_done(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduce, "train", lambda *a, **k: pytest.fail("trained again"))
    assert reproduce.reproduce(done.plan, done.data, done.out, Silent()) == {}


def test_another_networks_figures_are_not_a_runs_of_the_same_name(done: Done) -> None:
    assert list(reproduce.reported(done.plan, done.out)) == ["many", "one"]
    many, one = done.plan.recipes
    assert isinstance(many, recipes.ExpressionRecipe)
    for changed in ({"name": "alexnet-small"}, {"parameters": 57_000_000}):
        other = replace(many, model=replace(many.model, **changed))
        plan = replace(done.plan, recipes=(other, one))
        assert list(reproduce.reported(plan, done.out)) == ["one"]


def test_a_run_that_was_not_asked_says_what_to_do(done: Done, tmp_path: Path) -> None:
    plan = replace(done.plan, runs=done.plan.runs[:1], recipes=done.plan.recipes[:1])
    plan = replace(plan, published=(), together=())
    alone = replace(plan, runs=(replace(plan.runs[0], elsewhere=()),))
    made = {"made": done.data["made"]}
    assert reproduce.reproduce(alone, made, tmp_path, Silent(), accelerator="cpu") == {}
    failures = reproduce.reproduce(plan, done.data, tmp_path, Silent(), accelerator="cpu")
    assert list(failures) == ["many"]
    assert "remove that folder" in failures["many"]


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('"many", "many@other"]', '"many", "many@othr"]', UnknownName, "did you mean many@other"),
        ("people = 3", "people = -1", ConfigError, "people is at least 0"),
        ("each = [10, 3]", "each = [12]", ConfigError, "two numbers of rows"),
        ('name = "4", values', 'name = "four", values', ConfigError, "needs numbers"),
        ('["By step", "One', '["By stpe", "One', UnknownName, "did you mean By step"),
        ('column = "accuracy"', 'column = "accurac"', UnknownName, "did you mean accuracy"),
        ('beside = "many"', 'beside = "mny"', UnknownName, "did you mean many"),
        ('names = ["All", "One"]', 'names = ["All"]', ConfigError, "a name for each"),
        ('schedule = "constant"', 'schedule = "steps"', ConfigError, "cosine or constant"),
        ("epoch_steps = 4", "epoch_steps = -4", ConfigError, "at least 0"),
        ("each = [10, 3]", "hold_out = 3", ConfigError, "split.hold_out goes with"),
    ],
)
def test_a_wrong_recipe_says_what_is_right(
    tmp_path: Path, old: str, new: str, error: type[Exception], message: str
) -> None:
    assert old in RECIPE
    (tmp_path / "r.toml").write_text(RECIPE.replace(old, new, 1))
    with pytest.raises(error, match=message):
        plans.read(tmp_path / "r.toml")


def test_the_shipped_recipe_is_the_papers() -> None:
    plan = plans.read(recipes.find("biondi2019"))
    assert plan.paper is not None
    for run, recipe in zip(plan.runs, plan.recipes, strict=True):
        assert isinstance(recipe, recipes.ExpressionRecipe)
        t = recipe.train
        every = 100 if recipe.model.name == "alexnet" and not run.people else 50
        assert (t.batch, t.epoch_steps, t.seed, t.weight_decay) == (10, every, 1234, 0.0)
        assert t.epochs * t.epoch_steps == (200 if run.people else 1000)
    many = plan.recipes[[run.name for run in plan.runs].index("many-emex2")]
    assert isinstance(many, recipes.ExpressionRecipe)
    assert many.split == Split("stratified", each=(444, 56), seed=1234)
    assert many.data.names.labels == ("neutral", "happiness")
    assert set(label_set("mien8").labels) > set(many.data.names.labels)
    assert isinstance(plan.runs[0], Experiment)
