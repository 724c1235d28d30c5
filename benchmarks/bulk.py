"""How fast ``mien bulk`` is: one and two workers, processes of this machine and Ray's actors.

FER2013's crops, photographs of LFW and recordings made of the clips, each as often as ``--share``
says, and by one worker on one core (elsewhere it reads and searches on a second one beside
recognising). Every figure is of a whole run of the command, its beginning included; ``begin`` is a
run in which everything is done already, ``first`` one of the first file alone, for which all has to
begin: a worker, its model, and the actors that Ray Data has of its own. ``processor_s`` is what the
processors worked for it, by kind of process, whatever else this machine is at: the workers that
hold a model, and all that hands them their units and takes their answers. Memory is the largest of
any one process.

    python benchmarks/bulk.py FOLDER     # holds fer2013/, lfw/ and clips/
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from mien import provenance

LOOK_S = 0.25
ENGINES = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))


def processes(pid: int) -> list[int]:
    """A process and all that it began."""
    found = [pid]
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [p for child in listed.read_text().split() for p in processes(int(child))]
    return found


def kind(words: bytes) -> str:
    """What a process is for, by its command line."""
    if b"mien.bulk.child" in words:
        return "workers"
    if b"ray::" in words:
        return "ray_actors"
    return "ray" if b"ray" in words.split(b"\0")[0] or b"/ray/" in words else "driver"


def processor(pid: int) -> dict[tuple[str, str], tuple[str, float]]:
    """The seconds of processor time of a process and all that it began, by pid and birth."""
    found = {}
    for each in processes(pid):
        with suppress(OSError, IndexError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            words = Path(f"/proc/{each}/cmdline").read_bytes()
            seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            if words:  # of one that has ended there are none
                found[str(each), fields[19]] = (kind(words), seconds)
    return found


def workers_mb(pid: int) -> dict[int, float]:
    """Proportional memory of the processes that hold a model."""
    found = {}
    for each in processes(pid):
        try:
            if b"mien.bulk.child" not in Path(f"/proc/{each}/cmdline").read_bytes():
                continue
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            pss = next(line for line in lines if line.startswith("Pss:"))
            found[each] = int(pss.split()[1]) / 1024
        except (OSError, StopIteration):
            continue
    return found


def timed(words: list[str]) -> dict[str, Any]:
    """Seconds of a run by clock and processor, and each worker's memory early and at its end."""
    memory: list[tuple[float, float]] = []
    worked: dict[tuple[str, str], tuple[str, float]] = {}
    began = time.monotonic()
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(LOOK_S):
            worked.update(processor(process.pid))
            if found := workers_mb(process.pid):
                memory.append((time.monotonic() - began, max(found.values())))

    looking = threading.Thread(target=look)
    looking.start()
    _, said = process.communicate()
    seconds = time.monotonic() - began
    stop.set()
    looking.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}: {said}")
    third = [mb for at, mb in memory if at <= seconds / 3]
    kinds: Counter[str] = Counter()
    for name, worked_s in worked.values():
        kinds[name] += worked_s  # type: ignore[assignment]
    return {
        "seconds": round(seconds, 2),
        "processor_s": {name: round(s, 2) for name, s in sorted(kinds.items())},
        "worker_mb_first_third": round(max(third, default=0.0), 1),
        "worker_mb": round(max((mb for _, mb in memory), default=0.0), 1),
        "said": [line.partition(" -> ")[0] for line in said.strip().splitlines()[-1:]],
        "load": os.getloadavg()[0],
    }


def one(
    source: Path, engine: str, workers: int, more: list[str], *, core: int | None = None
) -> dict[str, Any]:
    """Figures of an engine with so many workers; on one core alone, if that is named."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]

    def command(source: Path, out: Path) -> list[str]:
        words = ["bulk", str(source), "--out", str(out), *more]
        mien = [*pinned, sys.executable, "-m", "mien"]
        return [*mien, *words, "--engine", engine, "-p", str(workers)]

    with tempfile.TemporaryDirectory() as folder:
        made, file = Path(folder), min(source.iterdir())
        (made / "first").mkdir()
        (made / "first" / file.name).symlink_to(file)
        found = timed(command(source, made / "out"))
        again = timed(command(source, made / "out"))
        first = timed(command(made / "first", made / "of_first"))
    return {
        "engine": engine,
        "workers": workers,
        **found,
        "begin_s": again["seconds"],
        "begin_processor_s": again["processor_s"],
        "first_s": first["seconds"],
        "first_processor_s": first["processor_s"],
    }


def _speed(one: dict[str, Any], other: dict[str, Any]) -> float:
    """How many times as quick the other run is."""
    return float(round(one["seconds"] / other["seconds"], 3))


def after_first(found: list[dict[str, Any]]) -> dict[str, float]:
    """Ray to ``local`` with one worker, in what a run takes beyond that of the first file."""
    seconds, work = {}, {}
    for each in (each for each in found if each["workers"] == 1):
        seconds[each["engine"]] = each["seconds"] - each["first_s"]
        spent, first = each["processor_s"].values(), each["first_processor_s"].values()
        work[each["engine"]] = sum(spent) - sum(first)
    return {
        "ray_over_local_1_after_first": round(seconds["ray"] / seconds["local"] - 1, 3),
        "ray_over_local_1_after_first_processor": round(work["ray"] / work["local"] - 1, 3),
    }


def ratios(found: list[dict[str, Any]]) -> dict[str, float]:
    s = {(each["engine"], each["workers"]): each["seconds"] for each in found}
    work = {(e["engine"], e["workers"]): sum(e["processor_s"].values()) for e in found}
    net = {(e["engine"], e["workers"]): e["seconds"] - e["begin_s"] for e in found}
    return {
        "local_2_to_1": round(s["local", 1] / s["local", 2], 3),
        "ray_2_to_1": round(s["ray", 1] / s["ray", 2], 3),
        "ray_over_local_1": round(s["ray", 1] / s["local", 1] - 1, 3),
        "ray_over_local_2": round(s["ray", 2] / s["local", 2] - 1, 3),
        "ray_over_local_1_processor": round(work["ray", 1] / work["local", 1] - 1, 3),
        "ray_over_local_2_processor": round(work["ray", 2] / work["local", 2] - 1, 3),
        "local_2_to_1_without_beginning": round(net["local", 1] / net["local", 2], 3),
        "ray_over_local_1_without_beginning": round(net["ray", 1] / net["local", 1] - 1, 3),
    }


def sample(folder: Path, to: Path, share: float) -> int:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = files[:: max(1, round(1 / share))]
    for number, path in enumerate(kept):
        shutil.copy(path, to / f"{number:06}{path.suffix}")
    return len(kept)


def main(
    folder: Annotated[Path, typer.Argument(help="Holds fer2013/, lfw/ and clips/.")],
    share: Annotated[float, typer.Option(help="Of each, from 0 to 1.")] = 1.0,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/bulk.json"),
) -> None:
    result: dict[str, Any] = {**provenance.environment(), "share": share}
    for name, more in (("fer2013", ["--crops"]), ("lfw", []), ("clips", [])):
        if not (folder / name).is_dir():
            continue
        with tempfile.TemporaryDirectory() as made:
            count = sample(folder / name, Path(made), share)
            found = [one(Path(made), *engine, more) for engine in ENGINES]
            alone = one(Path(made), "local", 1, more, core=min(os.sched_getaffinity(0)))
        result[name] = {"files": count, "runs": found, **ratios(found)}
        result[name] |= {"on_one_core": alone, "local_2_to_one_core": _speed(alone, found[1])}
        if count > 1:
            result[name] |= after_first(found)
        out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
