"""Whether the default model's maps mean something, and what they cost.

On FER+ PublicTest. Deletion: how much the likeliest label loses when the hottest tenth of a face
is blanked, and when a random tenth is. Random weights (Adebayo et al. 2018, arXiv:1810.03292):
how alike maps stay when the last layer, the last block, or every layer is drawn anew. Cost: one
thread, a face after the other, beside reading and beside the whole of ``mien analyze``.

    python benchmarks/explain.py ferplus.parquet
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import skimage.data
import typer
from onnx import numpy_helper
from PIL import Image

from mien import provenance
from mien.analysis import batch
from mien.analysis.pipeline import Analyzer, Settings
from mien.data import table
from mien.data.cut import cut_faces
from mien.evaluation import attention
from mien.expression.baserates import BaseRates
from mien.expression.explain import Explainer
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import FloatArray, ImageArray
from mien.faces.finder import Finder

FACES, MAPS, TIMED, PHOTOS, WARM_UP, SAMPLES = 600, 200, 100, 25, 5, 2000
DRAWN_ANEW = {
    "last layer": "classifier.weight",
    "last block": "blocks.3",
    "every layer": ".weight",
}


def deletion(recognizer: OnnxRecognizer, crops: list[ImageArray]) -> dict[str, Any]:
    lost = attention.deletion(Explainer(recognizer), recognizer, crops)
    rng = np.random.default_rng(attention.SEED)
    apart = lost["hottest"] - lost["random"]
    means = apart[rng.integers(0, len(apart), (SAMPLES, len(apart)))].mean(axis=1)
    return {
        "faces": len(crops),
        "blanked": 0.1,
        "top_probability_lost": {k: round(float(v.mean()), 4) for k, v in lost.items()},
        "lost_more_than_a_half": {k: round(float((v > 0.5).mean()), 4) for k, v in lost.items()},
        "hottest_minus_random_ci95": [
            round(float(v), 4) for v in np.percentile(means, [2.5, 97.5])
        ],
        "hottest_hurts_more": round(float((apart > 0).mean()), 4),
    }


def drawn_anew(recognizer: OnnxRecognizer, only: str, seed: int) -> OnnxRecognizer:
    """The same file, the weights whose names hold ``only`` normal and as widely spread."""
    model, rng = onnx.load_from_string(recognizer.content), np.random.default_rng(seed)
    for tensor in model.graph.initializer:
        if only not in tensor.name or tensor.name.endswith(("_scale", "_zero_point")):
            continue
        values = numpy_helper.to_array(tensor)
        drawn = rng.normal(0, values.std() + 1e-6, values.shape)
        if tensor.data_type == onnx.TensorProto.INT8:
            drawn = np.clip(np.rint(drawn), -63, 63)  # seven bits, see mien.training.quantize
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT8):
            tensor.CopyFrom(numpy_helper.from_array(drawn.astype(values.dtype), tensor.name))
    return OnnxRecognizer(model.SerializeToString(), "random", "")


def random_weights(recognizer: OnnxRecognizer, crops: list[ImageArray]) -> dict[str, float]:
    """Mean correlation of the top label's map before and after."""
    tops = recognizer.probabilities(crops, BaseRates("training")).argmax(axis=1)
    before = Explainer(recognizer).maps(crops)[np.arange(len(tops)), tops]
    found = {}
    for name, only in DRAWN_ANEW.items():
        alike = []
        for seed in range(3):
            after = Explainer(drawn_anew(recognizer, only, seed)).maps(crops)
            alike += [_alike(a, b[k]) for a, b, k in zip(before, after, tops, strict=True)]
        found[name] = round(float(np.mean(alike)), 3)
    return found


def _alike(a: FloatArray, b: FloatArray) -> float:
    """Pearson's correlation of two maps; 0 where one of them is all the same."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if np.ptp(a) and np.ptp(b) else 0.0


def cost(crops: list[ImageArray]) -> dict[str, Any]:
    """Median milliseconds and their ratios; each thing is done both ways in turn."""
    recognizer = load_model(threads=1)
    explainer, rates = Explainer(recognizer), BaseRates()
    read = _medians(
        crops,
        lambda crop: recognizer.probabilities([crop], rates),
        lambda crop: explainer.maps([crop]),
    )
    photo = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    return {
        "faces": len(crops),
        "reading_and_maps_ms": read,
        "maps_over_reading": round(read[1] / read[0], 3),
        "crops": _analysed(crops, Settings(crops=True, threads=1)),
        "photo_of_512_pixels": _analysed([photo] * PHOTOS, Settings(detector="mien", threads=1)),
    }


def _analysed(pictures: list[ImageArray], settings: Settings) -> dict[str, Any]:
    """A file read, analysed and told as a record; the same, and the likeliest label explained."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.png" for i in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            Image.fromarray(picture).save(path)
        analyzer = Analyzer(settings)
        plain = {job.path: job for job in batch.plan(paths)}
        told = {job.path: job for job in batch.plan(paths, explain=Path(folder) / "out")}
        without, with_it = _medians(
            paths,
            lambda path: batch.run_job(analyzer, plain[path]),
            lambda path: batch.run_job(analyzer, told[path]),
        )
    return {
        "plain_ms": without,
        "explained_ms": with_it,
        "explained_over_plain": round(with_it / without, 2),
    }


def _medians(things: list[Any], *ways: Callable[[Any], object]) -> list[float]:
    times: list[list[float]] = [[] for _ in ways]
    for thing in things[:WARM_UP] + things:
        for way, taken in zip(ways, times, strict=True):
            started = time.perf_counter()
            way(thing)
            taken.append((time.perf_counter() - started) * 1e3)
    return [round(float(np.median(taken[WARM_UP:])), 3) for taken in times]


def main(
    ferplus: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/explain.json"),
) -> None:
    faces = table.read(ferplus).of_split("PublicTest")
    faces = faces.keep(row.label not in ("unknown", "not_a_face") for row in faces.rows)
    every = len(faces) // FACES
    faces = faces.keep(i % every == 0 and i < FACES * every for i in range(len(faces)))
    recognizer = load_model(threads=1)
    info = recognizer.info
    _, crops = cut_faces(faces, Finder(None), info.align, info.preprocess.size)
    result: dict[str, Any] = {
        **provenance.environment(),
        "model": {"name": recognizer.info.name, "sha256": recognizer.info.sha256},
        "data": {"name": faces.name, "split": "PublicTest", "every": every},
        "deletion": deletion(recognizer, crops),
        "correlation_after_random_weights": random_weights(recognizer, crops[:MAPS]),
        "cost": cost(crops[:TIMED]),
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
