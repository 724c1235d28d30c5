"""Runs that begin with another's weights, learn intensities, are tested elsewhere, looked into."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mien.data import table
from mien.data.table import Table
from mien.errors import ConfigError, DataError, UnknownName
from mien.evaluation import attention
from mien.expression.recognize import load_model
from mien.media.image import read_file
from mien.papers import plans, reproduce
from mien.papers.plans import Reproduction
from mien.training import recipes
from mien.training.recipes import ExpressionRecipe

RECIPE = """
[paper]
cite = "Nobody, 2026"
claim = "how strongly"

[[paper.findings]]
says = "Nothing was found."
evidence = [
    { table = "How near", rows = ["all"] },
    { table = "At a glance", rows = ["shares", "strength"] },
    { file = "benchmarks/results/none.json", rows = ["a.b"] },
]
not_explained = "Why."

[data]
label_set = "iliev2022"
train = "train"
select = "select"
test = "test"
target = "strengths"
drop_overlap = false

[split]
by = "subject"
train = 0.6
select = 0.2
test = 0.2

[model]
name = "iliev2022"
size = 24

[augment]
flip = true

[train]
epochs = 1
batch = 16
optimizer = "adamw"
lr = 1e-3
warmup_epochs = 0
precision = "32-true"

[[run]]
name = "shares"
what = "ratings as shares of one"
data = "half"
elsewhere = ["other"]

[[run]]
name = "strengths"
what = "ratings by themselves, from the other's weights"
data = "half"
init = "shares"
set = ["data.labels=[\\"anger\\", \\"fear\\", \\"happiness\\"]"]
elsewhere = ["other"]

[[run]]
name = "hidden"
what = "the mouth hidden"
data = "half"
set = ["occlude.what=mouth"]

[[published]]
title = "How near"
columns = ["RMSE"]
figures = ["test.intensity.overall.rmse"]
beside = ["here", "elsewhere"]
rows = [{ name = "all", values = [0.129], runs = ["strengths", "strengths@other"] }]

[[attention]]
title = "Where they look"
text = "With and without a mouth."
samples = 3
runs = ["shares", "hidden"]

[[deviation]]
what = "nothing is real"
why = "it is a test"
"""


class Silent:
    def say(self, text: str) -> None: ...
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


def halves(jaffe: Table) -> tuple[Table, Table]:
    """Five women to train on and five to be tested elsewhere."""
    people = sorted({str(row.subject) for row in jaffe.rows})

    def of(some: list[str], name: str) -> Table:
        kept = [row for row in jaffe.rows if row.subject in some]
        return replace(jaffe, name=name, rows=kept, notes={})

    return of(people[:5], "half"), of(people[5:], "other")


@pytest.fixture(scope="module")
def place(jaffe_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("further")
    (folder / "nobody.toml").write_text(RECIPE)
    for one in halves(jaffe_table):
        table.write(one, folder / f"{one.name}.parquet")
    return folder


def planned(place: Path) -> Reproduction:
    """The second run's answers are intensities: a key that stands alone has no --set."""
    plan = plans.read(place / "nobody.toml")
    first, second, third = plan.recipes
    assert isinstance(second, ExpressionRecipe)
    return replace(plan, recipes=(first, replace(second, answers="intensities"), third))


@pytest.fixture(scope="module")
def report(place: Path) -> dict[str, Any]:
    plan = planned(place)
    data = {name: place / f"{name}.parquet" for name in ("half", "other")}
    failures = reproduce.reproduce(plan, data, place / "out", Silent(), accelerator="cpu")
    assert failures == {}
    found: dict[str, Any] = json.loads((place / "out" / "report.json").read_text())
    return found


def test_every_woman_elsewhere_is_new(report: dict[str, Any], jaffe_table: Table) -> None:
    shares = report["runs"][0]
    there = shares["elsewhere"]["other"]["test"]
    six = [row for row in halves(jaffe_table)[1].rows if row.label != "neutral"]
    assert there["n"] == len(six)
    assert there["intensity"]["n"] == len(six)

    assert report["runs"][2]["elsewhere"] == {}


def test_it_begins_with_the_others_weights(report: dict[str, Any], place: Path) -> None:
    saved = json.loads((place / "out/runs/strengths/recipe.json").read_text())
    model = load_model(str(place / "out/runs/shares/model.onnx"))
    assert saved["init_sha256"] == model.info.sha256
    assert list(report["runs"][1]["test"]["per_class"]) == ["anger", "fear", "happiness"]


