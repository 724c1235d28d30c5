"""A small paper's experiments, from made-up faces to the report."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.data import table
from mien.data.table import Row, Table
from mien.errors import ConfigError, DataError, UnknownName
from mien.evaluation import cards
from mien.expression.recognize import load_model
from mien.labels import label_set
from mien.papers import networks, plans, reproduce
from mien.papers.plans import Reproduction
from mien.papers.reproduce import audited
from mien.training import arrange, recipes
from mien.training.recipes import ExpressionRecipe
from mien.weights import catalogue

LABELS = label_set("iliev2022").labels
PEOPLE = [f"p{i}" for i in range(6)]
RECIPE = """
[paper]
cite = "Nobody, 2026"
claim = "all of them right"
pictures = 1000

[data]
label_set = "iliev2022"
train = "train"
select = "select"
test = "test"
drop_overlap = false

[copies]
count = 2
noise = 8.0
size = 16

[split]
by = "random"

[model]
name = "iliev2022"
size = 16
color = "rgb"
parameters = 226118

[augment]
flip = false

[train]
epochs = 2
batch = 8
optimizer = "adamw"
lr = 2e-3
weight_decay = 0.0
warmup_epochs = 0
ema_decay = 0.0
precision = "32-true"

[[run]]
name = "shuffled"
what = "as the paper"
data = "made"

[[run]]
name = "broken"
what = "a split that the table has not"
data = "made"
without = ["split"]

[[run]]
name = "people"
what = "nobody twice"
data = "made"
set = ["split.by=subject", "split.folds=3"]

[[contrast]]
title = "Who is tested"
text = "That is all."
beside = ["shuffled", "by person"]
rows = [{ name = "16 px", runs = ["shuffled", "people"] }]

[[published]]
title = "Accuracy"
columns = ["test"]
figures = ["test.accuracy"]
beside = ["shuffled", "broken"]
rows = [{ name = "16", values = [0.5], runs = ["shuffled", "broken"] }]

[[deviation]]
what = "nothing is real"
why = "it is a test"
"""


def made_table() -> Table:
    """Six people with six expressions, each a coarse pattern of its own with the person's noise."""
    rows = []
    for number, person in enumerate(PEOPLE):
        for k, label in enumerate(LABELS):
            coarse = np.random.default_rng(k).integers(40, 216, (4, 4)).astype(np.float32)
            own = np.random.default_rng(100 * number + k).normal(0, 12, (24, 24))
            face = cv2.resize(coarse, (24, 24)) + own
            gray = np.clip(face, 0, 255).astype(np.uint8)
            png = cv2.imencode(".png", gray)[1].tobytes()
            rows.append(Row(f"{person}/{label}", "all", label, png, 24, 24, subject=person))
    return Table("made", rows)


class Silent:
    def say(self, text: str) -> None: ...
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


@dataclass
class Done:
    """A reproduction that was run."""

    plan: Reproduction
    data: dict[str, Path]
    out: Path
    failures: dict[str, str]

    def result(self, name: str) -> dict[str, Any]:
        report = json.loads((self.out / "report.json").read_text())
        found: dict[str, Any] = next(run for run in report["runs"] if run["name"] == name)
        return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("reproduction")
    (place / "nobody.toml").write_text(RECIPE)
    table.write(made_table(), place / "made.parquet")
    plan = plans.read(place / "nobody.toml")
    data = {"made": place / "made.parquet"}
    failures = reproduce.reproduce(plan, data, place / "out", Silent(), accelerator="cpu")
    return Done(plan, data, place / "out", failures)


def test_one_that_fails_costs_no_other(done: Done) -> None:
    assert list(done.failures) == ["broken"]
    assert "no split 'train'" in done.failures["broken"]
    report = json.loads((done.out / "report.json").read_text())
    assert [run["name"] for run in report["runs"]] == ["shuffled", "people"]
    text = (done.out / "report.md").read_text()
    assert "**broken failed**" in text


def test_a_result_says_what_it_was_made_of(done: Done) -> None:
    result = done.result("shuffled")
    (part,) = result["parts"]
    assert sum(part["sides"].values()) == 6 * 6 * 3
    assert part["network"]["parameters"] == 226_118
    assert len(part["epochs"]) == 2
    assert part["test"]["n"] == part["sides"]["test"]
    assert result["paper_epoch_s"] == pytest.approx(1000 / result["images_per_s"])
    assert {"date", "commit", "machine", "versions"} <= set(part["environment"])
    folder = done.out / part["folder"]
    assert (folder / "model.onnx").stat().st_size == part["network"]["bytes"]


