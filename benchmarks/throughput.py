"""A thousand pictures: pictures per second on one and two processes, and memory along the way.

Each picture is the astronaut portrait at another brightness and size, as a JPEG; memory is the
resident size of ``mien analyze`` and its children, read after each record comes out. An earlier
commit reads the same pictures in turn with this one, so that both meet the same neighbours on a
shared machine: what counts are their ratios, and beside pictures a second the processor's time.

    python benchmarks/throughput.py --before 7fe0d9c
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from PIL import Image
from same_output import ROOT, unpacked
from skimage import data

from mien import provenance

Run = dict[str, float]


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


def run(folder: Path, processes: int, source: Path) -> Run:
    """One run of the mien of a source tree."""
    words = ["-m", "mien", "analyze", str(folder), "--processes", str(processes)]
    memory: list[float] = []
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "MIEN_MODELS"}
        | {"PYTHONPATH": str(source)},  # with the detector that is always there
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
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    count = len(memory)
    early = max(memory[: count // 5])
    return {
        "pictures": count,
        "pictures_per_s": round(count / (ended - started), 1),
        "pictures_per_s_after_start": round((count - 1) / (ended - first), 1),
        "processor_ms_per_picture": round((used.ru_utime + used.ru_stime) / count * 1e3, 2),
        "peak_mib_to_one_fifth": round(early, 1),
        "peak_mib": round(max(memory), 1),
        "growth": round(max(memory) / early - 1, 4),
    }


def middle(runs: list[Run]) -> Run:
    """The median of each figure."""
    return {name: median(one[name] for one in runs) for name in runs[0]}


def main(
    count: Annotated[int, typer.Option()] = 1000,
    rounds: Annotated[int, typer.Option(help="How often each commit reads them.")] = 3,
    before: Annotated[str, typer.Option(help="An earlier commit.")] = "7fe0d9c",
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/throughput.json"),
) -> None:
    runs: dict[tuple[str, int], list[Run]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder, earlier = Path(name) / "pictures", Path(name) / "earlier"
        folder.mkdir()
        make_pictures(folder, count)
        sources = {"before": unpacked(before, earlier) / "src", "now": ROOT / "src"}
        for _ in range(rounds):
            for processes in (1, 2):
                for which, source in sources.items():
                    runs[which, processes].append(run(folder, processes, source))
                    typer.echo(f"{which} {processes}: {runs[which, processes][-1]}")
    result: dict[str, Any] = {**provenance.environment(), "rounds": rounds}
    old = {f"processes_{n}": middle(runs["before", n]) for n in (1, 2)}
    new = {f"processes_{n}": middle(runs["now", n]) for n in (1, 2)}
    one, two = new["processes_1"], new["processes_2"]
    result |= new
    speedup = two["pictures_per_s_after_start"] / one["pictures_per_s_after_start"]
    result["speedup_of_two"] = round(speedup, 2)
    result["before"] = {"commit": before, **old}
    result["times_before"] = {
        name: {
            "pictures_per_s": ratio(new[name], old[name], "pictures_per_s_after_start"),
            "processor": ratio(old[name], new[name], "processor_ms_per_picture"),
        }
        for name in new
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


def ratio(over: Run, under: Run, name: str) -> float:
    return round(over[name] / under[name], 2)


if __name__ == "__main__":
    typer.run(main)
