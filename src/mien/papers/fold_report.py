"""The report of an experiment by folds, one expression against the rest: see ``mien.papers.folds``.

What is said is in ``templates/against_rest.md.j2``. No picture is shown, nor reconstructed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation import plots
from ..evaluation.metrics import one_against_rest
from ..training.checkpoint import write_whole
from . import report
from .plans import Reproduction
from .report import NONE, Result, number, table

MEASURES = ("accuracy", "sensitivity", "specificity", "precision", "npv", "f1")
_HEADS = {"npv": "NPV", "f1": "F1"}


def write(
    plan: Reproduction,
    results: Sequence[Result],
    failures: Mapping[str, str],
    out: Path,
    cut: Mapping[str, int] | None = None,
    left_out: report.LeftOut = report.NOTHING,
) -> None:
    """As ``report.write``, of results of ``folds.run``."""
    (out / report.FIGURES).mkdir(parents=True, exist_ok=True)
    report.write_json(plan, results, failures, out, cut, left_out)
    found = {result["name"]: result for result in results}
    with_units = [result for result in results if result["autoencoders"]]
    error_figure = f"{report.FIGURES}/reconstruction.png"
    if with_units:
        write_whole(_error_figure(with_units), out / error_figure)
    content = {
        "name": plan.name,
        "paper": plan.paper,
        "quick": cut is not None,
        "cut": cut,
        "failures": failures,
        "published": [
            {"title": p.title, "table": report.published(p, found, left_out)}
            for p in plan.published
        ],
        "not_given": report.not_given(plan, left_out),
        "taken": report.taken(results),
        "lost": report.lost(results),
        "tables": [
            _table(name, group, _papers(plan, group), out)
            for name, group in _by_table(results).items()
        ],
        "autoencoders": _autoencoders(with_units),
        "error_figure": error_figure if with_units else None,
        "repeats": _repeats(results),
        "deviations": plan.deviations,
        "time": _time(results),
        "runs": [_run(result) for result in results],
        "environment": _environment(results),
    }
    report.write_text("against_rest.md.j2", content, () if cut else plan.paper.findings, out)


def _by_table(results: Sequence[Result]) -> dict[str, list[Result]]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result["table"], []).append(result)
    return groups


Spread = tuple[float, float]


def _papers(plan: Reproduction, group: Sequence[Result]) -> dict[str, Spread]:
    """The paper's least and greatest accuracy of each expression that a run is put beside."""
    runs = {result["name"] for result in group}
    rows = [row for published in plan.published for row in published.rows if runs & {*row.runs}]
    return {row.name: (row.values[0], row.values[-1]) for row in rows}


def _table(
    name: str, group: Sequence[Result], papers: Mapping[str, Spread], out: Path
) -> dict[str, Any]:
    """The runs on one table side by side, expression by expression, as a table and as bars."""
    names = list(group[0]["expressions"])
    rows = [(row, *(_accuracies(result, row) for result in group)) for row in names]
    series: dict[str, list[float | None]] = {}
    spread: dict[str, list[Spread | None]] = {}
    if papers:
        spread["paper, middle"] = [papers.get(row) for row in names]
        series["paper, middle"] = [sum(papers[row]) / 2 if row in papers else None for row in names]
    for result in group:
        own = [result["expressions"][row] for row in names]
        series[result["name"]] = [e["mean"] for e in own]
        spread[result["name"]] = [(e["min"], e["max"]) for e in own]
    picture = plots.compared(
        names, series, spread, ylabel="accuracy, %: mean, least, greatest", baseline=50.0
    )
    path = f"{report.FIGURES}/{name}-accuracy.png"
    write_whole(picture, out / path)
    people = group[0]["described"]["subjects"]
    counts = ", ".join(f"{n:,} {label}" for label, n in group[0]["described"]["rows"].items())
    whom = f", {people:,} people" if people else ", people unknown"
    return {
        "name": name,
        "title": f"One against the rest on {name}",
        "what": f"{sum(group[0]['described']['rows'].values()):,} pictures{whom}: {counts}.",
        "summary": table(("expression", *(result["name"] for result in group)), rows),
        "over": "people" if people else "pictures",
        "figure": path,
    }


def _accuracies(result: Result, row: str) -> str:
    e = result["expressions"][row]
    low, high = (percent(value) for value in e["accuracy_ci95"])
    spread = f"{e['mean']:.1f} ({e['min']:.1f} to {e['max']:.1f})"
    return f"{spread}; {percent(e['accuracy'])} [{low}, {high}]"


