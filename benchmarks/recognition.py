"""Time of reading one face after the other on one thread, on real faces.

The unsure ones are looked at twice, so the mean depends on the faces: these are FER+'s PublicTest.

    python benchmarks/recognition.py ferplus.parquet
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
from mien.expression.baserates import BaseRates
from mien.expression.recognize import load_model

FACES, WARM_UP = 1000, 20


def main(
    ferplus: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/recognition.json"),
) -> None:
    recognizer, rates = load_model(threads=1), BaseRates()
    faces = table.read(ferplus).of_split("PublicTest")
    crops = list(faces.keep(i < FACES for i in range(len(faces))).pictures())
    for crop in crops[:WARM_UP]:
        recognizer.probabilities([crop], rates)
    times = []
    for crop in crops:
        started = time.perf_counter()
        recognizer.probabilities([crop], rates)
        times.append((time.perf_counter() - started) * 1e3)
    untouched = recognizer.probabilities(crops, BaseRates("training"))
    twice = untouched.max(axis=1) < recognizer.info.look_again_below
    result: dict[str, Any] = {
        **provenance.environment(),
        "model": {"name": recognizer.info.name, "sha256": recognizer.info.sha256},
        "faces": len(crops),
        "ms_per_face": {
            "mean": round(float(np.mean(times)), 3),
            **{f"p{p}": round(float(np.percentile(times, p)), 3) for p in (5, 50, 95)},
        },
        # after the second look some are sure, so this is a little less than were looked at twice
        "share_still_unsure": round(float(twice.mean()), 3),
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
