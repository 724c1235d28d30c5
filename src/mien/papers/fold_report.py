"""The report of an experiment by folds, one expression against the rest: see ``mien.papers.folds``.

What is said is in ``templates/against_rest.md.j2``. No picture is shown, nor reconstructed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..evaluation import plots
from ..evaluation.metrics import one_against_rest
from ..training.checkpoint import write_whole
from . import report
from .plans import Matrices, Reproduction
from .report import NONE, Result, number, table

MEASURES = ("accuracy", "sensitivity", "specificity", "precision", "npv", "f1")
_HEADS = {"npv": "NPV", "f1": "F1"}
IntArray = npt.NDArray[np.intp]


def write(
    plan: Reproduction,
    results: Sequence[Result],
    failures: Mapping[str, str],
    out: Path,
    cut: Mapping[str, int] | None = None,
    left_out: report.LeftOut = report.NOTHING,
) -> None:
    """As ``report.write``, of results of ``folds.run``, and of networks of a whole label set."""
    (out / report.FIGURES).mkdir(parents=True, exist_ok=True)
    report.write_json(plan, results, failures, out, cut, left_out)
    found = report.by_name(results)
    every, results = results, [result for result in results if "parts" not in result]
    whole = [result for result in every if "parts" in result]
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
        "not_done": report.not_done(plan, every, failures, left_out),
        "published": [
            {"title": p.title, "table": report.published(p, found, left_out)}
            for p in plan.published
        ],
        "not_given": report.not_given(plan, left_out),
        "taken": report.taken(every),
        "lost": report.lost(results),
        "tables": [
            _table(name, group, _papers(plan, group), out)
            for name, group in _by_table(results).items()
        ],
        "matrices": [
            {
                "expression": paper.expression,
                "beside": paper.beside,
                "table": _beside(paper, found.get(paper.beside)),
            }
            for paper in plan.matrices
        ],
        "whole": _whole(plan, whole, out, cut is None) if whole else None,
        "autoencoders": _autoencoders(with_units),
        "error_figure": error_figure if with_units else None,
        "repeats": _repeats(results),
        "deviations": plan.deviations,
        "time": _time(results),
        "runs": [_run(result, "" if cut else report.changed(plan, result)) for result in results],
        "environment": _environment(results, whole),
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
    whole = [result for result in group if list(result["expressions"]) == names]
    series: dict[str, list[float | None]] = {}
    spread: dict[str, list[Spread | None]] = {}
    if papers:
        spread["paper, middle"] = [papers.get(row) for row in names]
        series["paper, middle"] = [sum(papers[row]) / 2 if row in papers else None for row in names]
    for result in whole:
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
        "same": _same_folds(whole, names),
        "narrowed": _same_folds(group, _told_by_some(group, names)),
        "taken_for": [_taken_for(result, names) for result in group if _counted(result)],
    }


def _told_by_some(group: Sequence[Result], names: Sequence[str]) -> list[str]:
    """The expressions that runs of some expressions alone tell."""
    some = [result for result in group if len(result["expressions"]) < len(names)]
    return [row for row in names if any(row in result["expressions"] for result in some)]


def _same_folds(group: Sequence[Result], names: Sequence[str]) -> str:
    """The mean accuracy of each run over the folds that all runs of an expression have, %.

    The last row is the mean over those expressions that every run tells. Empty for a single run.
    """
    if len(group) < 2 or not names:
        return ""
    means = {row: _means(group, row) for row in names}
    rows = [
        (row, str(folds), *(NONE if mean is None else f"{mean:.1f}" for mean in of_runs))
        for row, (folds, of_runs) in means.items()
    ]
    runs = [result["name"] for result in group]
    if len(names) > 1:
        told = list(zip(*(of_runs for _, of_runs in means.values()), strict=True))
        rows.append(("mean", NONE, *(NONE if None in of else f"{np.mean(of):.1f}" for of in told)))
    return table(("expression", "folds", *runs), rows)


def _means(group: Sequence[Result], row: str) -> tuple[int, list[float | None]]:
    """Of one expression, how many folds all runs that tell it share, and each run's mean there."""
    each = [
        {
            fold["fold"]: 100 * one_against_rest(np.array(fold["confusion"]))["accuracy"]
            for fold in result["folds"]
            if fold["expression"] == row
        }
        for result in group
    ]
    shared = set.intersection(*(set(folds) for folds in each if folds))
    means = [float(np.mean([of[fold] for fold in shared])) if of else None for of in each]
    return len(shared), means


