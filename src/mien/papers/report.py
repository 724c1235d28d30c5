"""A paper's experiments as one report: Markdown with its figures beside it, and one HTML file.

What is said is in ``templates/report.md.j2``; the HTML is that Markdown with its figures inside.
No picture of a data set is shown.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..data.only import in_words
from ..errors import MissingExtra
from ..evaluation import plots
from ..training.checkpoint import kept, write_whole
from ..training.models import TRUNK
from ..training.recipes import Evidence, Finding, changes
from . import given
from .plans import Attention, Contrast, Published, Reproduction, Together

NONE = "-"
FIGURES, JSON = "figures", "report.json"
Result = dict[str, Any]
LeftOut = Mapping[str, tuple[str, ...]]
"""The tables that were not given, by the run that needs them."""
NOTHING: LeftOut = {}


def write(
    plan: Reproduction,
    results: Sequence[Result],
    failures: Mapping[str, str],
    out: Path,
    cut: Mapping[str, int] | None = None,
    left_out: LeftOut = NOTHING,
) -> None:
    """Write ``report.json``, ``report.md`` with ``figures/``, and ``report.html`` into ``out``.

    results : what ``reproduce`` found of each experiment; failures : why the others have none.
    cut : what a quick look was cut down to; None for all of it.
    left_out : the tables that further runs would need, by the runs' names.
    """
    (out / FIGURES).mkdir(parents=True, exist_ok=True)
    write_json(plan, results, failures, out, cut, left_out)
    content = _content(plan, results, failures, out, cut, left_out)
    write_text("report.md.j2", content, () if cut else plan.paper.findings, out)


def write_json(
    plan: Reproduction,
    results: Sequence[Result],
    failures: Mapping[str, str],
    out: Path,
    cut: Mapping[str, int] | None,
    left_out: LeftOut,
) -> None:
    """Every figure in full, ``JSON`` in ``out``."""
    content = {
        "paper": plan.name,
        "quick": dict(cut) if cut else None,
        "failures": dict(failures),
        "left_out": {
            **dict.fromkeys(not_done(plan, results, failures, left_out), "it was not run yet"),
            **{run: f"no table of {', '.join(t)} was given" for run, t in left_out.items()},
        },
        "runs": list(results),
    }
    # On one line: indented, each of its many numbers would have a line of its own.
    write_whole((json.dumps(content) + "\n").encode(), out / JSON)


def write_text(
    template: str, content: Mapping[str, Any], findings: Sequence[Finding], out: Path
) -> None:
    """A template filled in: ``report.md`` and ``report.html`` in ``out``.

    Its tables are written first: a finding tells where one of the rows that show it is not there,
    as of a run that failed.
    """
    blank = _template(template)
    rows = rows_under(blank.render(content, findings=[]))
    text = blank.render(content, findings=[_finding(one, rows) for one in findings])
    write_whole(text.encode(), out / "report.md")
    write_whole(page(text, out).encode(), out / "report.html")


def rows_under(text: str) -> dict[str, set[str]]:
    """The first cells of the rows of every table in a report's Markdown, by the heading over it.

    Examples
    --------
    >>> told = rows_under("## A\\n\\n| run | s |\\n| --- | ---: |\\n| a | 1 |\\n| b \\\\| c | 2 |")
    >>> {heading: sorted(rows) for heading, rows in told.items()}
    {'A': ['a', 'b | c']}
    """
    found: dict[str, set[str]] = {}
    heading, inside = "", False
    for line in text.splitlines():
        if named := re.match(r"##+ (.*)", line):
            heading = named[1]
        cells = re.match(r"\|(.*?)(?<!\\)\|", line)
        if cells and inside:
            found.setdefault(heading, set()).add(cells[1].strip().replace("\\|", "|"))
        inside = bool(cells) and (inside or line.startswith("| ---"))
    return found


def _finding(finding: Finding, rows: Mapping[str, set[str]]) -> str:
    """What it says, which rows show it, and what is left to explain."""
    shown = "; ".join(_evidence(one, rows) for one in finding.evidence)
    left = f" **Not explained:** {finding.not_explained}" if finding.not_explained else ""
    return f"{finding.says} *Evidence: {shown}.*{left}"


def _evidence(evidence: Evidence, rows: Mapping[str, set[str]]) -> str:
    if evidence.file:
        return f"`{evidence.file}` ({', '.join(evidence.rows)})"
    there = rows.get(evidence.table, set())
    told = (row if row in there else f"{row}, not in this report" for row in evidence.rows)
    return f"{evidence.table} ({', '.join(told)})"


def page(text: str, folder: Path) -> str:
    """Markdown as one HTML page, the figures it names in ``folder`` inside it."""
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        raise MissingExtra("markdown-it-py", "train", "writing a report") from None
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)

    def embedded(match: re.Match[str]) -> str:
        picture = base64.b64encode((folder / match[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{picture}"'

    body = re.sub(rf'src="({FIGURES}/[^"]+\.png)"', embedded, body)
    title = re.match(r"# (.*)", text)
    return str(_template("page.html.j2").render(body=body, title=title[1] if title else ""))


def _template(name: str) -> Any:
    try:
        import jinja2
    except ImportError:
        raise MissingExtra("jinja2", "train", "writing a report") from None
    # Markdown is no HTML, and page() makes HTML of it that holds nothing but its own tags.
    loader = jinja2.PackageLoader("mien.papers", "templates")
    return jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined).get_template(name)


def _content(
    plan: Reproduction,
    results: Sequence[Result],
    failures: Mapping[str, str],
    out: Path,
    cut: Mapping[str, int] | None,
    left_out: LeftOut,
) -> dict[str, Any]:
    """What the template names."""
    found = by_name(results)
    return {
        "name": plan.name,
        "paper": plan.paper,
        "quick": cut is not None,
        "cut": cut,
        "failures": failures,
        "not_done": not_done(plan, results, failures, left_out),
        "summary": summary(results),
        "attention": [_attention(a, i, out) for i, a in enumerate(plan.attention, 1)],
        "contrasts": [
            _contrast(c, i, found, out)
            for i, c in enumerate(plan.contrasts, 1)
            if any(name in found for row in c.rows for name in row.runs)
        ],
        "elsewhere": elsewhere(results),
        "intensities": _intensities(found),
        "strengths": _strengths(found),
        "seeds": _seeds(results),
        "published": [
            _published(p, i, found, out, left_out) for i, p in enumerate(plan.published, 1)
        ],
        "together": [_together(t, i, plan, found, out) for i, t in enumerate(plan.together, 1)],
        "not_given": not_given(plan, left_out),
        "taken": taken(results),
        "lost": lost(results),
        "audit": _audit(results),
        "deviations": plan.deviations,
        "time": times(results),
        "minutes": f"{minutes(results):,.0f}",
        "runs": [
            run_section(result, out, "" if cut else changed(plan, result)) for result in results
        ],
        "environment": _environment(results),
    }


def not_done(
    plan: Reproduction,
    results: Sequence[Result],
    failures: Mapping[str, str],
    left_out: LeftOut,
) -> list[str]:
    """The runs of a plan that nothing is known of."""
    told = {*(result["name"] for result in results), *failures, *left_out}
    return [run.name for run in plan.runs if run.name not in told]


def made(environment: Result) -> str:
    """When a run was made, and by which commit, as a sentence."""
    return f" Run on {environment['date'][:10]} at commit {(environment['commit'] or NONE)[:7]}."


def changed(plan: Reproduction, result: Result) -> str:
    """What a run's recipe sets otherwise since it was run, as a sentence; empty for nothing."""
    recipe = dict(zip((run.name for run in plan.runs), plan.recipes, strict=True))[result["name"]]
    saved = result["parts"][0]["recipe"] if "parts" in result else result["recipe"]
    found = [one for one in changes(recipe, saved) if not one.startswith("data.subject ")]
    return f" **Since it was run the recipe has changed:** {'; '.join(found)}." if found else ""


