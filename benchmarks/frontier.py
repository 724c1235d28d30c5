"""Accuracy against time and against size: the shipped models, what they replaced, and their peers.

Accuracies are those of a panel that was asked before; time is processor time of one look at a face
on one thread, models taking turns, as a ratio to the first default model's.

    python benchmarks/frontier.py benchmarks/results/panel.json ferplus.parquet

Peers and the first default model are looked for on ``MIEN_MODELS`` (WEIGHTS:benchmarks/training).
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mien import provenance
from mien.data import table
from mien.evaluation.panel import by_default
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.media.chart import FAINT, INK, blank, encoded
from mien.media.preprocess import batch
from mien.weights import catalogue

FIRST = "resnet10-ferplus"
LOOKS = 300


def main(
    panel: Path,
    ferplus: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/frontier.json"),
    plot: Annotated[Path, typer.Option()] = Path("docs/images/frontier.png"),
) -> None:
    told = {
        m["name"]: m
        for m in json.loads(panel.read_text())["models"]
        if m["name"] in catalogue.CATALOGUE
    }
    models = {name: load_model(name, threads=1) for name in told}
    faces = table.read(ferplus).of_split("PublicTest")
    crops = faces.keep(i < LOOKS for i in range(len(faces)))
    seconds = _turns(models, crops)
    result: dict[str, Any] = {
        **provenance.environment(),
        "looks": LOOKS,
        "models": {
            name: {
                "time_of_first": round(seconds[name] / seconds[FIRST], 3),
                "bytes": _bytes(name),
                "sets": {
                    one: {s: figures["accuracy"] for s, figures in of["by_strength"].items()}
                    for one, of in told[name]["sets"].items()
                },
                "unseen": told[name]["unseen"],
            }
            for name in models
        },
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    plot.write_bytes(_plot(result["models"]))
    typer.echo(json.dumps(result["models"], indent=2))


def _bytes(name: str) -> int:
    path = catalogue.locate(catalogue.spec(name))
    return path.stat().st_size if path else 0


def _turns(models: dict[str, Any], crops: table.Table) -> dict[str, float]:
    """Median processor time of one look, by model."""
    faces = list(crops.pictures())
    taken: dict[str, list[float]] = {name: [] for name in models}
    for face in faces:
        for name, model in models.items():
            x = batch([face], model.info.preprocess)
            started = time.process_time()
            if isinstance(model, OnnxRecognizer):
                model.answer(x)
            else:
                model.logits([face])
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


def _plot(models: dict[str, Any]) -> bytes:
    """Mean balanced accuracy on the sets never seen, as mien is used, over time and over size."""
    with blank(8.4, 3.6) as (figure, first):
        figure.delaxes(first)
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, key, unit, label in (
            (left, "time_of_first", 1.0, "processor time of one look (first default = 1)"),
            (right, "bytes", 1e6, "size of the file, MB"),
        ):
            for name, model in models.items():
                unseen = model["unseen"]
                x, y = model[key] / unit, 100 * by_default(unseen)
                axes.plot(x, y, "o", color=INK)
                at = {"xytext": (5, 4), "textcoords": "offset points"}
                axes.annotate(name, (x, y), fontsize=8, **at)
            axes.set_xlabel(label, fontsize=8)
            axes.grid(color=FAINT, linewidth=0.5)
            axes.margins(x=0.25, y=0.15)
        left.set_ylabel("balanced accuracy on LFW and JAFFE, %", fontsize=8)
        return encoded(figure, "png")


if __name__ == "__main__":
    typer.run(main)
