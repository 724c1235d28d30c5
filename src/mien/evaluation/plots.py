"""Figures for reports: confusion matrices, reliability, learning curves, a paper's beside ours.

Every function takes what ``mien evaluate`` or a run's ``log.jsonl`` holds and returns a picture, or
several by name, as the bytes of a PNG or SVG file, the same bytes for the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, ShapeError
from ..expression.baserates import DEFAULT_STRENGTH
from ..face import ImageArray
from ..media.chart import FAINT, INK, blank, encoded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OURS, _THEIRS = "#1f5f99", "#d9822b"
_SERIES = (_OURS, _THEIRS, "#4d4d4d", "#7fb0d9", "#8a5fa8", "#3a9a5b")


def of_evaluation(result: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """File names and figures of what a model scored: two for each base-rate setting.

    The confusion matrix, and how far probabilities can be believed.
    """
    for part in result["results"]:
        name = Path(part["base_rates"]["target"]).stem
        yield f"confusion-{name}.png", confusion(part["confusion"])
        yield f"reliability-{name}.png", reliability(part["reliability"])


def of_stress(result: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """File names and figures of a stress test: accuracy, plain and balanced."""
    data = result["data"]
    title = f"{data['name']}, {data['split']}: {data['n']:,} pictures"
    for measure in ("accuracy", "balanced_accuracy"):
        yield f"stress-{measure.replace('_', '-')}.png", stress(result, measure, title=title)


def confusion(matrix: Mapping[str, Any], form: str = "png", title: str = "") -> bytes:
    """A confusion matrix as ``metrics.score`` gives it: counts, and shares of each row as shades.

    matrix : ``labels`` and ``rows_actual``, (K, K) counts, rows what is actual.
    """
    labels, counts = list(matrix["labels"]), np.asarray(matrix["rows_actual"])
    if counts.shape != (len(labels), len(labels)):
        raise ShapeError(f"{len(labels)} labels do not go with a matrix of {counts.shape}")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.7 + 0.62 * len(labels)
    with blank(side, side * 0.92) as (figure, axes):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), count in np.ndenumerate(counts):
            share = shares[row, column]
            ink = "white" if share > 0.55 else INK
            text = f"{count:,}\n{_percent(share)}" if count else "0"
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                color=ink,
                fontsize=7.5,
                linespacing=1.3,
            )
        axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="answered", ylabel="actual", title=title)
        return encoded(figure, form)


def _percent(share: float) -> str:
    return "<1%" if share < 0.005 else f"{share:.0%}"


def reliability(table: Mapping[str, Sequence[Any]], form: str = "png", title: str = "") -> bytes:
    """How often answers of each confidence are right; below, how many there are.

    table : ``metrics.reliability``'s.
    """
    counts = np.asarray(table["count"])
    if not counts.sum():
        raise DataError("no answers: there is no reliability to draw")
    confidence, accuracy = (np.array(table[k], np.float64) for k in ("confidence", "accuracy"))
    centres = (np.arange(len(counts)) + 0.5) / len(counts)
    with blank(4.2, 4.6, rows=(3, 1)) as (figure, (above, below)):
        above.plot([0, 1], [0, 1], "--", color=FAINT, linewidth=1, label="as right as sure")
        above.bar(centres, accuracy, width=0.9 / len(counts), color=_OURS, alpha=0.25)
        above.plot(confidence, accuracy, "o", color=_OURS, markersize=4, clip_on=False)
        above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right", title=title)
        above.legend(loc="upper left")
        below.bar(centres, counts / counts.sum(), width=0.9 / len(counts), color=FAINT)
        below.set(xlim=(0, 1), xlabel="confidence", ylabel="share of answers")
        for axes in (above, below):
            axes.set_xticks(np.linspace(0, 1, 6))
        return encoded(figure, form)


def learning_curves(
    records: Sequence[Mapping[str, Any]], form: str = "png", title: str = ""
) -> bytes:
    """Loss and accuracy of every epoch, from its records as ``runlog.epochs`` gives them.

    The training loss is taken with augmentation and dropout on, the select split's without, so
    the second may well lie below the first.
    """
    epochs = [record["epoch"] + 1 for record in records]
    with blank(7.2, 2.9, columns=2) as (figure, (left, right)):
        _line(left, epochs, [record["loss"] for record in records], "training", _THEIRS)
        if "nll" in records[0]["select"]:
            _line(left, epochs, [r["select"]["nll"] for r in records], "select", _OURS)
        left.set(xlabel="epoch", ylabel="loss")
        if "accuracy" in records[0].get("train", {}):
            _line(right, epochs, [r["train"]["accuracy"] for r in records], "training", _THEIRS)
        for name in ("accuracy", "balanced_accuracy"):
            if name in records[0]["select"]:
                values = [record["select"][name] for record in records]
                style, label = ("-", "select") if name == "accuracy" else (":", "select, balanced")
                _line(right, epochs, values, label, _OURS, style)
        right.set(xlabel="epoch", ylabel="share that is right")
        figure.suptitle(title, fontsize=10)
        for axes in (left, right):
            axes.xaxis.get_major_locator().set_params(integer=True)
            if axes.lines:
                axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, columnspacing=1.2)
        return encoded(figure, form)


def _line(
    axes: Axes,
    epochs: Sequence[int],
    values: Sequence[float],
    label: str,
    color: str,
    style: str = "-",
) -> None:
    marker = "o" if len(epochs) < 15 else ""
    axes.plot(epochs, values, style, marker=marker, markersize=3, color=color, label=label)


def steps(
    panels: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]],
    baseline: Mapping[str, float] | None = None,
    form: str = "png",
    title: str = "",
) -> bytes:
    """Lines over training steps, a panel for each figure of merit, the first line the paper's.

    panels : by figure, by line, (step, figure) pairs. baseline : for a line of the first panel,
        what always answering the most frequent label scores.
    """
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    if not names:
        raise DataError("no figures: there are no steps to draw")
    colors = dict(zip(names, (_THEIRS, *(c for c in _SERIES if c != _THEIRS)), strict=False))
    with blank(3.7 * max(2, len(panels)), 3.3, columns=len(panels)) as (figure, all_):
        for place, (axes, (what, lines)) in enumerate(
            zip(np.ravel(all_), panels.items(), strict=True)
        ):
            for name, line in lines.items():
                _line(axes, [s for s, _ in line], [v for _, v in line], name, colors[name])
                if place == 0 and name in (baseline or {}):
                    level = (baseline or {})[name]
                    axes.axhline(level, color=colors[name], linestyle=":", linewidth=1)
            axes.set(xlabel="steps", ylabel=what, ylim=(-0.02, 1.02))
            axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        figure.suptitle(title, fontsize=10)
        keys = [np.ravel(all_)[0].plot([], color=colors[name], label=name)[0] for name in names]
        figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
        return encoded(figure, form)


def compared(
    names: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    intervals: Mapping[str, Sequence[tuple[float, float] | None]] | None = None,
    ylabel: str = "accuracy",
    form: str = "png",
    title: str = "",
    baseline: float | None = None,
) -> bytes:
    """Bars side by side: a paper's figures beside ours, group by group.

    names : (G,) what the groups are. series : for each kind of bar (the paper; ours) a figure per
    group, None where there is none. intervals : 95 % ones where a series has them. baseline : of
    always answering the most frequent label, as a line across.
    """
    if any(len(values) != len(names) for values in series.values()) or not names:
        raise ShapeError(f"each series has a figure for each of the {len(names)} groups")
    width = 0.8 / len(series)
    colors = [_THEIRS, _OURS, "#7fb0d9", "#4d4d4d", FAINT]
    longest = max(map(len, names))
    with blank(max(4.2, 1.6 + len(names) * max(0.34 * len(series), 0.55)), 3.2) as (figure, axes):
        at, keys = np.arange(len(names)), list[Any]()
        for i, (label, values) in enumerate(series.items()):
            places = at + (i - (len(series) - 1) / 2) * width
            heights = np.array([np.nan if v is None else v for v in values], np.float64)
            color = colors[i % len(colors)]
            keys.append(axes.bar(places, heights, width * 0.92, color=color, label=label))
            _whiskers(axes, places, heights, (intervals or {}).get(label))
        if baseline is not None:
            always = "most frequent label"
            keys.append(axes.axhline(baseline, color=INK, linestyle=":", label=always))
        slanted = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if longest > 8 else {}
        axes.set_xticks(at, names, **slanted)
        axes.set(ylabel=ylabel, ylim=(0, None))
        figure.suptitle(title, fontsize=10)
        wide = 0.6 + 0.075 * max(len(key.get_label()) for key in keys)  # inches of an entry
        columns = max(1, int(figure.get_figwidth() / wide))
        figure.legend(handles=keys, loc="outside lower center", ncols=columns)
        return encoded(figure, form)


def _whiskers(
    axes: Axes,
    places: Any,
    heights: Any,
    intervals: Sequence[tuple[float, float] | None] | None,
) -> None:
    for x, height, interval in zip(places, heights, intervals or (), strict=False):
        if interval is not None and np.isfinite(height):
            low, high = interval
            axes.plot([x, x], [low, high], color=INK, linewidth=1)


def stress(
    result: Mapping[str, Any], measure: str = "accuracy", form: str = "png", title: str = ""
) -> bytes:
    """Curves of a stress test, a small picture per condition, a line per model.

    measure : "accuracy" or "balanced_accuracy", with its 95 % interval as a band. The level that
        leaves pictures as they are is called clean; what is hidden has no order, so no line either.
    """
    conditions, models = result["conditions"], result["results"]
    columns = min(4, len(conditions))
    rows = -(-len(conditions) // columns)
    size = (max(4.2, 0.6 + 2.7 * columns), 0.9 + 2.55 * rows)
    with blank(*size, rows=[1] * rows, columns=columns, shared=False) as (figure, all_):
        places = list(np.ravel(all_))
        for axes, (condition, about) in zip(places, conditions.items(), strict=False):
            for i, curves in enumerate(models.values()):
                aside = (i - (len(models) - 1) / 2) * 0.18
                _stressed(axes, curves[condition], measure, _series(i), aside)
            axes.set(title=condition, xlabel=about["unit"], ylim=(0, 1))
            axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
            if measure == "accuracy":
                axes.axhline(result["majority_baseline"], color=FAINT, linestyle=":")
        for axes in places[len(conditions) :]:
            axes.set_axis_off()
        for axes in places[::columns]:
            axes.set_ylabel(measure.replace("_", " "))
        figure.suptitle(title, fontsize=10)
        keys = [
            places[0].plot([], "o-", markersize=3, color=_series(i), label=model)[0]
            for i, model in enumerate(models)
        ]
        columns = len(models) if columns > 1 else 1
        figure.legend(handles=keys, loc="outside lower center", ncols=columns)
        return encoded(figure, form)


def of_panel(result: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The frontier along the panel's first set, by file name."""
    along = next(iter(result["sets"]))
    yield "frontier.png", frontier(result, along)


