"""The service on loopback: what HTTP costs, what it bears, and what batching would give.

    python benchmarks/serve.py                      # a minute for each number of clients
    python benchmarks/serve.py --seconds 600
    python benchmarks/serve.py --only overhead      # the others stay as they were

``overhead`` : one client's request against ``Analyzer.analyze`` of the same bytes in the same
process, in turn, by the clock and in processor time; of many batches the one that other work of the
machine disturbed least, as its ``analyze`` tells. ``load`` : so many clients at once, each with its
next picture as soon as it has its answer; the memory of service and clients together, which are one
process. ``batching`` : a crop's time in one call of the model with others, against alone, and
the share of that in all of a picture: the most that putting the crops of several requests together
could save.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import typer
from PIL import Image
from skimage import data

import mien
from mien import provenance
from mien.expression.baserates import BaseRates
from mien.faces.finder import pixels
from mien.service import server
from mien.service.settings import ServiceSettings

OUT = Path(__file__).parent / "results" / "serve.json"
RAW = {"content-type": "image/jpeg"}
CLIENTS = (1, 8, 64)
ROUNDS = 100
BATCHES, OF_EACH = 100, 20


class Part(StrEnum):
    """What is measured."""

    OVERHEAD = "overhead"
    BATCHING = "batching"
    LOAD = "load"


def portrait() -> bytes:
    out = io.BytesIO()
    shown = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    Image.fromarray(shown).save(out, "JPEG", quality=92)
    return out.getvalue()


@dataclass
class Took:
    """Seconds by the clock, and of the processor: all threads of the process, client included."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, work: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


def alternately(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Took]:
    """What each takes, all of them once a round, so that a busy machine is as busy for each."""
    took = {name: Took() for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            took[name].add(work)
    return took


def _ms(seconds: Sequence[float], share: float = 0.5) -> float:
    return round(float(np.quantile(seconds, share)) * 1000, 2)


def overhead(content: bytes) -> dict[str, Any]:
    analyzer = mien.Analyzer(mien.Settings(detector="mien", threads=1))
    with (
        tempfile.TemporaryDirectory() as home,
        server.running(ServiceSettings(port=0, home=Path(home))) as at,
        closing(HTTPConnection(at.removeprefix("http://"))) as client,
    ):

        def asked(method: str, path: str, body: bytes | None = None) -> None:
            client.request(method, path, body, RAW)
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200

        works = {
            "http": lambda: asked("POST", "/v1/analyze", content),
            "analyze": lambda: analyzer.analyze(content),
            "healthz": lambda: asked("GET", "/healthz"),
        }
        alternately(works, 10)
        batches = []
        for _ in range(BATCHES):
            batches.append(alternately(works, OF_EACH))
            time.sleep(0.2)
    took = min(batches, key=lambda batch: statistics.median(batch["analyze"].wall))
    result: dict[str, Any] = {"batches": BATCHES, "rounds_of_each": OF_EACH}
    for clock in ("wall", "cpu"):
        times = {name: getattr(found, clock) for name, found in took.items()}
        apart = np.subtract(times["http"], times["analyze"])
        result[f"{clock}_ms"] = {name: _ms(seconds) for name, seconds in times.items()} | {
            "http_less_analyze": {f"p{p}": _ms(apart, p / 100) for p in (25, 50, 75)}
        }
    return result


def load(content: bytes, clients: int, seconds: float) -> dict[str, Any]:
    """So many clients on a service of its own, for so long."""
    took: list[float] = []
    statuses: dict[int, int] = {}
    memory: list[float] = []
    lock, ends = threading.Lock(), time.monotonic() + seconds

    def ask(at: str) -> None:
        with httpx.Client(base_url=at, timeout=120) as client:
            while time.monotonic() < ends:
                begun = time.perf_counter()
                answer = client.post("/v1/analyze", content=content, headers=RAW)
                with lock:
                    took.append(time.perf_counter() - begun)
                    statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
                if answer.status_code == 503:
                    time.sleep(float(answer.headers["retry-after"]))

    with (
        tempfile.TemporaryDirectory() as home,
        server.running(ServiceSettings(port=0, home=Path(home))) as at,
    ):
        threads = [threading.Thread(target=ask, args=(at,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        while time.monotonic() < ends:
            time.sleep(min(seconds / 20, 5))
            memory.append(resident_mib())
        for thread in threads:
            thread.join()
    settled = memory[len(memory) // 10 :]  # the first tenth loads the model
    return {
        "clients": clients,
        "seconds": seconds,
        "requests": len(took),
        "a_second": round(len(took) / seconds, 1),
        "p50_ms": _ms(took),
        "p95_ms": _ms(took, 0.95),
        "p99_ms": _ms(took, 0.99),
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "memory_mib": {"early": round(settled[0], 1), "late": round(settled[-1], 1)},
        "memory_grew": round(settled[-1] / settled[0] - 1, 4),
    }


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def batching(content: bytes) -> dict[str, Any]:
    """Crops read alone and together; processor time, as other work has its share of the cores."""
    analyzer = mien.Analyzer(mien.Settings(detector="mien", threads=1))
    frame, faces = analyzer.look(content)
    (face,) = analyzer.recognize(frame, faces)
    crop, rates = pixels(frame, face), BaseRates()
    took: dict[int, list[float]] = {1: [], 2: [], 4: [], 8: [], 16: []}
    whole: list[float] = []
    for _ in range(ROUNDS):
        for count, times in took.items():
            begun = time.thread_time()
            analyzer.recognizer.read([crop] * count, rates)
            times.append((time.thread_time() - begun) / count)
        begun = time.thread_time()
        analyzer.analyze(content)
        whole.append(time.thread_time() - begun)
    alone, all_of_it = statistics.median(took[1]), statistics.median(whole)
    saved = {n: (alone - statistics.median(times)) / all_of_it for n, times in took.items()}
    return {
        "crop_ms": {str(n): _ms(times) for n, times in took.items()},
        "picture_ms": _ms(whole),
        "most_saved_of_a_picture": {str(n): round(share, 4) for n, share in saved.items() if n > 1},
    }


def main(seconds: float = 60.0, only: list[Part] | None = None) -> None:
    content = portrait()
    parts: dict[Part, Callable[[], dict[str, Any]]] = {
        Part.OVERHEAD: lambda: overhead(content),
        Part.BATCHING: lambda: batching(content),
        Part.LOAD: lambda: {"runs": [load(content, clients, seconds) for clients in CLIENTS]},
    }
    result: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    for part in only or list(Part):
        result[part] = provenance.environment() | parts[part]()
        OUT.write_text(json.dumps(result, indent=2) + "\n")
        print(json.dumps(result[part], indent=2))


if __name__ == "__main__":
    typer.run(main)
