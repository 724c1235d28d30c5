"""What a report says of results, without training anything."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.evaluation import metrics
from mien.labels import label_set
from mien.papers import report
from mien.papers.plans import (
    Contrast,
    ContrastRow,
    Experiment,
    Published,
    PublishedRow,
    Reproduction,
)
from mien.training import recipes
from mien.training.recipes import Deviation, ExpressionRecipe, Paper

LABELS = label_set("iliev2022")
ILIEV = recipes.read(recipes.find("iliev2022"))
assert isinstance(ILIEV, ExpressionRecipe)
RECIPE = replace(ILIEV, copies=None, split=None)
PAPER = Paper("A & B <1999>", "all | of it", "As **they** did.", ("Beware.",), pictures=500)


def score(right: int, people: int = 3) -> dict[str, Any]:
    """Figures of 60 answers, the first so many of them right."""
    targets = np.arange(60) % 6
    said = np.where(np.arange(60) < right, targets, (targets + 1) % 6)
    probs = np.full((60, 6), 0.02, np.float32)
    probs[np.arange(60), said] = 0.9
    who = [f"p{i % people}" for i in range(60)]
    return metrics.score(probs, targets.astype(np.intp), LABELS, who)


def result(name: str, right: int, out: Path) -> dict[str, Any]:
    """An experiment of one training, as ``reproduce`` makes it."""
    folder = out / "runs" / name
    folder.mkdir(parents=True)
    epochs = [
        {
            "epoch": i,
            "loss": 1.5 - i / 2,
            "select": {"accuracy": 0.4 + i / 5, "balanced_accuracy": 0.4, "nll": 1.2},
            "seconds": 2.0,
            "images_per_s": 50.0,
        }
        for i in range(2)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(e) + "\n" for e in epochs))
    part = {
        "folder": f"runs/{name}",
        "fold": None,
        "recipe": json.loads(json.dumps(asdict(RECIPE))),
        "data": {"file": "t.parquet", "sha256": "abc"},
        "network": {"name": "iliev2022", "size": 20, "color": "rgb", "parameters": 226118},
        "sides": {"train": 480, "select": 60, "test": 60},
        "audit": {"test_rows": 60, "copies": 45, "people": 3, "people_trained_on": 2}
        | {"pictures": 20, "same_pixels": 1, "nearly_same": None},
        "epochs": epochs,
        "test": score(right),
        "environment": {
            "date": "2026-01-01T00:00:00+00:00",
            "commit": None,
            "machine": {"cpu": "abacus", "cores": 1, "system": "Linux"},
            "versions": {"python": "3"},
            "device": "cpu",
            "threads": 1,
            "precision": "32-true",
        },
    }
    return {
        "name": name,
        "what": "made up",
        "table": "t",
        "test": part["test"],
        "train": {"accuracy": 0.99},
        "images_per_s": 50.0,
        "seconds_per_epoch": 2.0,
        "paper_epoch_s": 10.0,
        "parts": [part],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    plan = Reproduction(
        "paper1999",
        PAPER,
        tuple(Experiment(name, "", "t") for name in ("one", "two", "three")),
        (RECIPE, RECIPE, RECIPE),
        (
            Published(
                "Table 1",
                ("accuracy", "seconds"),
                ("test.accuracy", "paper_epoch_s"),
                ("first", "second"),
                (PublishedRow("20", (0.75, 66.0), ("one", "three")),),
            ),
        ),
        (Contrast("Sides", "Look.", ("one", "two"), (ContrastRow("20 px", ("one", "two")),)),),
        (Deviation("few pictures", "few there are"),),
    )
    results = [result("one", 54, out), result("two", 30, out)]
    report.write(plan, results, {"three": "no disk"}, out)
    return out


def section(folder: Path, heading: str) -> str:
    text = (folder / "report.md").read_text()
    found = re.search(rf"^##+ {heading}\n(.*?)(?=^## |^### |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


def test_no_accuracy_without_interval_baseline_and_balance(folder: Path) -> None:
    low, high = score(54)["accuracy_ci95"]
    row = f"| one | 60 | 0.900 [{low:.3f}, {high:.3f}] | 0.167 | 0.900 ["
    assert row in section(folder, "At a glance")


def test_the_papers_table_stands_beside_ours_with_differences(folder: Path) -> None:
    rows = section(folder, "Table 1").strip().splitlines()
    assert rows[0] == "|  |  | paper | first | second |"
    assert rows[2].startswith("| 20 | accuracy | 0.750 | 0.900 [")
    assert rows[2].endswith("(+0.150) | - |")
    assert rows[3] == "| 20 | seconds | 66.0 | 10.0 (-56.0) | - |"


def test_a_contrast_tells_the_difference(folder: Path) -> None:
    assert "| -0.400 | 0.500 | 0.167 |" in section(folder, "Sides")
    assert "](figures/contrast-1.png)" in section(folder, "Sides")


def test_what_is_on_both_sides_is_counted(folder: Path) -> None:
    line = "| one | 480 | 60 | 60 | 45 (75%) | 3, 2 | 1 of 20 | - |"
    assert line in section(folder, "What is on both sides")


def test_everything_that_has_to_be_said_is_said(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    for words in (
        "A & B <1999>",
        "- Beware.",
        "As **they** did.",
        "- few pictures: few there are.",
        "**three failed** and has no figures here: no disk",
        "226,118 parameters",
        "split as published",
        "| machine | abacus, 1 cores, Linux |",
    ):
        assert words in text, words
    per_class = section(folder, "two")
    assert per_class.count("| 10 |") == 6


def test_the_page_is_one_file_with_everything_inside(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    figures = sorted((folder / "figures").glob("*.png"))
    assert len(figures) == page.count('src="data:image/png;base64,') == 7
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<title>paper1999: the paper" in page
    assert "A &amp; B &lt;1999&gt;" in page
    assert "<strong>they</strong>" in page
    assert page.count("<table>") == 8
    assert sum(path.stat().st_size for path in figures) < 200_000


def test_a_cell_cannot_break_its_table() -> None:
    made = report.table(("a", "b"), [("x|y", "1\n2")])
    assert made.splitlines() == ["| a | b |", "| --- | ---: |", "| x\\|y | 1 2 |"]


def test_json_holds_every_figure(folder: Path) -> None:
    content = json.loads((folder / "report.json").read_text())
    assert content["quick"] is None
    assert content["failures"] == {"three": "no disk"}
    assert content["runs"][0]["test"]["confusion"]["labels"] == list(LABELS.labels)


def test_one_person_tested_has_no_interval(tmp_path: Path) -> None:
    one = result("one", 54, tmp_path)
    one["test"] = copy.deepcopy(one["test"]) | {
        "accuracy_ci95": None,
        "balanced_accuracy_ci95": None,
    }
    contrast = Contrast("Sides", "", ("a", "b"), (ContrastRow("x", ("one", "one")),))
    plan = Reproduction("p", PAPER, (Experiment("one", "", "t"),), (RECIPE,), (), (contrast,), ())
    report.write(plan, [one], {}, tmp_path)
    assert "| one | 60 | 0.900 | 0.167 | 0.900 |" in section(tmp_path, "At a glance")
