"""The committed reports are whole: every run of their recipe, no quick look, nothing private."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mien.papers import plans
from mien.papers.report import rows_under
from mien.training import recipes

ROOT = Path(__file__).parents[2] / "docs" / "reproductions"
REPORTS = sorted(path.parent for path in ROOT.glob("*/report.json"))


@pytest.mark.parametrize("folder", REPORTS, ids=lambda p: p.name)
def test_every_run_is_reported(folder: Path) -> None:
    content = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    plan = plans.read(recipes.find(folder.name))
    assert content["quick"] is None
    assert content["failures"] == {}
    done = [run["name"] for run in content["runs"]]
    left_out = content.get("left_out", {})  # reports of before there was one had all runs
    wanted = [run for run in plan.runs if not run.own and run.name not in left_out]
    assert [name for name in done if name not in left_out] == done
    assert {run.name for run in wanted} <= {*done}
    assert done == [run.name for run in plan.runs if run.name in done]


@pytest.mark.parametrize("folder", REPORTS, ids=lambda p: p.name)
def test_it_says_where_it_differs_and_shows_its_figures(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    for deviation in plans.read(recipes.find(folder.name)).deviations:
        assert " ".join(deviation.what.split()) in text
    figures = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert figures
    assert {f"figures/{p.name}" for p in (folder / "figures").iterdir()} == set(figures)


@pytest.mark.parametrize("folder", REPORTS, ids=lambda p: p.name)
def test_every_finding_names_rows_that_are_there(folder: Path) -> None:
    rows = rows_under((folder / "report.md").read_text(encoding="utf-8"))
    for finding in plans.read(recipes.find(folder.name)).paper.findings:
        for evidence in finding.evidence:
            if evidence.file:
                held = json.loads((ROOT.parents[1] / evidence.file).read_text(encoding="utf-8"))
                for key in evidence.rows:
                    assert there(held, key.split(".")), (finding.says, evidence.file, key)
            else:
                assert {*evidence.rows} <= rows.get(evidence.table, set()), (finding.says, evidence)


def there(held: Any, keys: list[str]) -> bool:
    """Whether a result file has something under a key with dots."""
    for key in keys:
        if isinstance(held, list) and key.isdecimal() and int(key) < len(held):
            held = held[int(key)]
        elif isinstance(held, dict) and key in held:
            held = held[key]
        else:
            return False
    return True


@pytest.mark.parametrize("folder", REPORTS, ids=lambda p: p.name)
def test_it_names_no_place_on_anybodys_machine(folder: Path) -> None:
    for name in ("report.json", "report.md"):
        assert not re.search(r"/(home|tmp|work|root|Users)/", (folder / name).read_text("utf-8"))
