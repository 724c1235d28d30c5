"""How long ``mien analyze`` on one picture takes in a fresh process, against its imports alone.

The two commands alternate, so that both meet the same neighbours on a shared machine; the ratio
of their medians is the figure. mien runs from bytecode, as pip leaves it: in a checkout the first
runs, which do not count, compile it.

    python benchmarks/cold_start.py
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from skimage import data

from mien import provenance


def seconds(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - started


def main(
    repeat: Annotated[int, typer.Option()] = 25,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/cold_start.json"),
) -> None:
    unwanted = ("MIEN_MODELS", "PYTHONDONTWRITEBYTECODE")
    environment = {k: v for k, v in os.environ.items() if k not in unwanted}
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "astronaut.jpg"
        Image.fromarray(data.astronaut()).save(photo, quality=92)  # type: ignore[no-untyped-call]
        mien = Path(sys.executable).with_name("mien")
        commands = {
            "imports": [sys.executable, "-c", "import cv2, onnxruntime, numpy"],
            "analyze": [str(mien), "analyze", str(photo)],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeat + 2):
            for name, command in commands.items():
                times[name].append(seconds(command, environment))
    kept = {name: values[2:] for name, values in times.items()}  # the first two fill the caches
    medians = {name: statistics.median(values) for name, values in kept.items()}
    result = {
        **provenance.environment(),
        "repeat": repeat,
        "median_s": {name: round(value, 4) for name, value in medians.items()},
        "min_s": {name: round(min(values), 4) for name, values in kept.items()},
        "max_s": {name: round(max(values), 4) for name, values in kept.items()},
        "ratio_of_medians": round(medians["analyze"] / medians["imports"], 3),
        "ratio_of_minima": round(min(kept["analyze"]) / min(kept["imports"]), 3),
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
