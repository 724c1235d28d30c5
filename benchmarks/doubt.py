"""Whether the default model knows what it does not know.

Risk against coverage: how often it is right on the share of faces that it is surest of. Then what
it says of faces that it should doubt: behind a mask, sunglasses or a hand, upside down, dark; and
of pictures that show none: photographs cut into 16 squares that are dealt anew.

    python benchmarks/doubt.py ferplus.parquet lfw.parquet jaffe.parquet
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.stats import binomtest

from mien import provenance
from mien.analysis.pipeline import Analyzer, Settings
from mien.data import occlude, table
from mien.data.table import Table
from mien.evaluation import metrics
from mien.evaluation.evaluate import restrict
from mien.evaluation.panel import SEVEN
from mien.expression.recognize import load_model
from mien.face import FloatArray, ImageArray, RecognizedFace
from mien.labels import subset

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)
SEED, PHOTOS, SIDE = 1, 600, 4
HIDDEN = ("mask", "sunglasses", "left_half", "mouth", "eyes")


def main(
    ferplus: Path,
    lfw: Path,
    jaffe: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/doubt.json"),
) -> None:
    info = load_model().info
    crops, whole = Analyzer(Settings(crops=True)), Analyzer(Settings(detector="mien"))
    sets = {
        "ferplus PublicTest": (crops, table.read(ferplus).of_split("PublicTest")),
        "lfw": (crops, table.read(lfw)),
        "jaffe": (whole, table.read(jaffe)),
    }
    result: dict[str, Any] = {
        **provenance.environment(),
        "model": {"name": info.name, "sha256": info.sha256},
        "uncertain_below": info.uncertain_below,
        "coverage": {},
    }
    for name, (analyzer, rows) in sets.items():
        seven = rows.keep(row.label in SEVEN for row in rows.rows)
        result["coverage"][name] = _coverage(_asked(analyzer, seven))
        typer.echo(json.dumps({name: result["coverage"][name]}))
    photos = table.read(lfw)
    photos = photos.keep(row.label in SEVEN for row in photos.rows)
    chosen = np.random.default_rng(SEED).permutation(len(photos))[:PHOTOS]
    photos = photos.keep(i in set(chosen.tolist()) for i in range(len(photos)))
    result["doubtful"] = dict(_doubtful(whole, photos))
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["doubtful"], indent=2))


Asked = list[tuple[int, RecognizedFace]]
"""The place in SEVEN of what a face shows, and what was answered."""


def _asked(
    analyzer: Analyzer, rows: Table, change: Callable[[ImageArray], ImageArray] | None = None
) -> Asked:
    """The surest face of every picture; a picture without one is left out."""
    found = []
    for target, picture in zip(rows.targets(subset(SEVEN)), rows.pictures(), strict=True):
        faces = analyzer.analyze(change(picture) if change else picture)
        if faces:
            found.append((int(target), max(faces, key=lambda face: face.score or 0.0)))
    return found


def _probs(asked: Asked) -> tuple[FloatArray, metrics.IntArray]:
    probs = np.stack([face.emotions.probs for _, face in asked])
    return restrict(probs, asked[0][1].emotions.label_set, subset(SEVEN)), np.array(
        [t for t, _ in asked]
    )


def _coverage(asked: Asked) -> dict[str, Any]:
    """Accuracy over the seven expressions on the faces that are answered most surely."""
    probs, targets = _probs(asked)
    right = probs.argmax(axis=1) == targets
    order = np.argsort(-probs.max(axis=1), kind="stable")
    doubted = np.array([bool(face.uncertain) for _, face in asked])
    return {
        "n": len(asked),
        "accuracy_at_coverage": {
            f"{share:g}": round(float(right[order[: round(share * len(order))]].mean()), 4)
            for share in COVERAGES
        },
        "area_under_risk_coverage": round(
            float(np.mean(np.cumsum(~right[order]) / np.arange(1, len(order) + 1))), 4
        ),
        "uncertain": _doubted(doubted, right),
    }


def _doubted(doubted: Any, right: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"share": round(float(doubted.mean()), 4)}
    for name, chosen in (("accuracy_of_the_certain", ~doubted), ("of_the_uncertain", doubted)):
        told[name] = round(float(right[chosen].mean()), 4) if chosen.any() else None
    return told


def _doubtful(analyzer: Analyzer, photos: Table) -> Iterator[tuple[str, dict[str, Any]]]:
    rng = np.random.default_rng(SEED)

    def hide(what: str) -> Callable[[ImageArray], ImageArray]:
        def changed(picture: ImageArray) -> ImageArray:
            faces = analyzer.analyze(picture)
            points = faces[0].landmarks if faces else None
            return picture if points is None else occlude.region(picture, points, what, rng)

        return changed

    changes: dict[str, Callable[[ImageArray], ImageArray] | None] = {
        "as they are": None,
        **{f"hidden: {what}": hide(what) for what in HIDDEN},
        "upside down": lambda picture: np.ascontiguousarray(picture[::-1, ::-1]),
        "no face (dealt anew)": lambda picture: _dealt(picture, rng),
    }
    for name, change in changes.items():
        asked = _asked(analyzer, photos, change)
        told: dict[str, Any] = {"pictures": len(photos), "faces": len(asked)}
        if asked:
            probs, targets = _probs(asked)
            right = probs.argmax(axis=1) == targets
            doubted = np.array([bool(face.uncertain) for _, face in asked])
            told |= {"mean_top_probability": round(float(probs.max(axis=1).mean()), 4)}
            told["uncertain"] = _doubted(doubted, right)
            if "no face" not in name:
                told["accuracy"] = round(float(right.mean()), 4)
                wilson = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
                told["accuracy_ci95"] = [round(wilson.low, 4), round(wilson.high, 4)]
        yield name, told


def _dealt(picture: ImageArray, rng: np.random.Generator) -> ImageArray:
    """A picture's squares in another order: its colours and textures, and no face."""
    height, width = (side // SIDE for side in picture.shape[:2])
    squares = [
        picture[y * height : (y + 1) * height, x * width : (x + 1) * width]
        for y in range(SIDE)
        for x in range(SIDE)
    ]
    order = rng.permutation(len(squares))
    rows = [
        np.concatenate([squares[i] for i in order[y * SIDE : (y + 1) * SIDE]], axis=1)
        for y in range(SIDE)
    ]
    return np.ascontiguousarray(np.concatenate(rows))


if __name__ == "__main__":
    typer.run(main)