def frontier(result: Mapping[str, Any], along: str, form: str = "png", title: str = "") -> bytes:
    """What turning to equal base rates buys on unseen sets, and costs on the set ``along``.

    result : ``mien.evaluation.panel``'s. A line per model over the strengths, its default a full
        dot; a model that does not know its base rates is one dot. Raises DataError without an
        unseen set.
    """
    if not result["unseen_sets"]:
        raise DataError("every set of the panel was seen by one of the models: nothing to draw")
    with blank(6.4, 4.8) as (figure, axes):
        for i, model in enumerate(result["models"]):
            told = model["sets"][along]["by_strength"]
            at = [told[strength]["accuracy"] for strength in model["unseen"]]
            up = list(model["unseen"].values())
            axes.plot(at, up, "o-", markersize=3, color=_series(i), fillstyle="none")
            default = f"{DEFAULT_STRENGTH:g}"
            place = list(model["unseen"]).index(default if default in told else "0")
            axes.plot(at[place], up[place], "o", color=_series(i), label=model["name"])
        axes.set(
            xlabel=f"accuracy on {along}",
            ylabel="balanced accuracy, mean of " + ", ".join(result["unseen_sets"]),
            title=title,
        )
        axes.grid(color=FAINT, alpha=0.25, linewidth=0.6)
        axes.legend(loc="best")
        return encoded(figure, form)


