"""A thousand pictures: pictures per second on one and two processes, and memory along the way.

Each picture is the astronaut portrait at another brightness and size, as a JPEG; memory is the
resident size of ``mien analyze`` and its children, read after each record comes out.

    python benchmarks/throughput.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from skimage import data

from mien import provenance


def make_pictures(folder: Path, count: int) -> None:
    portrait = Image.fromarray(data.astronaut())  # type: ignore[no-untyped-call]
    for i in range(count):
        side = 400 + i % 200
        light = portrait.resize((side, side)).point(lambda v, i=i: min(255, v + i % 40))
        light.save(folder / f"{i:05d}.jpg", quality=90)


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its children (Linux)."""
    total = 0.0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            total += int(line.split()[1]) / 1024
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return total + sum(resident_mib(int(child)) for child in children)


def run(folder: Path, processes: int) -> dict[str, Any]:
    mien = Path(sys.executable).with_name("mien")
    command = [str(mien), "analyze", str(folder), "--processes", str(processes)]
    memory: list[float] = []
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    first = 0.0
    for line in process.stdout:
        first = first or time.perf_counter()
        assert json.loads(line)["status"] == "ok", line
        if len(memory) % 20 == 19 or not memory:
            memory.append(resident_mib(process.pid))
        else:
            memory.append(memory[-1])
    ended = time.perf_counter()
    process.wait()
    count = len(memory)
    early = max(memory[: count // 5])
    return {
        "pictures": count,
        "pictures_per_s": round(count / (ended - started), 1),
        "pictures_per_s_after_start": round((count - 1) / (ended - first), 1),
        "peak_mib_to_one_fifth": round(early, 1),
        "peak_mib": round(max(memory), 1),
        "growth": round(max(memory) / early - 1, 4),
    }


def main(
    count: Annotated[int, typer.Option()] = 1000,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/throughput.json"),
) -> None:
    with tempfile.TemporaryDirectory() as name:
        make_pictures(Path(name), count)
        result: dict[str, Any] = {**provenance.environment()}
        for processes in (1, 2):
            result[f"processes_{processes}"] = run(Path(name), processes)
    one, two = result["processes_1"], result["processes_2"]
    speedup = two["pictures_per_s_after_start"] / one["pictures_per_s_after_start"]
    result["speedup_of_two"] = round(speedup, 2)
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
