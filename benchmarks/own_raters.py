"""How many graded pictures it takes to tell intensities as other raters do.

JAFFE's raters, on a scale of strength, are as far from FER+'s shares of votes as anybody's own.
Intensities of the default model are fitted to some pictures of five of its women, drawn again and
again, and asked of the other five: as the model tells them now, fitted from nothing, and from the
model's weights on (``mien calibrate --what intensities``). RMSE over six expressions, the mean of
all draws, of one look at each face.

    python benchmarks/own_raters.py jaffe.parquet
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mien import provenance
from mien.data import table
from mien.data.cut import faces_of
from mien.expression import intensity
from mien.expression.recognize import load_model
from mien.face import FloatArray
from mien.labels import subset

FEW = (15, 30, 60, 90)
DRAWS, DRAWN = 20, 1


def main(
    jaffe: Path, out: Annotated[Path, typer.Option()] = Path("benchmarks/results/own_raters.json")
) -> None:
    """Measure it, and write it as JSON."""
    model = load_model()
    before, labels = model.info.strengths, model.info.label_set
    assert before is not None
    faces = faces_of(table.read(jaffe), model.info.align, model.info.preprocess.size)
    logits = model.logits(list(faces.pictures()))
    names = faces.graded(labels)
    places = [labels.index(name) for name in names]
    rated = np.full((len(faces), len(labels)), np.nan, np.float32)
    rated[:, places] = faces.strengths(subset(names))
    women = np.array([row.subject for row in faces.rows])
    rng = np.random.default_rng(DRAWN)
    rmse: dict[int, dict[str, list[float]]] = {few: {} for few in FEW}
    for few in FEW:
        for _ in range(DRAWS):
            order = rng.permutation(np.unique(women))
            given = rng.permutation(np.flatnonzero(np.isin(women, order[:5])))[:few]
            asked = np.isin(women, order[5:])
            # A fit from nothing needs numbers for what nobody rated, too.
            whole = np.nan_to_num(rated[given], nan=0.0)
            found = {
                "as_shipped": before.of(logits[asked]),
                "always_the_mean": np.broadcast_to(rated[given].mean(0), rated[asked].shape),
                "from_nothing": intensity.fit(logits[given], whole).of(logits[asked]),
                "from_the_models": intensity.fit(logits[given], rated[given], before).of(
                    logits[asked]
                ),
            }
            for name, values in found.items():
                rmse[few].setdefault(name, []).append(
                    _rmse(values[:, places], rated[asked][:, places])
                )
    result: dict[str, Any] = {
        **provenance.environment(),
        "model": model.info.sha256,
        "faces": len(faces),
        "draws": DRAWS,
        "rmse": {
            str(few): {name: round(float(np.mean(values)), 4) for name, values in told.items()}
            for few, told in rmse.items()
        },
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["rmse"], indent=2))


def _rmse(found: FloatArray, rated: FloatArray) -> float:
    return float(np.sqrt(((found - rated) ** 2).mean()))


if __name__ == "__main__":
    typer.run(main)