def by_name(results: Sequence[Result]) -> dict[str, Result]:
    """Every run's result, and behind each what it came to elsewhere, as "run@table".

    A run tested step by step has its best step on the validation side, too.
    """
    found: dict[str, Result] = {}
    for result in results:
        found[result["name"]] = {**result, **_validation(result)}
        for name, there in result.get("elsewhere", {}).items():
            found[f"{result['name']}@{name}"] = there
    return found


def _validation(result: Result) -> dict[str, dict[str, float]]:
    """The greatest accuracy on the validation side, a mean over trainings, and after which step."""
    if not result.get("steps"):
        return {}
    curves = [[epoch["select"]["accuracy"] for epoch in p["epochs"]] for p in result["parts"]]
    means = [sum(values) / len(values) for values in zip(*curves, strict=True)]
    step = list(result["steps"])[means.index(max(means))]
    return {"validation": {"greatest": max(means), "after": float(step)}}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def number(value: float | None, like: float | None = None) -> str:
    """Three decimals up to 1, one up to 100, none above; a dash for what is not there.

    like : whose decimals to take, for a difference that stands behind it.

    Examples
    --------
    >>> number(0.90754), number(66.04), number(430.2), number(None), number(0.881, like=71.1)
    ('0.908', '66.0', '430', '-', '0.9')
    """
    if value is None or math.isnan(value):
        return NONE
    size = abs(value if like is None else like)
    decimals = 3 if size <= 1 else 1 if size < 100 else 0
    return f"{value:,.{decimals}f}"


