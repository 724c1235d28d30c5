"""Detector and crop against the data set's own crops, on the same people; and the framing swept.

LFW's pictures get a margin (their border repeated), are searched, cut and read; the same pictures
are read as they are. Both scores are of the pictures in which a face was found.

    python benchmarks/end_to_end.py lfw.parquet
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mien import provenance
from mien.data import table
from mien.data.cut import cut_faces
from mien.errors import WeightsMissing
from mien.evaluation import metrics
from mien.evaluation.evaluate import restrict, shared_labels
from mien.expression.baserates import BaseRates
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import Face, Frame
from mien.faces import detect
from mien.faces.finder import Finder
from mien.weights.catalogue import DEFAULT_MODEL

PAD = 0.5
FRAMINGS = (0.85, 0.92, 1.0, 1.1, 1.2)


class Reframed:
    """A detector whose boxes are computed once and cut again with another framing."""

    def __init__(self, name: str) -> None:
        self._detector = detect.build(name)
        self.name, self.framing = name, self._detector.framing
        self.inset = self._detector.inset
        self._known: dict[bytes, list[Face]] = {}

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        key = frame.rgb.tobytes()
        if key not in self._known:
            self._known[key] = self._detector.detect(frame)
        return self._known[key]


def accuracy(
    recognizer: OnnxRecognizer, crops: list[Any], rows: table.Table, rates: BaseRates
) -> dict[str, Any]:
    labels = shared_labels(recognizer.info.label_set, rows)
    probs = restrict(recognizer.probabilities(crops, rates), recognizer.info.label_set, labels)
    people = [row.subject or row.id for row in rows.rows]
    score = metrics.score(probs, rows.targets(labels), labels, people)
    return {k: score[k] for k in ("n", "accuracy", "accuracy_ci95", "balanced_accuracy")}


def measure(name: str, faces: table.Table, recognizer: OnnxRecognizer) -> dict[str, Any]:
    detector = Reframed(name)
    finder, size = Finder(detector), recognizer.info.preprocess.size
    result: dict[str, Any] = {}
    found, crops = cut_faces(faces, finder, recognizer.info.align, size, PAD)
    own = list(found.pictures())
    result["missed"] = len(faces) - len(found)
    for rates in (BaseRates("training"), BaseRates()):
        end = accuracy(recognizer, crops, found, rates)
        given = accuracy(recognizer, own, found, rates)
        gap = (end["accuracy"] - given["accuracy"]) * 100
        result[rates.target] = {"end_to_end": end, "crops": given, "points_apart": round(gap, 2)}
    aligned = {
        how: accuracy(recognizer, cut_faces(found, finder, how, size, PAD)[1], found, BaseRates())
        for how in ("box", "similarity", "xu2019")
    }
    sweep = {}
    for framing in FRAMINGS:
        detector.framing = framing
        crops = cut_faces(found, finder, "box", size, PAD)[1]
        score = accuracy(recognizer, crops, found, BaseRates())
        sweep[f"{framing:g}"] = {k: score[k] for k in ("accuracy", "balanced_accuracy")}
    return {
        "framing_in_use": detect.build(name).framing,
        **result,
        "aligned": aligned,
        "framing_swept": sweep,
    }


def main(
    lfw: Path,
    model: Annotated[str, typer.Option()] = DEFAULT_MODEL,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/end_to_end.json"),
) -> None:
    recognizer = load_model(model)
    faces = table.read(lfw)
    known = recognizer.info.label_set.labels
    faces = faces.keep(row.label in known for row in faces.rows)
    result: dict[str, Any] = {
        **provenance.environment(),
        "model": {"name": recognizer.info.name, "sha256": recognizer.info.sha256},
        "pad": PAD,
        "detectors": {},
    }
    for name in detect.detectors:
        try:
            result["detectors"][name] = measure(name, faces, recognizer)
        except WeightsMissing as err:
            result["detectors"][name] = str(err)
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["detectors"], indent=2))


if __name__ == "__main__":
    typer.run(main)
