"""``mien bulk`` through hours of video: processor time, memory, and the bytes of both engines.

Recordings of an hour each, the media folder's clips one after another, each played again and again,
by two workers: processes of this machine, then Ray's actors. Every frame is to be read, and both
engines are to come to the same partitions. Seconds by the clock hold whatever else the machine is
at; ``processor_s`` hardly does.

    python benchmarks/bulk_hours.py MEDIA
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
import typer

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bulk import timed
from bulk_kills import contents

from mien import provenance
from mien.bulk.ledger import Ledger
from mien.bulk.store import Store

HOUR_S, WORKERS = 3600, 2


def recordings(media: Path, to: Path, hours: int) -> None:
    """Recordings of an hour, of the clips in turn, without encoding them anew."""
    clips = sorted(media.glob("*.mp4"))
    for number in range(hours):
        clip = clips[number % len(clips)]
        words = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(clip)]
        out = str(to / f"{number:03}-{clip.name}")
        subprocess.run([*words, "-t", str(HOUR_S), "-c", "copy", "-an", out], check=True)


def run(source: Path, out: Path, engine: str) -> dict[str, Any]:
    words = ["bulk", str(source), "--out", str(out), "--engine", engine, "-p", str(WORKERS)]
    found = timed([sys.executable, "-m", "mien", *words])
    rows = [row for unit in Ledger(Store(str(out))).done().values() for row in unit]
    records = (pq.ParquetFile(path) for path in (out / "records").rglob("*.parquet"))
    return {
        **provenance.environment(),
        "engine": engine,
        "workers": WORKERS,
        **found,
        "inputs": dict(Counter(row.status for row in rows)),
        "frames": sum(row.frames for row in rows),
        "records": sum(file.metadata.num_rows for file in records),
    }


def main(
    media: Path,
    hours: Annotated[int, typer.Option(min=1)] = 10,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/bulk_hours.json"),
) -> None:
    result: dict[str, Any] = {**provenance.environment(), "hours": hours, "runs": []}
    with tempfile.TemporaryDirectory() as made:
        source, partitions = Path(made) / "in", []
        source.mkdir()
        recordings(media, source, hours)
        for name in ("local", "ray"):
            result["runs"].append(run(source, Path(made) / name, name))
            partitions.append(contents(Path(made) / name))
            result["same_partitions"] = all(one == partitions[0] for one in partitions)
            out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