def _with_interval(score: Mapping[str, Any], name: str) -> str:
    if score[name] is None:
        return NONE
    interval = score.get(f"{name}_ci95")
    inside = f" [{number(interval[0])}, {number(interval[1])}]" if interval else ""
    return number(score[name]) + inside


def _interval(score: Mapping[str, Any] | None) -> tuple[float, float] | None:
    interval = score and score["accuracy_ci95"]
    return (interval[0], interval[1]) if interval else None


def _difference(ours: float, theirs: float) -> str:
    return ("" if ours < theirs else "+") + number(ours - theirs, like=theirs)


def summary(results: Sequence[Result]) -> str:
    head = (
        "run",
        "tested",
        "accuracy",
        "majority baseline",
        "balanced accuracy",
        "macro F1",
        "ECE",
        "accuracy in training",
    )
    rows = [
        (
            result["name"],
            f"{result['test']['n']:,}",
            _with_interval(result["test"], "accuracy"),
            number(result["test"]["majority_baseline"]),
            _with_interval(result["test"], "balanced_accuracy"),
            number(result["test"]["macro_f1"]),
            number(result["test"]["ece"]),
            number(result["train"]["accuracy"]),
        )
        for result in results
    ]
    return table(head, rows)


def _contrast(
    contrast: Contrast, place: int, found: Mapping[str, Result], out: Path
) -> dict[str, str]:
    """Accuracies side by side, as a table and as bars."""
    rows = []
    bars: dict[str, list[float | None]] = {name: [] for name in contrast.beside}
    intervals: dict[str, list[Any]] = {name: [] for name in contrast.beside}
    baselines = []
    for row in contrast.rows:
        scores = [found[name]["test"] if name in found else None for name in row.runs]
        for name, score in zip(contrast.beside, scores, strict=True):
            bars[name].append(score["accuracy"] if score else None)
            intervals[name].append(_interval(score))
        baselines += [score["majority_baseline"] for score in scores if score]
        cells = [_with_interval(score, "accuracy") if score else NONE for score in scores]
        first, last = scores[0], scores[-1]
        change = _difference(last["accuracy"], first["accuracy"]) if first and last else NONE
        balanced = number(last["balanced_accuracy"]) if last else NONE
        baseline = number(last["majority_baseline"]) if last else NONE
        rows.append((row.name, *cells, change, balanced, baseline))
    last_name = contrast.beside[-1]
    head = (
        "accuracy",
        *contrast.beside,
        "difference",
        f"balanced, {last_name}",
        "majority baseline",
    )
    picture = plots.compared(
        [row.name for row in contrast.rows],
        bars,
        intervals,
        baseline=sum(baselines) / len(baselines) if baselines else None,
    )
    path = f"{FIGURES}/contrast-{place}.png"
    _write_figure(picture, out / path)
    return {
        "title": contrast.title,
        "text": contrast.text,
        "table": table(head, rows),
        "figure": path,
    }