def _series(place: int) -> str:
    return _SERIES[place % len(_SERIES)]


def _stressed(
    axes: Axes, curve: Sequence[Mapping[str, Any]], measure: str, color: str, aside: float
) -> None:
    """One model under one condition; ``aside``: how far points without an order step aside."""
    levels, values = [point["level"] for point in curve], [point[measure] for point in curve]
    low, high = np.transpose([point[f"{measure}_ci95"] for point in curve])
    at = np.arange(len(levels))
    names = ["clean" if level is None else str(level).replace("_", " ") for level in levels]
    if any(isinstance(level, str) for level in levels):
        axes.plot(at + aside, values, "o", markersize=3, color=color)
        axes.vlines(at + aside, low, high, color=color, linewidth=1, alpha=0.6)
        axes.set_xticks(at, names, rotation=40, ha="right", rotation_mode="anchor")
    else:
        axes.plot(at, values, "o-", markersize=3, color=color)
        axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
        axes.set_xticks(at, names)


def grid(
    pictures: Sequence[Sequence[ImageArray]],
    rows: Sequence[str],
    columns: Sequence[str],
    form: str = "png",
    title: str = "",
) -> bytes:
    """Pictures in rows and columns with their names.

    pictures : for each row a picture (H, W, 3) uint8 per column.
    """
    if len(pictures) != len(rows) or any(len(row) != len(columns) for row in pictures):
        raise ShapeError(f"a grid of {len(rows)} x {len(columns)} needs as many pictures")
    size = (0.9 + 1.5 * len(columns), 0.5 + 1.5 * len(rows))
    with blank(*size, rows=[1] * len(rows), columns=len(columns), shared=False) as (figure, all_):
        places = np.reshape(all_, (len(rows), len(columns)))
        for row, name in enumerate(rows):
            for column, head in enumerate(columns):
                axes = places[row, column]
                axes.imshow(pictures[row][column], interpolation="bicubic")
                axes.set(xticks=[], yticks=[], title=head if row == 0 else "")
                axes.spines[:].set_visible(False)
            places[row, 0].set_ylabel(name)
        figure.suptitle(title, fontsize=10)
        return encoded(figure, form)