def test_folds_are_pooled_and_everybody_is_tested_once(done: Done) -> None:
    result = done.result("people")
    assert [part["fold"] for part in result["parts"]] == [0, 1, 2]
    answers = [
        json.loads((done.out / part["folder"] / "answers.json").read_text())
        for part in result["parts"]
    ]
    ids = [name for part in answers for name in part["ids"]]
    assert len(ids) == len(set(ids)) == 6 * 6 * 3 == result["test"]["n"]
    tested = [set(part["subjects"]) for part in answers]
    assert set.union(*tested) == set(PEOPLE)
    assert sum(map(len, tested)) == len(PEOPLE)
    right = [part["test"]["accuracy"] * part["test"]["n"] for part in result["parts"]]
    assert result["test"]["accuracy"] == pytest.approx(sum(right) / len(ids))
    low, high = (result["over_folds"][k]["accuracy"] for k in ("min", "max"))
    assert low <= result["test"]["accuracy"] <= high


def test_the_audit_sees_what_a_shuffle_does(done: Done) -> None:
    shuffled = done.result("shuffled")["parts"][0]["audit"]
    assert shuffled["copies"] > 0.7 * shuffled["test_rows"]
    assert shuffled["people_trained_on"] == shuffled["people"] > 0
    for part in done.result("people")["parts"]:
        assert part["audit"]["copies"] == 0
        assert part["audit"]["people_trained_on"] == 0
        assert part["audit"]["people"] == 2


def test_the_audit_counts_every_kind() -> None:
    rows = made_table().rows
    again = [
        Row("a#1", "test", rows[0].label, rows[1].image, 24, 24, subject="p0", copy_of=rows[0].id),
        Row("b", "test", rows[2].label, rows[2].image, 24, 24, subject="stranger"),
        Row("c", "test", rows[30].label, rows[30].image, 24, 24, subject="nobody"),
    ]
    train = [Row(r.id, "train", r.label, r.image, 24, 24, subject=r.subject) for r in rows[:18]]
    recipe = recipes.from_values({**_values(), "split": None, "copies": None})
    assert isinstance(recipe, ExpressionRecipe)
    found = audited(recipe, Table("made", [*train, *again]))
    assert (found["test_rows"], found["copies"]) == (3, 1)
    assert (found["people"], found["people_trained_on"]) == (3, 1)
    assert (found["pictures"], found["same_pixels"]) == (2, 1)


def _values() -> dict[str, Any]:
    import tomllib

    values = tomllib.loads(RECIPE)
    return {k: v for k, v in values.items() if k not in ("run", "published", "contrast")}


