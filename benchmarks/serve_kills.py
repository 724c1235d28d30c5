"""Services killed (``-9``) while recordings wait: every one is done, once, as if nothing had been.

    python benchmarks/serve_kills.py MEDIA
    python benchmarks/serve_kills.py MEDIA --services 2
    python benchmarks/serve_kills.py MEDIA --database postgresql://mien@/postgres?host=DIR \
        --restart "pg_ctl -D DIR/data -m immediate restart"

Hands in so many recordings, the first ``--long`` of them long enough to be cut into ranges, then
kills a service at random moments and starts it again; with ``--restart`` the database is restarted
in the middle, too. In the end every job has to be done, and its records have to be those of
``mien analyze``, byte for byte.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import av
import httpx
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mien
from mien import provenance
from mien.media.image import RECORDINGS
from mien.service.client import Job
from tests.servers import free_port

OUT = Path(__file__).parent / "results" / "serve_kills.json"
SEED = 1
RANGE_S, LONG_S, LONG_FPS = 20, 100, 12
READY_S, ALL_S = 120, 1800


@dataclass
class Service:
    """A service in a process of its own, started anew as often as it is killed."""

    port: int
    home: Path
    database: str | None
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        words = [sys.executable, "-m", "mien", "serve", "--port", str(self.port)]
        words += ["--range", str(RANGE_S)]
        words += ["--database", self.database] if self.database else []
        with (self.home / f"log-{self.port}").open("ab") as log:
            self.process = subprocess.Popen(
                words, env=os.environ | {"MIEN_HOME": str(self.home)}, stdout=log, stderr=log
            )
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.address}/readyz", timeout=5).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise SystemExit(f"the service at {self.address} never got ready")

    def kill(self) -> None:
        """At once, and it alone: what analyses for it goes on by itself."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def long_one(clips: list[Path], path: Path) -> Path:
    """A recording that is cut: the longest clip to and fro."""
    clip = max(clips, key=lambda each: each.stat().st_size)
    with av.open(str(clip)) as source:
        pictures = [
            frame.to_ndarray(format="rgb24", width=640, height=360)
            for frame in source.decode(video=0)
        ][::2]
    to_and_fro = itertools.cycle([*pictures, *pictures[-2:0:-1]])
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("h264", rate=LONG_FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for picture in itertools.islice(to_and_fro, LONG_S * LONG_FPS):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def undisturbed(clip: Path, options: dict[str, Any], folder: Path) -> bytes:
    """What the command line writes of a recording."""
    out = folder / "undisturbed.jsonl"
    words = [sys.executable, "-m", "mien", "analyze", clip.name, "--out", str(out), "--overwrite"]
    words += [w for name, value in options.items() for w in (f"--{name}", str(value))]
    subprocess.run(words, cwd=clip.parent, check=True, capture_output=True)
    return out.read_bytes()


def run(
    clips: list[Path],
    recordings: int,
    long: int,
    kills: int,
    services: int,
    database: str | None,
    restart: str | None,
    folder: Path,
) -> dict[str, Any]:
    draw = random.Random(SEED)
    running = [Service(free_port(), folder, database) for _ in range(services)]
    for service in running:
        service.start()
    asked: list[tuple[Path, dict[str, Any]]] = [
        (clips[i % len(clips)], {"start": i % 3, "end": i % 3 + 2}) for i in range(recordings)
    ]
    whole = long_one(clips, folder / "long.mp4")
    asked[:long] = [(whole, {"smooth": ("none", "two-sided")[i % 2]}) for i in range(long)]
    with mien.Client(running[0].address) as client:
        jobs = [client.analyze_video(clip, **options).id for clip, options in asked]
    pauses = [round(draw.uniform(0.5, 6), 2) for _ in range(kills)]
    for number, pause in enumerate(pauses):
        time.sleep(pause)
        one = running[number % services]
        one.kill()
        if restart and number == kills // 2:
            subprocess.run(shlex.split(restart), check=True, stdout=subprocess.DEVNULL)
        one.start()
    begun, states = time.monotonic(), Counter[str]()
    with mien.Client(running[0].address) as client:
        while time.monotonic() < begun + ALL_S:
            told = [Job(client, id).state() for id in jobs]
            states = Counter(each["state"] for each in told)
            if not states["queued"] + states["running"]:
                break
            time.sleep(1)
        expected = {str(each): undisturbed(*each, folder) for each in asked}
        same = 0
        for each, id in zip(asked, jobs, strict=True):
            found = Job(client, id).save(folder / "found.jsonl").read_bytes()
            same += found == expected[str(each)]
    for service in running:
        service.stop()
    return {
        "database": (database or "sqlite").partition(":")[0],
        "database_restarted": restart is not None,
        "services": services,
        "recordings": recordings,
        "long": {"recordings": long, "seconds": LONG_S, "range_s": RANGE_S},
        "kills": kills,
        "pauses_s": pauses,
        "states": dict(states),
        "byte_equal": same,
        "jobs_listed": len({*jobs}),
    }


def main(
    media: Path,
    recordings: int = 20,
    long: int = 2,
    kills: int = 10,
    services: int = 1,
    database: Annotated[str | None, typer.Option()] = None,
    restart: Annotated[str | None, typer.Option()] = None,
) -> None:
    clips = sorted(path for path in media.rglob("*") if path.suffix.lower() in RECORDINGS)
    with tempfile.TemporaryDirectory() as folder:
        found = run(clips, recordings, long, kills, services, database, restart, Path(folder))
    kept = json.loads(OUT.read_text())["runs"] if OUT.exists() else []
    which = ("database", "database_restarted", "services")
    kept = [one for one in kept if any(one[name] != found[name] for name in which)]
    found = provenance.environment() | found
    OUT.write_text(json.dumps({"runs": [*kept, found]}, indent=1) + "\n")
    typer.echo(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