def _published(
    paper: Published, place: int, found: Mapping[str, Result], out: Path, left_out: LeftOut
) -> dict[str, str | None]:
    """A table of the paper's with ours beside it; as lines too where it says so."""
    figure = f"{FIGURES}/steps-{place}.png" if paper.curve else None
    if figure:
        panels = {
            column: _lines(paper, place, found)
            for place, column in enumerate(paper.columns[: paper.curve])
        }
        _write_figure(plots.steps(panels, baseline=_baselines(paper, found)), out / figure)
    return {"title": paper.title, "table": published(paper, found, left_out), "figure": figure}


def _lines(
    paper: Published, column: int, found: Mapping[str, Result]
) -> dict[str, list[tuple[int, float]]]:
    """(row, figure) of the paper and of each of the runs beside it, where there is a figure."""
    path = paper.figures[column]
    lines = {"paper": [(int(row.name), row.values[column]) for row in paper.rows]}
    for place, head in enumerate(paper.beside):
        figures = (_figure_of(found.get(row.runs[place]), path, row.name) for row in paper.rows)
        lines[head] = [
            (int(row.name), figure)
            for row, figure in zip(paper.rows, figures, strict=True)
            if figure is not None
        ]
    return {
        name: kept for name, line in lines.items() if (kept := [p for p in line if p[1] == p[1]])
    }


def _together(
    wanted: Together, place: int, plan: Reproduction, found: Mapping[str, Result], out: Path
) -> dict[str, str]:
    """The paper's lines and ours of several tables in one plot."""
    tables = {table.title: table for table in plan.published}
    lines: dict[str, list[tuple[int, float]]] = {}
    for name, title in zip(wanted.names, wanted.tables, strict=True):
        told = _lines(tables[title], tables[title].columns.index(wanted.column), found)
        for head, who in (("paper", "the paper's"), (wanted.beside, "ours")):
            if head in told:
                lines[f"{name}, {who}"] = told[head]
    path = f"{FIGURES}/together-{place}.png"
    _write_figure(plots.steps({wanted.column: lines}), out / path)
    return {"title": wanted.title, "text": wanted.text, "figure": path}


def _figure_of(result: Result | None, path: str, row: str) -> float | None:
    figure: float | None = look_up(result, path.replace("{row}", row).split("."))
    return figure


def _baselines(paper: Published, found: Mapping[str, Result]) -> dict[str, float]:
    """The majority baseline of the runs beside a paper's table, by their headings."""
    return {
        head: found[run]["test"]["majority_baseline"]
        for head, run in zip(paper.beside, paper.rows[0].runs, strict=True)
        if run in found
    }


def published(paper: Published, found: Mapping[str, Result], left_out: LeftOut) -> str:
    """A table of the paper's with our figures beside it, the differences in parentheses.

    The cell of a run that was left out says which tables it needs.
    """

    def cell(run: str, path: str, row: str, theirs: float) -> str:
        lacking = left_out.get(run.partition("@")[0])
        return (
            f"needs {', '.join(lacking)}" if lacking else _beside(found.get(run), path, row, theirs)
        )

    several = len(paper.columns) > 1
    head = ("", *([""] if several else []), "paper", *paper.beside)
    rows = []
    for row in paper.rows:
        for column, theirs, path in zip(paper.columns, row.values, paper.figures, strict=True):
            cells = [cell(run, path, row.name, theirs) for run in row.runs]
            rows.append((row.name, *([column] if several else []), number(theirs), *cells))
    return table(head, rows)


def _beside(result: Result | None, path: str, row: str, theirs: float) -> str:
    """Our figure, its interval where it has one, and its difference to the paper's."""
    names = path.replace("{row}", row).split(".")
    ours, holder = look_up(result, names), look_up(result, names[:-1])
    if ours is None:
        return NONE
    difference = "" if math.isnan(theirs) else f" ({_difference(ours, theirs)})"
    told = _with_interval(holder, names[-1]) if isinstance(holder, dict) else number(ours)
    return told + difference


