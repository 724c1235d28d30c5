r"""The 12.1 MB network of a finished `mien reproduce xu2019`: eight bits, time, and its peers.

The classifier and the intensity network in 32 and in 8 bits on FER+ PrivateTest, LFW and JAFFE;
milliseconds a picture on one thread; and the default model and other makers' on the same pictures
of LFW and JAFFE. Peers need ``MIEN_MODELS``.

    python benchmarks/xu2019.py runs/xu2019 --ferplus ferplus-xu2019.parquet \
        --lfw lfw.parquet --jaffe jaffe.parquet --lfw-cut lfw-xu2019.parquet \
        --jaffe-cut jaffe-xu2019.parquet
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mien import provenance
from mien.data import table
from mien.data.table import Table
from mien.errors import WeightsMissing
from mien.evaluation.evaluate import evaluate
from mien.expression.baserates import BaseRates
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import ImageArray
from mien.faces import detect
from mien.faces.detect import FaceDetector
from mien.media.preprocess import batch
from mien.training import quantize
from mien.weights.catalogue import CATALOGUE

CALLS, WARM_UP, TURNS = 400, 50, 5
RATES = [BaseRates("training")]
KEPT = ("n", "accuracy", "accuracy_ci95", "majority_baseline", "balanced_accuracy", "macro_f1")


def main(
    run: Path,
    ferplus: Annotated[Path, typer.Option()],
    lfw: Annotated[Path, typer.Option()],
    jaffe: Annotated[Path, typer.Option()],
    lfw_cut: Annotated[Path, typer.Option()],
    jaffe_cut: Annotated[Path, typer.Option()],
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/xu2019.json"),
) -> None:
    """Measure everything, and write it as JSON."""
    faces = table.read(ferplus)
    select, test = (faces.of_split(split) for split in ("PublicTest", "PrivateTest"))
    cut = {"ferplus": test, "lfw": table.read(lfw_cut), "jaffe": table.read(jaffe_cut)}
    # JAFFE's are photographs of a head and shoulders; LFW's are cut already.
    whole = {"lfw": (table.read(lfw), None), "jaffe": (table.read(jaffe), detect.build("mien"))}
    result: dict[str, Any] = {**provenance.environment(), "paper_ms": 5.6}
    for name in ("classification", "intensity"):
        models = _both(run / "runs" / name / "model.onnx", select)
        result[name] = {
            bits: {
                "bytes": len(model.content),
                **{data: _figures(model, rows) for data, rows in cut.items()},
            }
            for bits, model in models.items()
        }
        if name == "classification":
            result["ms_per_picture"] = _times(models, list(select.pictures())[:CALLS])
            result["same_label_share"] = quantize.agreement(
                models["float32"], models["int8"], list(test.pictures())
            )["same_label"]
    result["peers"] = {name: _peer(name, whole) for name in _recognizers()}
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


def _both(path: Path, faces: Table) -> dict[str, OnnxRecognizer]:
    """A model and its eight-bit twin, scaled by faces it was selected on, one thread each."""
    small = path.with_name("model-int8.onnx")
    crops = list(quantize.some(faces).pictures())
    small.write_bytes(quantize.quantized(load_model(path), crops, "xu2019-int8"))
    return {"float32": load_model(path, threads=1), "int8": load_model(small, threads=1)}


def _figures(
    model: OnnxRecognizer, rows: Table, detector: FaceDetector | None = None
) -> dict[str, Any]:
    found = evaluate(model, rows, None, RATES, detector)["results"][0]
    told = {name: found[name] for name in KEPT}
    if found.get("intensity"):
        told["intensity"] = found["intensity"]["overall"]
    return told


def _times(models: dict[str, OnnxRecognizer], crops: list[ImageArray]) -> dict[str, Any]:
    """The network alone, and with the crop made ready, both in turns: a shared machine is noisy."""
    found: dict[str, list[float]] = {}
    for _ in range(TURNS):
        for bits, model in models.items():
            inputs = [batch([crop], model.info.preprocess) for crop in crops]
            found.setdefault(bits, []).append(_median(model.answer, inputs))
            alone = [[crop] for crop in crops]
            found.setdefault(f"{bits}_with_preparation", []).append(_median(model.logits, alone))
    return {name: round(min(values), 3) for name, values in found.items()}


def _median(call: Any, inputs: list[Any]) -> float:
    for one in inputs[:WARM_UP]:
        call(one)
    times = []
    for one in inputs:
        started = time.perf_counter()
        call(one)
        times.append((time.perf_counter() - started) * 1e3)
    return float(np.median(times))


def _recognizers() -> list[str]:
    return [spec.name for spec in CATALOGUE.values() if spec.kind == "recognizer"]


def _peer(name: str, whole: dict[str, tuple[Table, FaceDetector | None]]) -> dict[str, Any] | None:
    """Figures on the sets' own crops, cut as that model wants them."""
    try:
        model = load_model(name, threads=1)
    except WeightsMissing as err:
        typer.echo(str(err), err=True)
        return None
    return {data: _figures(model, rows, detector) for data, (rows, detector) in whole.items()}


if __name__ == "__main__":
    typer.run(main)
