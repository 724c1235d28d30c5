"""What alignment buys the default model: one recipe, cut short, trained on faces both ways.

    mien data align ferplus.parquet --align similarity -o aligned.parquet
    mien train recipes/resnet10-ferplus.toml --data ferplus.parquet --out runs/box \\
        --set train.epochs=12
    mien train recipes/resnet10-ferplus.toml --data aligned.parquet --out runs/aligned \\
        --set train.epochs=12 --set model.align=similarity
    mien export runs/box --data ferplus.parquet -o box.onnx
    mien export runs/aligned --data aligned.parquet -o aligned.onnx
    python benchmarks/aligned.py box.onnx aligned.onnx ferplus.parquet lfw.parquet jaffe.parquet

FER+ PublicTest's pictures are taken for one face each; LFW's and JAFFE's are searched with the
default detector. The shipped model is scored on aligned faces as well, which it was not trained on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from end_to_end import PAD, Reframed

from mien import provenance
from mien.data import table
from mien.data.cut import cut_faces
from mien.evaluation import metrics
from mien.evaluation.evaluate import restrict, shared_labels
from mien.evaluation.metrics import IntArray
from mien.expression.baserates import BaseRates
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.faces.finder import Finder

SEED, DRAWS = 1, 2000


def right(
    model: OnnxRecognizer, faces: table.Table, finder: Finder, pad: float, align: str
) -> tuple[table.Table, IntArray, dict[str, Any]]:
    """Which of the faces found are named right, and the figures."""
    labels = shared_labels(model.info.label_set, faces)
    asked = faces.keep(row.label in labels.labels for row in faces.rows)
    found, crops = cut_faces(asked, finder, align, model.info.preprocess.size, pad)
    probs = model.probabilities(crops, BaseRates("training"))
    probs = restrict(probs, model.info.label_set, labels)
    people = [row.subject or row.id for row in found.rows]
    score = metrics.score(probs, found.targets(labels), labels, people)
    kept = {k: score[k] for k in ("n", "accuracy", "accuracy_ci95", "balanced_accuracy")}
    return found, np.asarray(probs.argmax(1) == found.targets(labels), np.intp), kept


def main(
    box: Path,
    aligned: Path,
    ferplus: Path,
    lfw: Path,
    jaffe: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/aligned.json"),
) -> None:
    public = table.read(ferplus).of_split("PublicTest")
    detector = Reframed("mien")  # it looks at each picture once
    sets = {
        "ferplus PublicTest": (public, Finder(None), 0.0),
        "lfw": (table.read(lfw), Finder(detector), PAD),
        "jaffe": (table.read(jaffe), Finder(detector), 0.0),
    }
    result: dict[str, Any] = {**provenance.environment(), "sets": {}}
    result["models"] = {str(p.stem): load_model(p).info.card["training"] for p in (box, aligned)}
    for name, (faces, finder, pad) in sets.items():
        _, ours, plain = right(load_model(box), faces, finder, pad, "box")
        _, theirs, turned = right(load_model(aligned), faces, finder, pad, "similarity")
        _, _, shipped = right(load_model(), faces, finder, pad, "box")
        _, _, realigned = right(load_model(), faces, finder, pad, "similarity")
        # The same faces in the same order: the difference is drawn pair by pair.
        gain = theirs - ours
        draws = np.random.default_rng(SEED).choice(gain, (DRAWS, len(gain))).mean(axis=1)
        result["sets"][name] = {
            "trained_and_read_by_box": plain,
            "trained_and_read_aligned": turned,
            "gain_points": round(100 * float(gain.mean()), 2),
            "gain_points_ci95": [
                round(100 * float(q), 2) for q in np.quantile(draws, [0.025, 0.975])
            ],
            "shipped_by_box": shipped,
            "shipped_aligned": realigned,
        }
        typer.echo(f"{name}: {json.dumps(result['sets'][name], indent=2)}", err=True)
    out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