def test_what_is_done_is_not_done_again(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p: p.stat().st_mtime_ns for p in done.out.rglob("model.onnx")}

    def never(*args: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(reproduce, "train", never)
    kept = Reproduction(
        done.plan.name,
        done.plan.paper,
        done.plan.runs[::2],
        done.plan.recipes[::2],
        (),
        done.plan.contrasts,
        done.plan.deviations,
    )
    assert reproduce.reproduce(kept, done.data, done.out, Silent()) == {}
    assert {p: p.stat().st_mtime_ns for p in done.out.rglob("model.onnx")} == before


def test_repeats_differ_in_their_seeds_and_are_told_together(done: Done, tmp_path: Path) -> None:
    run = replace(done.plan.runs[0], repeats=2)
    twice = replace(
        done.plan, runs=(run,), recipes=done.plan.recipes[:1], published=(), contrasts=()
    )
    assert reproduce.reproduce(twice, done.data, tmp_path, Silent(), accelerator="cpu") == {}
    (result,) = json.loads((tmp_path / "report.json").read_text())["runs"]
    first, second = result["parts"]
    assert [part["seed"] for part in (first, second)] == [1, 2]
    assert [part["recipe"]["split"]["seed"] for part in (first, second)] == [1, 2]
    assert first["test"] == done.result("shuffled")["parts"][0]["test"]
    accuracies = [part["test"]["accuracy"] for part in (first, second)]
    assert result["test"]["n"] == 2 * first["test"]["n"]
    assert result["test"]["accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert result["over_folds"]["sd"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    assert (first["audit"] is None, second["audit"] is None) == (False, True)
    text = (tmp_path / "report.md").read_text()
    assert "## From seed to seed" in text
    assert "| seed 2 |" in text


def test_a_result_of_before_a_setting_existed_is_still_done(
    done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(done.out, tmp_path / "out")
    path = out / "runs" / "shuffled" / "result.json"
    old = json.loads(path.read_text())
    del old["recipe"]["model"]["enlarge"], old["recipe"]["occlude"]
    path.write_text(json.dumps(old))
    monkeypatch.setattr(reproduce, "train", lambda *args, **more: pytest.fail("trained again"))
    plan = done.plan
    one = replace(plan, runs=plan.runs[:1], recipes=plan.recipes[:1], published=(), contrasts=())
    assert reproduce.reproduce(one, done.data, out, Silent()) == {}


def test_mean_and_deviation_are_those_of_the_training_pictures(done: Done) -> None:
    from safetensors.torch import load_file

    weights = load_file(done.out / "runs" / "shuffled" / "weights.safetensors")
    recipe = done.plan.recipes[0]
    arranged = arrange.read(recipe, done.data["made"]).of_split("train")
    x = arranged.planes(recipe.model.preprocess)
    np.testing.assert_allclose(weights["mean"].ravel(), x.mean(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(weights["std"].ravel(), x.std(axis=(0, 2, 3)), rtol=1e-5)


def test_the_report_is_whole(done: Done) -> None:
    text = (done.out / "report.md").read_text()
    for figure in ("contrast-1.png", "shuffled-curves.png", "people-confusion.png"):
        assert f"figures/{figure}" in text
        assert (done.out / "figures" / figure).read_bytes().startswith(b"\x89PNG")
    assert "nothing is real: it is a test." in text
    page = (done.out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 7
    assert 'src="figures/' not in page
    assert "http" not in page.split("<body>")[1].replace("https", "http").split("data:")[0]


def test_its_networks_lie_where_they_are_found_by_name(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_MODELS", str(done.out / networks.FOLDER))
    paper = done.plan.name
    assert sorted(catalogue.own()) == [f"{paper}-people", f"{paper}-shuffled"]
    network, people = load_model(f"{paper}-shuffled"), load_model(f"{paper}-people")
    assert network.info.name == f"{paper}-shuffled"
    as_trained = load_model(str(done.out / "runs" / "shuffled" / reproduce.MODEL))
    face = [np.full((30, 20, 3), 90, np.uint8)]
    np.testing.assert_array_equal(network.logits(face), as_trained.logits(face))
    card = (done.out / networks.FOLDER / f"{paper}-people.md").read_text()
    assert card == cards.of(f"{paper}-people")
    first = done.result("people")["parts"][0]["test"]
    assert "- run: nobody twice, on made; the first of 3 trainings" in card
    assert f"- tested on {first['n']} pictures: accuracy {first['accuracy']:.3f}" in card
    assert "quick look" not in card
    assert people.info.card["about"] == f"the network of {paper}'s run 'people'"


def test_a_quick_look_is_marked(tmp_path: Path, done: Done) -> None:
    one = Reproduction(
        "nobody", done.plan.paper, done.plan.runs[2:], done.plan.recipes[2:], (), (), ()
    )
    assert reproduce.reproduce(one, done.data, tmp_path, Silent(), quick=True) == {}
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["quick"] == reproduce.QUICK
    assert len(report["runs"][0]["parts"]) == 1
    assert "Its figures mean nothing" in (tmp_path / "report.md").read_text()
    card = (tmp_path / networks.FOLDER / "nobody-people.md").read_text()
    assert "of a quick look: to try things out, not to be used" in card


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({}, ConfigError, "mien data import csv LIST --out made.parquet"),
        ({"made": "no.parquet"}, DataError, "no such table"),
        ({"made": "no.parquet", "jaffe": "x"}, ConfigError, "takes the tables made, not 'jaffe'"),
    ],
)
def test_tables_are_asked_for_before_anything_is_done(
    done: Done, tmp_path: Path, data: dict[str, str], error: type[Exception], message: str
) -> None:
    given = {name: tmp_path / path for name, path in data.items()}
    with pytest.raises(error, match=message):
        reproduce.reproduce(done.plan, given, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


# -- what a recipe may say ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('name = "broken"', 'name = "shuffled"', ConfigError, "two runs called 'shuffled'"),
        ('runs = ["shuffled", "people"]', 'runs = ["shufled", "people"]', UnknownName, "shuffled"),
        ('without = ["split"]', 'without = ["splits"]', UnknownName, "did you mean split"),
        ("values = [0.5]", "values = [0.5, 1]", ConfigError, "needs 1 values and 2 runs"),
        ('figures = ["test.accuracy"]', "figures = []", ConfigError, "one of figures for each"),
        ("split.by=subject", "split.by=subjects", UnknownName, "did you mean subject"),
        ('what = "nobody twice"', 'wat = "nobody twice"', UnknownName, "did you mean run"),
    ],
)
def test_a_wrong_experiment_says_what_is_right(
    tmp_path: Path, old: str, new: str, error: type[Exception], message: str
) -> None:
    assert old in RECIPE
    (tmp_path / "r.toml").write_text(RECIPE.replace(old, new))
    with pytest.raises(error, match=message):
        plans.read(tmp_path / "r.toml")


def test_a_recipe_without_experiments_is_to_be_trained() -> None:
    with pytest.raises(ConfigError, match=r"no \[\[run\]\] to reproduce; train it with"):
        plans.read(recipes.find("resnet10-ferplus"))