def not_given(plan: Reproduction, left_out: LeftOut) -> str:
    """Which tables would fill which cells, and how they are made; empty where none is lacking."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for run, lacking in left_out.items():
        groups.setdefault(lacking, []).append(run)
    rows = []
    for lacking, runs in groups.items():
        cells = dict.fromkeys(cell for run in runs for cell in given.fills(plan, run))
        ways = "; ".join(f"`{given.how_to_make(n, Path(f'{n}.parquet'))}`" for n in lacking)
        rows.append((" + ".join(lacking), ways, ", ".join(runs), "; ".join(cells) or NONE))
    return table(("table", "made by", "for the runs", "fills"), rows) if rows else ""


def taken(results: Sequence[Result]) -> str:
    """Of each table, how many rows a run has for its own, and why not the others."""
    rows: dict[tuple[str, ...], None] = {}
    for result in (result for result in results if "taken" in result):
        of = result["taken"]
        why = f" (all but {in_words(of['only'])})" if of["only"] else ""
        others = ", ".join(f"{n:,} {label}" for label, n in of["other_labels"].items())
        counts = (
            f"{of['rows']:,}",
            f"{of['not_chosen']:,}{why}",
            others or "0",
            f"{of['taken']:,}",
        )
        rows[(result["table"], *counts)] = None
    head = ("table", "rows", "not chosen", "of other expressions", "taken")
    return table(head, rows) if rows else ""


def look_up(result: Result | None, names: Sequence[str]) -> Any:
    """What lies under a path of keys, or of places in a list; None where it ends early."""
    found: Any = result
    for name in names:
        if isinstance(found, list):
            found = found[int(name)] if int(name) < len(found) else None
        else:
            found = found.get(name) if isinstance(found, dict) else None
    return found


def attention_file(number: int) -> str:
    """Where the figures behind a reproduction's mean maps lie, from its folder."""
    return f"attention-{number}.json"


def attention_figure(number: int) -> str:
    return f"{FIGURES}/attention-{number}.png"


def _attention(wanted: Attention, number: int, out: Path) -> dict[str, str]:
    """Mean maps, and which share of their heat lies where; without a table where they failed."""
    path = out / attention_file(number)
    told = kept(path) if path.exists() else {}
    rows = []
    for label, of_label in told.get("expressions", {}).items():
        for condition, shares in of_label["shares"].items():
            cells = [
                f"{share:.0%} ({share / of_label['areas'][part]:.1f})"
                for part, share in shares.items()
            ]
            rows.append((label, condition, f"{of_label['faces']:,}", *cells))
    parts = list(next(iter(of_label["shares"].values()))) if rows else []
    return {
        "title": wanted.title,
        "text": wanted.text,
        "table": table(("expression", "hidden", "faces", *parts), rows) if rows else "",
        "figure": attention_figure(number),
    }


def elsewhere(results: Sequence[Result]) -> str:
    """Accuracies on tables that nothing was trained on; empty where none is tested."""
    rows = [
        (
            result["name"],
            name,
            f"{score['n']:,}",
            _with_interval(score, "accuracy"),
            number(score["majority_baseline"]),
            _with_interval(score, "balanced_accuracy"),
            number(score["macro_f1"]),
        )
        for result in results
        for name, there in result.get("elsewhere", {}).items()
        for score in (there["test"],)
    ]
    head = ("run", "tested on", "pictures", "accuracy", "majority baseline")
    return table((*head, "balanced accuracy", "macro F1"), rows) if rows else ""


def _graded(found: Mapping[str, Result]) -> dict[str, Result]:
    """What was said of intensities, by run, where people had graded the pictures tested."""
    scores = {name: result["test"].get("intensity") for name, result in found.items()}
    return {name: score for name, score in scores.items() if score}


def _intensities(found: Mapping[str, Result]) -> str:
    """How near intensities are to what people said; empty where nobody graded anything."""
    rows = [
        (
            name,
            f"{score['n']:,} x {len(score['per_label'])}",
            *(_with_interval(score["overall"], figure) for figure in ("rmse", "pcc", "ccc")),
            number(score["overall"]["rmse_of_mean"]),
        )
        for name, score in _graded(found).items()
    ]
    head = ("run", "tested", "RMSE", "correlation", "concordance", "RMSE of the mean")
    return table(head, rows) if rows else ""


def _strengths(found: Mapping[str, Result]) -> str:
    """Of each expression, how its intensities go with what people said."""
    scores = _graded(found)
    labels = list(dict.fromkeys(label for s in scores.values() for label in s["per_label"]))
    rows = []
    for name, score in scores.items():
        told = [score["per_label"].get(label) for label in labels]
        rows.append((name, *(_with_interval(one, "pcc") if one else NONE for one in told)))
    return table(("correlation", *labels), rows) if rows else ""