def percent(share: float) -> str:
    """A share in percent, one decimal.

    Examples
    --------
    >>> percent(0.92857)
    '92.9'
    """
    return f"{100 * share:.1f}"


_ERRORS = {"pre-trained": "rmse_pretrained", "fine-tuned": "rmse_finetuned", "test": "rmse_test"}


def _errors(result: Result) -> list[float]:
    return [float(np.mean([a[key] for a in result["autoencoders"]])) for key in _ERRORS.values()]


def _error_figure(results: Sequence[Result]) -> bytes:
    columns = zip(*(_errors(result) for result in results), strict=True)
    series = {name: list(values) for name, values in zip(_ERRORS, columns, strict=True)}
    names = [f"{r['name']} ({r['autoencoders'][0]['hidden']})" for r in results]
    return plots.compared(names, series, ylabel="RMSE, gray levels")


def _autoencoders(results: Sequence[Result]) -> str:
    rows = [
        (
            result["name"],
            str(result["autoencoders"][0]["hidden"]),
            str(len(result["autoencoders"])),
            f"{result['autoencoders'][0]['rows']:,}",
            *(number(error) for error in _errors(result)),
        )
        for result in results
    ]
    return table(("run", "hidden units", "folds", "trained on", *_ERRORS), rows)


def _repeats(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        for name, e in result["expressions"].items():
            found = e["repeats"]
            rows.append(
                (
                    f"{result['name']}, {name}",
                    f"{sum(e['test_rows']):,}",
                    str(found["exact"]),
                    str(found["near"]),
                    str(found["of_people_in_training"])
                    if result["described"]["subjects"]
                    else NONE,
                    percent(e["accuracy"]),
                    percent(e["accuracy_without_repeats"]),
                )
            )
    return table(
        (
            "run, expression",
            "tested",
            "same pixels",
            "nearly the same",
            "of people trained on",
            "accuracy, %",
            "without repeats, %",
        ),
        rows,
    )


def _time(results: Sequence[Result]) -> str:
    rows = [
        (
            result["name"],
            f"{result['parameters']:,}",
            str(len(result["folds"])),
            _mean_seconds(result["folds"]),
            _mean_seconds(result["autoencoders"]),
            number(sum(part["seconds"] for part in result["folds"] + result["autoencoders"]) / 60),
        )
        for result in results
    ]
    return table(
        (
            "run",
            "parameters of a CNN",
            "CNNs",
            "seconds each",
            "seconds an autoencoder",
            "minutes in all",
        ),
        rows,
    )


def _mean_seconds(parts: Sequence[Result]) -> str:
    return number(float(np.mean([part["seconds"] for part in parts]))) if parts else NONE


def _run(result: Result) -> dict[str, Any]:
    recipe = result["recipe"]
    folds, train = recipe["folds"], recipe["train"]
    hidden = recipe["autoencoder"]["hidden"]
    setting = (
        f"{hidden or 'No'} hidden units; a CNN of width {recipe['cnn']['width']} "
        f"({result['parameters']:,} parameters); {folds['run']} of {folds['count']} folds, dealt "
        f"{folds['by']}, seed {folds['seed']}; {train['epochs']} epochs in batches of "
        f"{train['batch']}, {train['optimizer']} at {train['lr']:g}."
    )
    names = list(result["expressions"])
    return {
        "name": result["name"],
        "what": result["what"],
        "setting": setting,
        "folds": [{"expression": name, "table": fold_table(result, name)} for name in names],
    }


def fold_table(result: Result, expression: str) -> str:
    """The paper's layout: a matrix and six measures for each fold, the matrix on one line."""
    matrices = [
        (f"{fold['fold'] + 1}", fold["confusion"])
        for fold in result["folds"]
        if fold["expression"] == expression
    ]
    matrices.append(("all", result["expressions"][expression]["confusion"]))
    rows = []
    for name, matrix in matrices:
        values = one_against_rest(np.array(matrix))
        counts = [str(count) for line in matrix for count in line]
        rows.append((name, *counts, *(percent(values[m]) for m in MEASURES)))
    return table(("fold", "TP", "FN", "FP", "TN", *(_HEADS.get(m, m) for m in MEASURES)), rows)


def _environment(results: Sequence[Result]) -> str:
    if not results:
        return NONE
    return report.environment_table(
        [result["environment"] for result in results],
        {(result["data"]["file"], result["data"]["sha256"]) for result in results},
    )
