"""What a person at a terminal sees: tables on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    track,
)
from rich.table import Table
from rich.text import Text

from .cards import SUBSETS
from .records import Record

_BAR = 10  # cells of a full probability bar


def analysis_table() -> Table:
    """An empty table for ``add_record``."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("picture", overflow="ellipsis", no_wrap=True, min_width=12, ratio=1)
    table.add_column("expression", no_wrap=True)
    table.add_column("probability", no_wrap=True)
    table.add_column("else", overflow="ellipsis", no_wrap=True, style="dim")
    table.add_column("trust", justify="right", no_wrap=True)
    return table


def add_record(table: Table, record: Record) -> None:
    """A row per face; what went wrong, where there is none."""
    name = Path(record["source"]).name
    if not record["faces"]:
        what = "no face" if record["status"] == "no_face" else record["status"]
        style = "red" if record["status"] == "error" else "dim"
        table.add_row(Text(name), Text(what, style))
    for number, face in enumerate(record["faces"]):
        (label, top), (other, second) = sorted(face["emotions"].items(), key=lambda kv: -kv[1])[:2]
        full = round(top * _BAR)
        table.add_row(
            Text(name if number == 0 else ""),
            Text(label + " ?", "yellow") if face["uncertain"] else Text(label, "bold"),
            Text("█" * full, "green") + Text("░" * (_BAR - full), "dim") + Text(f" {top:4.0%}"),
            Text(f"{other} {second:.0%}"),
            f"{face['confidence']:.2f}",
        )


def print_table(table: Table) -> None:
    Console().print(table)


def progress(records: Iterable[Record], total: int) -> Iterator[Record]:
    """The same records, with a bar on stderr where that is a terminal and there are many."""
    console = Console(stderr=True)
    if total < 2 or not console.is_terminal:
        yield from records
        return
    yield from track(records, "analysing", total=total, console=console, transient=True)


def key_values(rows: Sequence[tuple[str, ...]], header: Sequence[str] = ()) -> None:
    """Plain aligned columns on stdout."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=bool(header), header_style="dim")
    for name in header or [""] * len(rows[0]):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


class TrainingBar:
    """A bar per epoch on a terminal; a JSON line per epoch on stderr where there is none."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("train", epoch=0, loss=0.0, total=None)

    def __enter__(self) -> TrainingBar:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self.bar.update(self.task, completed=step + 1, total=steps, epoch=epoch, loss=loss)

    def epoch(self, record: dict[str, Any]) -> None:
        if not self.console.is_terminal:
            print(json.dumps(record), file=sys.stderr, flush=True)
            return
        s = record["select"]
        self.console.print(
            f"epoch {record['epoch']:3d}  loss {record['loss']:.4f}  accuracy {s['accuracy']:.4f}  "
            f"balanced {s['balanced_accuracy']:.4f}  {record['images_per_s']:.0f} pictures/s"
        )


def evaluation(result: dict[str, Any]) -> None:
    """What ``mien evaluate`` found: a line per base-rate setting, then recall per class."""
    data = result["data"]
    print(f"{result['model']['name']} on {data['name']} {data['split']}", file=sys.stderr)
    for label, count in result["left_out"].items():
        print(f"left out: {count} {label}", file=sys.stderr)
    header = (
        "base rates",
        "n",
        "accuracy",
        "95 %",
        "balanced",
        "95 %",
        "macro-F1",
        "ECE",
        "majority",
    )
    rows = []
    for entry in result["results"]:
        name = entry["base_rates"]["target"]
        rows.append(_evaluation_row(name, entry))
        for key, kind in SUBSETS.items():
            if kept := entry.get(key):
                rows.append(_evaluation_row(f"  {kind}", kept))
    key_values(rows, header)
    names = [entry["base_rates"]["target"] for entry in result["results"]]
    classes = [
        (label, *(f"{e['per_class'][label]['recall']:.3f}" for e in result["results"]))
        for label in result["results"][0]["per_class"]
    ]
    key_values(classes, ("recall", *names))


def audit(result: dict[str, Any]) -> None:
    """What ``mien data audit`` found: repeats, then what crosses from split to split."""
    exact, near = result["exact"], result["near"]
    key_values(
        [
            ("rows", f"{result['rows']:,}", f"{result['pictures']:,} distinct pictures"),
            ("exact duplicates", f"{exact['pictures']:,}", f"pictures, in {exact['rows']:,} rows"),
            ("", f"{exact['conflicting']:,}", "of them with labels that contradict each other"),
            ("near duplicates", f"{near['pairs']:,}", f"pairs (correlation {near['threshold']}+)"),
            ("", f"{near['conflicting']:,}", "of them with labels that contradict each other"),
        ]
    )
    if result["across"]:
        rows = [
            (
                a["split"],
                a["other"],
                *(f"{a[k]:,}" for k in ("exact", "near", "either", "subjects")),
            )
            for a in result["across"]
        ]
        key_values(rows, ("rows of", "also in", "exact", "near", "either", "people in both"))


def stats(result: dict[str, Any]) -> None:
    """What ``mien data stats`` found."""
    key_values(_flat({k: v for k, v in result.items() if k != "counts"}))
    counts = result["counts"]
    labels = list(dict.fromkeys(label for split in counts.values() for label in split))
    rows = [(label, *(f"{split.get(label, 0):,}" for split in counts.values())) for label in labels]
    key_values(rows, ("label", *counts))


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested dictionaries as (dotted key, value) rows."""
    rows = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            several = value if isinstance(value, tuple) else (value,)
            text = "  ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in several)
            rows.append((prefix + str(key), text))
    return rows


def _evaluation_row(name: str, r: dict[str, Any]) -> tuple[str, ...]:
    intervals = [
        "-".join(f"{v:.3f}" for v in r[f"{k}_ci95"]) for k in ("accuracy", "balanced_accuracy")
    ]
    head = (name, str(r["n"]), f"{r['accuracy']:.4f}", intervals[0])
    tail = (f"{r[k]:.4f}" for k in ("macro_f1", "ece", "majority_baseline"))
    return (*head, f"{r['balanced_accuracy']:.4f}", intervals[1], *tail)