def _seeds(results: Sequence[Result]) -> str:
    """How far the seed of split and training moves the accuracy; empty where none is repeated."""
    rows = []
    for result in (result for result in results if result.get("repeats", 1) > 1):
        for name, tested in by_name([result]).items():
            spread = tested["over_folds"]
            figures = (spread[how]["accuracy"] for how in ("mean", "sd", "min", "max"))
            rows.append((name, str(result["repeats"]), *map(number, figures)))
    head = ("accuracy", "seeds", "mean", "standard deviation", "least", "greatest")
    return table(head, rows) if rows else ""


def lost(results: Sequence[Result]) -> str:
    """What the cutting left out, once for each table and way; empty where nothing was cut."""
    rows: dict[tuple[str, ...], None] = {}
    for name, counted in _cuttings(results):
        for label, came in counted["given"].items():
            cut = counted["cut"].get(label, 0)
            share = f"{(came - cut) / came:.1%}"
            counts = (f"{came:,}", f"{cut:,}", f"{came - cut:,}", share)
            rows[(f"{name}, by {counted['by']}, {label}", *counts)] = None
    head = ("table", "pictures", "cut", "dropped", "share dropped")
    return table(head, rows) if rows else ""


def _cuttings(results: Sequence[Result]) -> Iterator[tuple[str, Result]]:
    """The tables that were cut, and what was counted then."""
    for result in results:
        tables = {result["table"]: result.get("parts", [result])[0], **result.get("elsewhere", {})}
        yield from ((name, part["lost"]) for name, part in tables.items() if part.get("lost"))


def _audit(results: Sequence[Result]) -> str:
    """Of each run: how many rows each side has, and what the test side shares with training."""
    head = (
        "run",
        "train",
        "select",
        "test",
        "test pictures with a copy trained on",
        "people tested, of them trained on",
        "same pixels",
        "nearly the same",
    )
    rows = []
    for result in results:
        for part in _audited(result):
            audit, sides = part["audit"], part["sides"]
            several = len(result["parts"]) > 1 and part["fold"] is not None
            people = f"{audit['people']}, {audit['people_trained_on']}" if audit["people"] else NONE
            rows.append(
                (
                    result["name"] + (f", fold {part['fold'] + 1}" if several else ""),
                    *(f"{sides[side]:,}" for side in ("train", "select", "test")),
                    f"{audit['copies']:,} ({audit['copies'] / max(1, audit['test_rows']):.0%})",
                    people,
                    _count(audit, "same_pixels"),
                    _count(audit, "nearly_same"),
                )
            )
    return table(head, rows)


def _audited(result: Result) -> list[Result]:
    """The parts with an audit; where people are trained one by one, the sums of all of them."""
    parts = [part for part in result["parts"] if part["audit"]]
    if not (parts and result.get("people")):
        return parts
    sums = {
        name: {key: _sum([part[name].get(key) for part in parts]) for key in parts[0][name]}
        for name in ("audit", "sides")
    }
    return [{**sums, "fold": None}]


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _count(audit: Mapping[str, Any], key: str) -> str:
    if audit.get(key) is None:
        return NONE
    return f"{audit[key]:,} of {audit['pictures']:,}"


def times(results: Sequence[Result]) -> str:
    head = ["run", "parameters", "pictures a second", "seconds an epoch", "epochs"]
    paper = any(result["paper_epoch_s"] for result in results)
    if paper:
        head.append("seconds for an epoch of the paper's")
    rows = []
    for result in results:
        part = result["parts"][0]
        row = [
            result["name"],
            f"{part['network']['parameters']:,}",
            f"{result['images_per_s']:,.0f}",
            number(result["seconds_per_epoch"]),
            str(len(part["epochs"])),
        ]
        rows.append([*row, number(result["paper_epoch_s"])] if paper else row)
    return table(head, rows)


def minutes(results: Sequence[Result]) -> float:
    """Of every epoch of all runs, and of what frozen parts make of pictures."""
    seconds = 0.0
    for part in (part for result in results for part in result["parts"]):
        seconds += sum(epoch["seconds"] for epoch in part["epochs"])
        seconds += part["environment"].get("features", {}).get("seconds", 0.0)
    return seconds / 60


