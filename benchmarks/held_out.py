"""PrivateTest, looked at once for a released model: each head, by one look at a face and by two.

    python benchmarks/held_out.py src/mien/weights/shipped/mien.onnx=ferplus.parquet \
        mien-fer2013.onnx=fer2013.parquet
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mien import provenance
from mien.data import table
from mien.data.cut import cut_faces
from mien.evaluation import metrics
from mien.expression.baserates import BaseRates
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import ImageArray
from mien.faces.finder import Finder

SPLIT = "PrivateTest"
LOOKS = {"one look": 0.0, "as it is used": None, "both looks": 1.01}
"""Below which probability a face is looked at a second time, mirrored; None for the model's own."""


def main(
    pairs: Annotated[list[str], typer.Argument(help="MODEL=TABLE, one for each head.")],
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/held_out.json"),
) -> None:
    heads = {}
    for pair in pairs:
        model, _, data = pair.rpartition("=")
        recognizer = load_model(model, threads=1)
        assert isinstance(recognizer, OnnxRecognizer)
        heads[recognizer.info.name] = _figures(recognizer, table.read(Path(data)).of_split(SPLIT))
    result = {**provenance.environment(), "split": SPLIT, "heads": heads}
    out.write_text(json.dumps(result, indent=2) + "\n")
    for name, told in heads.items():
        for how, figures in told["looks"].items():
            typer.echo(f"{name} {how}: {figures['accuracy']:.4f} {figures['accuracy_ci95']}")


def _figures(recognizer: OnnxRecognizer, rows: table.Table) -> dict[str, Any]:
    info = recognizer.info
    rows = rows.keep(rows.targets(info.label_set) >= 0)
    rows, crops = cut_faces(rows, Finder(None), info.align, info.preprocess.size)
    return {
        "sha256": info.sha256,
        "weights_sha256": info.card.get("weights_sha256"),
        "table": rows.name,
        "looks": {how: _score(recognizer, rows, crops, below) for how, below in LOOKS.items()},
    }


def _score(
    recognizer: OnnxRecognizer, rows: table.Table, crops: list[ImageArray], below: float | None
) -> dict[str, Any]:
    """At the rates of training, over all labels of the head."""
    kept = recognizer.info
    try:
        if below is not None:
            recognizer.info = replace(kept, look_again_below=below)
        probs = recognizer.read(crops, BaseRates("training")).probs
    finally:
        recognizer.info = kept
    score = metrics.score(probs, rows.targets(kept.label_set), kept.label_set, None)
    keys = ("n", "accuracy", "accuracy_ci95", "majority_baseline", "balanced_accuracy")
    return {key: score[key] for key in (*keys, "balanced_accuracy_ci95", "macro_f1", "ece")}


if __name__ == "__main__":
    typer.run(main)
