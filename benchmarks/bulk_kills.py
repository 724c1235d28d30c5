"""``mien bulk`` killed at random moments: the output is an undisturbed run's, byte for byte.

Each run is begun in a process group of its own; somewhere in the time that it takes the driver, one
of its workers, or all of it is killed (SIGKILL), and the same command is given again. With
``--ray`` instead a node of a cluster on this machine is killed every so often and another one
joins, while one run goes on.

    python benchmarks/bulk_kills.py               # 20 kills, local
    python benchmarks/bulk_kills.py --ray         # a node killed every 60 s for ten minutes
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
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


def interrupted(words: list[str], kills: int, length_s: float) -> tuple[Counter[str], int]:
    """What was killed, and in how many runs it took."""
    chance, killed, runs = random.Random(SEED), Counter[str](), 0
    while True:
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        runs += 1
        while killed.total() < kills:
            try:
                process.wait(chance.uniform(1.0, length_s))
                break
            except subprocess.TimeoutExpired:
                pass
            what, workers = chance.choice(["driver", "worker", "all"]), children(process.pid)
            if what == "worker":
                if workers:
                    os.kill(chance.choice(workers), signal.SIGKILL)
                    killed["worker"] += 1
                continue
            process.kill()
            for worker in workers if what == "all" else []:
                with suppress(ProcessLookupError):  # it hears itself that its driver is gone
                    os.kill(worker, signal.SIGKILL)
            killed[what] += 1
            break
        if process.wait() in (0, 1):  # 1: with errors, which are counted below
            return killed, runs


def local(folder: Path, kills: int) -> dict[str, Any]:
    source, once, often = folder / "in", folder / "once", folder / "often"
    inputs(source, 1)
    began = time.monotonic()
    subprocess.run(command(source, once, "-p", "2"), check=True, capture_output=True)
    length_s = time.monotonic() - began
    killed, runs = interrupted(command(source, often, "-p", "2"), kills, 4.0)
    return {
        "undisturbed_s": round(length_s, 1),
        "killed": dict(killed),
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


def on_ray(folder: Path, every_s: float, kills: int) -> dict[str, Any]:
    import ray
    from ray.cluster_utils import Cluster

    source, once, often = folder / "in", folder / "once", folder / "often"
    inputs(source, 1)
    subprocess.run(command(source, once, "-p", "2"), check=True, capture_output=True)
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    words = command(source, often, "--engine", "ray", "--address", cluster.address, "-p", "2")
    began, count = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, stderr=said)
        while process.poll() is None:  # Ray's nodes want the main thread
            with suppress(subprocess.TimeoutExpired):
                process.wait(every_s)
            if process.poll() is None and count < kills:
                cluster.remove_node(nodes.pop(0), allow_graceful=False)
                nodes.append(cluster.add_node(num_cpus=1))
                count += 1
        seconds = time.monotonic() - began
        said.seek(0)
        last = said.read().strip().replace(str(often), often.name).splitlines()[-1:]
    cluster.shutdown()
    return {
        "versions_ray": ray.__version__,
        "nodes": 2,
        "killed": count,
        "every_s": every_s,
        "seconds": round(seconds, 1),
        "status": process.returncode,
        "said": last,
        **compared(once, often),
    }


def main(
    kills: Annotated[int, typer.Option()] = 20,
    ray: Annotated[bool, typer.Option("--ray")] = False,
    every_s: Annotated[float, typer.Option(help="Between two kills of a node.")] = 60.0,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/bulk_kills.json"),
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = on_ray(Path(folder), every_s, kills) if ray else local(Path(folder), kills)
    kept = json.loads(out.read_text()) if out.exists() else {}
    kept["ray" if ray else "local"] = {**provenance.environment(), **found}
    out.write_text(json.dumps(kept, indent=2) + "\n")
    typer.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    typer.run(main)