def run_section(result: Result, out: Path, since: str = "") -> dict[str, Any]:
    """One run's section: its setting, figures, and numbers per class and fold.

    since : what has changed since it was run, see ``changed``.
    """
    name, part = result["name"], result["parts"][0]
    curves, confusion, reliability = (
        f"{FIGURES}/{name}-{what}.png" for what in ("curves", "confusion", "reliability")
    )
    _write_figure(plots.learning_curves(part["epochs"]), out / curves)
    _write_figure(plots.confusion(result["test"]["confusion"]), out / confusion)
    _write_figure(plots.reliability(result["test"]["reliability"]), out / reliability)
    return {
        "name": name,
        "what": result["what"],
        "setting": _setting(result) + made(part["environment"]) + since,
        "curves": curves,
        "confusion": confusion,
        "reliability": reliability,
        "classes": _classes(result["test"]),
        "folds": _folds(result) if len(result["parts"]) > 1 else "",
        "tables": _tables_everywhere(result)
        + [
            {"title": extra["title"], "table": table(extra["columns"], extra["rows"])}
            for extra in result.get("tables", ())
        ],
    }


def _write_figure(png: bytes, path: Path) -> None:
    """Keep a PNG in 64 colours: to the eye the same in a third of the bytes; a page holds many."""
    small = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(64).save(small, "PNG", optimize=True)
    write_whole(small.getvalue(), path)


def _setting(result: Result) -> str:
    part = result["parts"][0]
    network, train, split = (
        part["network"],
        part["recipe"]["train"],
        part["recipe"].get("split"),
    )
    dealt = f"split by {split['by']}, seed {split['seed']}" if split else "split as published"
    copies = part["recipe"].get("copies")
    made = f"{copies['count']} copies of each picture, made before the split; " if copies else ""
    pixels = ""
    if "std" in network:
        mean, deviation = (", ".join(f"{v:.1f}" for v in network[key]) for key in ("mean", "std"))
        pixels = f" Pixels trained on: mean {mean}, deviation {deviation} gray levels a channel."
    repeats, model = result.get("repeats", 1), part["recipe"]["model"]
    first = "seed" if repeats > 1 else "fold"
    curves = f" The curves are of the first {first}." if len(result["parts"]) > 1 else ""
    seeds = f"seeds {train['seed']} to {train['seed'] + repeats - 1}" if repeats > 1 else ""
    origin = f", begun with {model['pretrained']}" if model.get("pretrained") else ""
    if model.get("enlarge"):
        origin += f", pictures enlarged to {model['enlarge']}"
    if model.get("frozen"):
        whole = model["frozen"] in (True, TRUNK)  # true before parts had names
        above = "" if whole else f" and what follows {model['frozen']}"
        origin += f", only the last layer{above} trained, {network['trained']:,} of them"
        made_by = part["environment"].get("features", {"computed": 0})
        if made_by["computed"]:
            speed = made_by["computed"] / made_by["seconds"]
            origin += f" (its features were computed at {speed:,.0f} pictures a second)"
    front = part["recipe"].get("autoencoder")
    if front:
        width = part["recipe"]["cnn"]["width"]
        origin += f", of {front['hidden'] or 'no'} hidden units and a CNN of width {width}"
    alone = f"{result['people']} people, each alone; " if result.get("people") else ""
    cutting = part["recipe"].get("cut")
    made = (f"{model['align']} cut by {cutting['by']}; " if cutting else "") + made
    steps = f" of {train['epoch_steps']} steps" if train.get("epoch_steps") else ""
    constant = ", constant" if train.get("schedule") == "constant" else ""
    occluded = part["recipe"].get("occlude")
    hidden = f"{occluded['what']} occluded by {occluded['by']}; " if occluded else ""
    return (
        f"`{network['name']}` on {network['size']} x {network['size']} {network['color']}, "
        f"{network['parameters']:,} parameters{origin}; {alone}{made}{dealt}; {hidden}"
        f"{train['epochs']} epochs{steps} in batches of {train['batch']}, "
        f"{train['optimizer']} at {train['lr']:g}{constant}, "
        f"{seeds or 'seed ' + str(train['seed'])}, "
        f"{part['environment'].get('precision', '')}.{pixels}{curves}"
    )


