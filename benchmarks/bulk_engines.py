"""What it costs to have a unit handed out: Ray Data, Dask, and a pool of processes.

Each does so many units that do nothing, with two workers on this machine, and one worker is killed
in the middle of a second, longer run: what comes of that is told. ``pip install dask[distributed]``
first; what is not installed is left out.

    python benchmarks/bulk_engines.py
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mien import provenance

UNITS, WORKERS, LONG_S = 1000, 2, 0.1


def nothing(number: int) -> tuple[int, int]:
    return number, os.getpid()


def slow(number: int) -> tuple[int, int]:
    time.sleep(LONG_S)
    return number, os.getpid()


Engine = Callable[[Callable[[int], tuple[int, int]], int], Iterator[tuple[int, int]]]


class Slow:
    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        told = [slow(int(n)) if batch["slow"][0] else nothing(int(n)) for n in batch["id"]]
        return {"id": [n for n, _ in told], "pid": [pid for _, pid in told]}


def ray_data(work: Callable[[int], tuple[int, int]], count: int) -> Iterator[tuple[int, int]]:
    import ray

    items = [{"id": n, "slow": work is slow} for n in range(count)]
    done = ray.data.from_items(items, override_num_blocks=count).map_batches(
        Slow, batch_size=1, compute=ray.data.ActorPoolStrategy(size=WORKERS)
    )
    for batch in done.iter_batches(batch_size=1):
        yield int(batch["id"][0]), int(batch["pid"][0])


def dask(work: Callable[[int], tuple[int, int]], count: int) -> Iterator[tuple[int, int]]:
    from distributed import Client, as_completed

    with Client(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as client:
        for future in as_completed(client.map(work, range(count), pure=False)):
            yield future.result()


def pool(work: Callable[[int], tuple[int, int]], count: int) -> Iterator[tuple[int, int]]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as workers:
        for future in as_completed([workers.submit(work, n) for n in range(count)]):
            yield future.result()


def ms(engine: Engine) -> dict[str, float]:
    """Until the first unit is done, and for each of the others."""
    began = time.monotonic()
    first = 0.0
    for number, _ in enumerate(engine(nothing, UNITS)):
        first = first or time.monotonic() - began
        assert number < UNITS
    each = (time.monotonic() - began - first) / (UNITS - 1)
    return {"first_s": round(first, 2), "each_ms": round(each * 1e3, 2)}


def killed(engine: Engine) -> dict[str, Any]:
    """One worker is killed after a quarter of the units."""
    count, done = 100, set[int]()
    began = time.monotonic()
    try:
        for number, pid in engine(slow, count):
            if len(done) == count // 4:
                os.kill(pid, signal.SIGKILL)
            done.add(number)
    except Exception as err:
        return {"done": len(done), "of": count, "ended_by": type(err).__name__}
    return {"done": len(done), "of": count, "seconds": round(time.monotonic() - began, 1)}


def main(
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/bulk_engines.json"),
) -> None:
    result: dict[str, Any] = {**provenance.environment(), "units": UNITS, "workers": WORKERS}
    logging.disable(logging.WARNING)
    for name, needs, engine in (
        ("pool", "os", pool),
        ("dask", "dask", dask),
        ("ray", "ray", ray_data),
    ):
        if importlib.util.find_spec(needs) is None:
            continue
        if name == "ray":
            import ray

            ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
            ray.data.DataContext.get_current().enable_progress_bars = False
        result[name] = {
            **ms(engine),
            "one_worker_killed": killed(engine),
            "load": os.getloadavg()[0],
        }
        if needs != "os":
            result[name]["version"] = __import__(needs).__version__
        out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
