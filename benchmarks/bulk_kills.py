"""``mien bulk`` killed at random moments: the output is an undisturbed run's, byte for byte.

Locally the moments are told by the work, as a clock's would come after it is over on a quick
machine: one in each of so many equal shares of the files that an undisturbed run leaves, at random
in it; or, for every fourth, while a run begins. The driver, one of its workers, or all of it is
killed (SIGKILL), and the same command is given again. With ``--ray`` instead a node of a cluster
on this machine is killed every so often and another one joins, while a run goes on whose inputs
are as many as keep this machine busy for so long; where it was quicker, another run follows.

    python benchmarks/bulk_kills.py               # 20 kills, local
    nice -n 5 python benchmarks/bulk_kills.py --ray --kills 10   # a node a minute, ten minutes
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mien import provenance
from mien.bulk.ledger import Ledger
from mien.bulk.store import Store
from tests import made

SEED = 23
PICTURES, FRAMES, FPS = 1200, 1500, 10
LOOK_S, BEGINS_S = 0.02, 2.0
SHARE = 0.6  # of the time that Ray takes, for processes of this machine that nobody kills


def inputs(folder: Path, times: int) -> None:
    """Pictures, and recordings long enough to be cut."""
    for number in range(PICTURES * times):
        made.picture(folder / f"{number:05}.png", number, 48)
    for number in range(2 * times):
        made.video(folder / f"film{number}.mp4", FRAMES, FPS, "h264")


def command(source: Path, out: Path, *more: str) -> list[str]:
    words = ["bulk", str(source), "--out", str(out), "--crops", "--range", "20", *more]
    return [sys.executable, "-m", "mien", *words]


def contents(out: Path) -> dict[str, bytes]:
    found = (out / "records").rglob("*.parquet")
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(found)}


def children(pid: int) -> list[int]:
    """What any thread of a process began."""
    found = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in listed.read_text().split()]
    return found


def left(out: Path) -> set[Path]:
    """What a run has left so far: units of its ledger, and ranges, which go when joined."""
    return {*(out / "ledger").rglob("*.parquet"), *(out / "ranges").rglob("*.gz")}


def moments(kills: int, files: int, chance: random.Random) -> list[int]:
    """After how many files each kill comes; 0 for as soon as a run begins."""
    return [
        0 if number % 4 == 3 else int((number + chance.random()) * files / (kills + 1))
        for number in range(kills)
    ]


def lasts(process: subprocess.Popen[bytes], files: int, out: Path, seen: set[Path]) -> bool:
    """Whether a run still goes on when so many files are there."""
    while len(seen) < files:
        if process.poll() is not None:
            return False
        seen |= left(out)
        time.sleep(LOOK_S)
    return process.poll() is None


def interrupted(
    words: list[str], out: Path, kills: int, files: int
) -> tuple[Counter[str], int, list[int]]:
    """What was killed, in how many runs it took, and after how many files."""
    chance, killed, runs, seen = random.Random(SEED), Counter[str](), 0, set[Path]()
    waiting, at = moments(kills, files, chance), list[int]()
    while True:
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        runs += 1
        while waiting and lasts(process, waiting[0], out, seen):
            time.sleep(chance.uniform(0.0, BEGINS_S if waiting[0] == 0 else LOOK_S))
            what, workers = chance.choice(["driver", "worker", "all"]), children(process.pid)
            if what == "worker" and not workers:
                what = "driver"  # it has begun none yet
            waiting.pop(0)
            killed[what] += 1
            at.append(len(seen | left(out)))
            if what == "worker":
                os.kill(chance.choice(workers), signal.SIGKILL)
                continue
            process.kill()
            for worker in workers if what == "all" else []:
                with suppress(ProcessLookupError):  # it hears itself that its driver is gone
                    os.kill(worker, signal.SIGKILL)
            break
        if process.wait() in (0, 1):  # 1: with errors, which are counted below
            return killed, runs, at


def local(folder: Path, kills: int) -> dict[str, Any]:
    source, once, often = folder / "in", folder / "once", folder / "often"
    inputs(source, 1)
    began = time.monotonic()
    process = subprocess.Popen(command(source, once, "-p", "2"), stderr=subprocess.DEVNULL)
    seen = set[Path]()
    while process.poll() is None:
        seen |= left(once)
        time.sleep(LOOK_S)
    length_s = time.monotonic() - began
    killed, runs, at = interrupted(command(source, often, "-p", "2"), often, kills, len(seen))
    return {
        "undisturbed_s": round(length_s, 1),
        "files": len(seen),
        "killed": dict(killed),
        "killed_after_files": at,
        "runs": runs,
        **compared(once, often),
    }


def compared(once: Path, often: Path) -> dict[str, Any]:
    rows = [row for unit in Ledger(Store(str(often))).done().values() for row in unit]
    return {
        "inputs": len(Ledger(Store(str(often))).inputs()),
        "rows": len(rows),
        "inputs_with_one_row": len({row.number for row in rows}),
        "errors": sum(row.status == "error" for row in rows),
        "partitions": len(contents(once)),
        "identical": contents(once) == contents(often),
        "left_over": len([p for p in often.rglob("*") if p.suffix in (".part", ".gz")]),
    }


def enough(folder: Path, seconds: float) -> int:
    """How many times the inputs are to be, so that Ray is busy with them for so long here and now.

    It takes longer than processes of this machine, and again longer where nodes are killed.
    """
    inputs(folder / "in", 1)
    began = time.monotonic()
    words = command(folder / "in", folder / "out", "-p", "2")
    subprocess.run(words, check=True, capture_output=True)
    return math.ceil(SHARE * seconds / (time.monotonic() - began))


def on_ray(folder: Path, every_s: float, kills: int) -> dict[str, Any]:
    """So many nodes killed: in one run, or in as many as it takes where they are over before."""
    import ray
    from ray.cluster_utils import Cluster

    source, once = folder / "in", folder / "once"
    inputs(source, enough(folder / "some", every_s * kills))
    began = time.monotonic()
    subprocess.run(command(source, once, "-p", "2"), check=True, capture_output=True)
    undisturbed_s = time.monotonic() - began
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    began, runs = time.monotonic(), list[dict[str, Any]]()
    while (count := sum(run["killed"] for run in runs)) < kills:
        out = folder / f"often{len(runs)}"
        words = command(source, out, "--engine", "ray", "--address", cluster.address, "-p", "2")
        told = killing(words, lambda: replaced(cluster, nodes), every_s, kills - count)
        runs.append({**told, **compared(once, out)})
    seconds = time.monotonic() - began
    cluster.shutdown()
    return {
        "versions_ray": ray.__version__,
        "undisturbed_local_s": round(undisturbed_s, 1),
        "nodes": 2,
        "killed": {"node": sum(run["killed"] for run in runs)},
        "every_s": every_s,
        "seconds": round(seconds, 1),
        "load": os.getloadavg()[0],
        "runs": runs,
    }


def replaced(cluster: Any, nodes: list[Any]) -> None:
    """Kill the older of two nodes, and let another one join."""
    cluster.remove_node(nodes.pop(0), allow_graceful=False)
    nodes.append(cluster.add_node(num_cpus=1))


def killing(
    words: list[str], kill: Callable[[], None], every_s: float, most: int
) -> dict[str, Any]:
    """A run while something is killed every so often, and what it said at its end."""
    began, count = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, stderr=said)
        while process.poll() is None:  # Ray's nodes want the main thread
            with suppress(subprocess.TimeoutExpired):
                process.wait(every_s)
            if process.poll() is None and count < most:
                kill()
                count += 1
        said.seek(0)
        last = [line.partition(" -> ")[0] for line in said.read().strip().splitlines()[-1:]]
    seconds = round(time.monotonic() - began, 1)
    return {"killed": count, "seconds": seconds, "status": process.returncode, "said": last}


def main(
    kills: Annotated[int, typer.Option()] = 20,
    ray: Annotated[bool, typer.Option("--ray")] = False,
    every_s: Annotated[float, typer.Option(help="Between two kills of a node.")] = 60.0,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/bulk_kills.json"),
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = on_ray(Path(folder), every_s, kills) if ray else local(Path(folder), kills)
    if (count := sum(found["killed"].values())) < kills:
        raise SystemExit(f"the work was over after {count} of {kills} kills")
    kept = json.loads(out.read_text()) if out.exists() else {}
    kept["ray" if ray else "local"] = {**provenance.environment(), **found}
    out.write_text(json.dumps(kept, indent=2) + "\n")
    typer.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    typer.run(main)
