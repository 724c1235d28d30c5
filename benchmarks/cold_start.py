"""How long ``mien analyze`` on one picture takes in a fresh process, against its imports alone.

The two commands alternate, so that both meet the same neighbours on a shared machine; the ratio
of their medians is the figure. Where other work wants the cores, the processor's time says more: it
is of all threads, which overlap, so that its ratio is the larger one. mien runs from bytecode, as
pip leaves it: in a checkout the first runs, which do not count, compile it.

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


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Seconds that passed, seconds of the processor, and peak memory in MB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    passed = time.perf_counter() - started
    return passed, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


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
        runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
        for _ in range(repeat + 2):
            for name, command in commands.items():
                runs[name].append(measured(command, environment))
    for found in runs.values():
        del found[:2]  # the first two fill the caches
    kept = {name: [passed for passed, _, _ in found] for name, found in runs.items()}
    used = {name: statistics.median(cpu for _, cpu, _ in found) for name, found in runs.items()}
    peaks = {name: statistics.median(mb for *_, mb in found) for name, found in runs.items()}
    medians = {name: statistics.median(values) for name, values in kept.items()}
    result = {
        **provenance.environment(),
        "repeat": repeat,
        "median_s": {name: round(value, 4) for name, value in medians.items()},
        "min_s": {name: round(min(values), 4) for name, values in kept.items()},
        "max_s": {name: round(max(values), 4) for name, values in kept.items()},
        "ratio_of_medians": round(medians["analyze"] / medians["imports"], 3),
        "ratio_of_minima": round(min(kept["analyze"]) / min(kept["imports"]), 3),
        "processor_s": {name: round(value, 4) for name, value in used.items()},
        "ratio_of_processor": round(used["analyze"] / used["imports"], 3),
        "peak_mb": {name: round(value, 1) for name, value in peaks.items()},
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