def _counted(result: Result) -> bool:
    """Whether it was counted which expressions are taken for another."""
    return all("by_label" in e for e in result["expressions"].values())


def _taken_for(result: Result, names: Sequence[str]) -> dict[str, str]:
    """How often each network says yes, by what a picture shows, %."""
    rows = []
    for row, e in result["expressions"].items():
        counts = [e["by_label"].get(label) for label in names]
        rows.append((row, *(percent(n[1] / n[0]) if n else NONE for n in counts)))
    return {"name": result["name"], "table": table(("said to be", *names), rows)}


def _accuracies(result: Result, row: str) -> str:
    if row not in result["expressions"]:
        return NONE
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


def _run(result: Result, since: str) -> dict[str, Any]:
    """since : what has changed since it was run, see ``report.changed``."""
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
        "setting": setting + report.made(result["environment"]) + since,
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


def _beside(paper: Matrices, result: Result | None) -> str:
    """The six measures of each of a paper's folds, by the rows of its matrices, and ours."""
    own = [f for f in result["folds"] if f["expression"] == paper.expression] if result else []
    ours = {fold["fold"]: np.array(fold["confusion"]) for fold in own}
    theirs = {i: np.reshape(fold, (2, 2)) for i, fold in enumerate(paper.folds)}
    rows = [(f"{i + 1}", *_measured(theirs[i], ours.get(i))) for i in theirs]
    pooled = np.sum([*ours.values()], axis=0) if ours else None
    rows.append(("all", *_measured(np.sum([*theirs.values()], axis=0), pooled)))
    return table(("fold", *(_HEADS.get(m, m) for m in MEASURES)), rows)


def _measured(theirs: IntArray, ours: IntArray | None) -> list[str]:
    paper = one_against_rest(theirs)
    here = one_against_rest(ours) if ours is not None else None
    return [f"{percent(paper[m])} / {percent(here[m]) if here else NONE}" for m in MEASURES]


def _whole(plan: Reproduction, results: Sequence[Result], out: Path, full: bool) -> dict[str, Any]:
    """The networks that tell all expressions, told as other reports tell theirs."""
    runs = [
        report.run_section(result, out, report.changed(plan, result) if full else "")
        for result in results
    ]
    return {
        "summary": report.summary(results),
        "elsewhere": report.elsewhere(results),
        "time": report.times(results),
        "runs": [
            {**run, "taken_for": _confused(result["test"]["confusion"])}
            for run, result in zip(runs, results, strict=True)
        ],
    }


def _confused(matrix: Mapping[str, Any]) -> str:
    """How many of each expression are told right, %, and what the others are most often said to be.

    matrix : as ``metrics.score`` gives it, rows what is actual.
    """
    labels, rows = list(matrix["labels"]), []
    for place, counts in enumerate(np.array(matrix["rows_actual"])):
        if not counts.sum():
            continue
        shares = counts / counts.sum()
        wrong = [other for other in np.argsort(-shares, kind="stable") if other != place][:2]
        told = (f"{labels[other]} {percent(shares[other])}" for other in wrong)
        rows.append((labels[place], f"{counts.sum():,}", percent(shares[place]), *told))
    return table(("shown", "tested", "right", "most often taken for", "next"), rows)


def _environment(results: Sequence[Result], whole: Sequence[Result]) -> str:
    runs = [*results, *(part for result in whole for part in result["parts"])]
    if not runs:
        return NONE
    return report.environment_table(
        [run["environment"] for run in runs],
        {(run["data"]["file"], run["data"]["sha256"]) for run in runs},
    )