def test_the_model_of_a_run_of_intensities_gives_them(report: dict[str, Any], place: Path) -> None:
    model = load_model(str(place / "out/runs/strengths/model.onnx"))
    assert model.info.strengths is not None
    assert model.info.strengths.weights is None
    assert report["runs"][1]["test"]["intensity"]["overall"]["rmse"] < 0.6


def test_the_report_tells_all_of_it(report: dict[str, Any], place: Path) -> None:
    text = (place / "out" / "report.md").read_text()
    assert (
        "## What ours say\n\n- Nothing was found. *Evidence: How near (all); At a glance (shares, "
        "strength, not in this report); `benchmarks/results/none.json` (a.b).* "
        "**Not explained:** Why.\n\n## At a glance\n" in text
    )
    assert "| strengths | other |" in text
    assert "| strengths@other |" in text
    strengths = report["runs"][1]
    here, there = (
        score["intensity"]["overall"]["rmse"]
        for score in (strengths["test"], strengths["elsewhere"]["other"]["test"])
    )
    line = next(line for line in text.splitlines() if line.startswith("| all | 0.129 |"))
    assert f"{here:.3f}" in line
    assert f"{there:.3f}" in line
    assert "All epochs together" in text


def test_each_networks_maps_beside_the_others(report: dict[str, Any], place: Path) -> None:
    told = json.loads((place / "out" / "attention-1.json").read_text())
    assert told["conditions"] == ["none", "mouth"]
    assert len({*told["models"].values()}) == 2
    assert {one["faces"] for one in told["expressions"].values()} == {3}
    assert read_file(place / "out/figures/attention-1.png").shape[0] > 500
    assert "## Where they look" in (place / "out" / "report.md").read_text()


def test_maps_are_not_made_again(
    report: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(place)
    data = {name: place / f"{name}.parquet" for name in ("half", "other")}

    def never(*args: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr(attention, "of_each", never)
    assert reproduce.reproduce(plan, data, place / "out", Silent(), accelerator="cpu") == {}


def test_faces_cut_otherwise_are_refused_elsewhere(place: Path, jaffe_table: Table) -> None:
    other = halves(jaffe_table)[1]
    table.write(replace(other, notes={"align": "xu2019"}), place / "cut.parquet")
    plan = plans.read(place / "nobody.toml")
    plan = replace(plan, runs=plan.runs[:1], recipes=plan.recipes[:1], published=(), attention=())
    data = {"half": place / "half.parquet", "other": place / "cut.parquet"}
    failures = reproduce.reproduce(plan, data, place / "again", Silent(), accelerator="cpu")
    assert "are cut by 'xu2019', and this run's by 'box'" in failures["shares"]


def test_a_table_of_cut_faces_says_how_it_is_made(place: Path) -> None:
    plan = plans.read(recipes.find("xu2019"))
    with pytest.raises(
        ConfigError, match=r"mien data align ferplus\.parquet --align xu2019 --size 128"
    ):
        reproduce.reproduce(plan, {}, place / "none", Silent())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('init = "shares"', 'init = "hidden"', "run before 'strengths'"),
        ('runs = ["shares", "hidden"]', 'runs = ["shares", "hiden"]', "did you mean hidden"),
        ('"strengths@other"', '"strengths@half"', "strengths@half"),
        ('elsewhere = ["other"]', 'elsewhere = ["half"]', "its own table"),
        ("samples = 3", "samples = 0", "one sample"),
        ('table = "How near", rows = ["all"]', 'table = "How near", rows = []', 'got table "How'),
        ('{ table = "How near", rows', "{ rows", 'rows of one table of the report.*got table ""'),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    before: str, after: str, message: str, tmp_path: Path
) -> None:
    assert before in RECIPE
    (tmp_path / "p.toml").write_text(RECIPE.replace(before, after, 1))
    with pytest.raises((ConfigError, UnknownName), match=message):
        plans.read(tmp_path / "p.toml")


def test_a_file_of_experiments_is_not_trained() -> None:
    with pytest.raises(ConfigError, match=r"mien reproduce xu2019, or train one of \['xu2019-cl"):
        recipes.read(recipes.find("xu2019"))


def test_a_run_without_its_beginning_fails_alone(place: Path) -> None:
    with pytest.raises(DataError, match="the weights of 'shares', which failed"):
        reproduce._model_of("shares", place / "nowhere")