_MEASURES = ("precision", "recall", "specificity", "npv", "f1", "support")


def _classes(score: Mapping[str, Any]) -> str:
    per_class = score["per_class"]
    shown = [m for m in _MEASURES if all(m in figures for figures in per_class.values())]
    rows = [
        (
            label,
            *(f"{figures[m]:,.0f}" if m == "support" else number(figures[m]) for m in shown),
        )
        for label, figures in per_class.items()
    ]
    names = {"npv": "NPV", "f1": "F1", "support": "tested"}
    return table(("expression", *(names.get(m, m) for m in shown)), rows)


def _tables_everywhere(result: Result) -> list[dict[str, str]]:
    tables = _steps(result, "the test side")
    for name, there in result.get("elsewhere", {}).items():
        tables += _steps(there, name)
        if not there.get("steps"):
            tables.append(_matrix(there["test"]["confusion"], name))
    return tables


def _matrix(confusion: Mapping[str, Any], where: str) -> dict[str, str]:
    """What was answered to each expression on another data set, in pictures."""
    labels = confusion["labels"]
    rows = [
        (label, *map(str, counts))
        for label, counts in zip(labels, confusion["rows_actual"], strict=True)
    ]
    title = f"Confusion matrix on {where}, a row for each expression shown:"
    return {"title": title, "table": table(("shown", *(f"as {label}" for label in labels)), rows)}


def _steps(result: Result, where: str) -> list[dict[str, str]]:
    """A run tested step by step: every step's figures, over all of its trainings together."""
    if not result.get("steps"):
        return []
    first = next(iter(result["steps"].values()))
    labels = list(first["per_class"])
    rows = [
        (
            step,
            _with_interval(score, "accuracy"),
            number(score["majority_baseline"]),
            number(score["balanced_accuracy"]),
            *(number(score["per_class"][label]["f1"]) for label in labels),
        )
        for step, score in result["steps"].items()
    ]
    head = ("steps", "accuracy", "majority baseline", "balanced accuracy")
    columns = (*head, *(f"F1 of {label}" for label in labels))
    return [{"title": f"Step by step, on {where}:", "table": table(columns, rows)}]


def _folds(result: Result) -> str:
    """Each fold, seed or person on its own: how far a lucky one could have misled."""
    rows = [
        (
            _part_name(result, place, part),
            f"{part['test']['n']:,}",
            number(part["test"]["accuracy"]),
            number(part["test"]["balanced_accuracy"]),
            number(part["test"]["macro_f1"]),
        )
        for place, part in enumerate(result["parts"])
    ]
    return table(("", "tested", "accuracy", "balanced accuracy", "macro F1"), rows)


def _part_name(result: Result, place: int, part: Result) -> str:
    if part["fold"] is None and not result.get("people"):
        return f"seed {part['seed']}"
    fold = "" if part["fold"] is None else f"fold {part['fold'] + 1}"
    if not result.get("people"):
        return fold
    person = f"person {place // max(1, result['folds']) + 1}"
    return f"{person}, {fold}" if fold else person


def _environment(results: Sequence[Result]) -> str:
    if not results:
        return NONE
    parts = [part for result in results for part in result["parts"]]
    data = {(part["data"]["file"], part["data"]["sha256"]) for part in parts}
    return environment_table([part["environment"] for part in parts], data)


def environment_table(environments: Sequence[Result], data: Iterable[tuple[str, str]]) -> str:
    """When, on what and on which tables (file, sha256) it was run; the first one's machine."""
    dates = sorted(environment["date"] for environment in environments)
    environment, machine = environments[0], environments[0]["machine"]
    rows = [
        ("trained", " to ".join(dict.fromkeys((dates[0], dates[-1])))),
        ("commit", ", ".join(dict.fromkeys(e["commit"] or NONE for e in environments))),
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"),
        ("device, threads", f"{environment['device']}, {environment['threads']}"),
        ("versions", ", ".join(f"{k} {v}" for k, v in environment["versions"].items())),
    ]
    rows += [(f"`{file}`", f"sha256 {sha256}") for file, sha256 in sorted(data)]
    return table(("", ""), rows)
