"""Whether two commits write the same, byte for byte; dates and versions aside.

Each commit's source analyses the pictures and recordings of a folder in every format that it knows,
and sums the recordings up. Pictures drawn and timelines are compared, too.

    python benchmarks/same_output.py MEDIA main HEAD
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

ROOT = Path(__file__).resolve().parents[1]
PICTURES, RECORDINGS = (".jpg", ".png"), (".mp4", ".mkv")
PASSING = ("date", "versions", "commit")
"""What tells when and by what a file was written, not what was found."""


def unpacked(commit: str, place: Path) -> Path:
    """The files of a commit."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, "src", "recipes"],
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(place, filter="data")
    return place


def commands(media: Path) -> Iterator[list[str]]:
    """What is run in an empty folder, one after the other."""
    pictures = sorted(str(p) for p in media.iterdir() if p.suffix in PICTURES)
    recordings = sorted(str(p) for p in media.iterdir() if p.suffix in RECORDINGS)
    for suffix in ("jsonl", "csv", "parquet"):
        yield ["analyze", *pictures, *recordings, "-o", f"all.{suffix}"]
    for form in ("pyfeat", "openface", "deepface"):
        yield ["analyze", *pictures, *recordings, "--format", form, "-o", f"{form}.out"]
    for number, recording in enumerate(recordings, 1):
        out = f"sub-{number:02d}_recording-face_physio.tsv.gz"
        yield ["analyze", recording, "--format", "bids", "-o", out]
    drawn = ["--annotate", "drawn", "--draw", "landmarks", "--explain", "explained"]
    yield ["analyze", *pictures, "-o", "drawn.jsonl", *drawn]
    yield ["analyze", *recordings, "-o", "smooth.jsonl", "--smooth", "two-sided", "--fps", "10"]
    yield ["analyze", *pictures, "--detector", "haar", "--base-rates", "training", "-o", "haar.csv"]
    yield ["summary", "all.jsonl", "--out", "summary"]


def written(source: Path, media: Path, out: Path) -> dict[str, str]:
    """Every file that a commit's mien writes, by name, with what its bytes come to."""
    environment = os.environ | {"PYTHONPATH": str(source / "src")}
    out.mkdir()
    for words in commands(media):
        command = [sys.executable, "-m", "mien", *words]
        done = subprocess.run(command, cwd=out, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{source.name}: mien {' '.join(words)}: {done.stderr}")
    files = sorted(p for p in out.rglob("*") if p.is_file())
    return {str(p.relative_to(out)): hashlib.sha256(lasting(p)).hexdigest() for p in files}


def lasting(path: Path) -> bytes:
    """A file's bytes; of a JSON object without what passes."""
    content = path.read_bytes()
    if path.suffix != ".json":
        return content
    return json.dumps(without(json.loads(content))).encode()


def without(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without(v) for k, v in value.items() if k not in PASSING}
    return [without(v) for v in value] if isinstance(value, list) else value


def main(
    media: Annotated[Path, typer.Argument(help="A folder of pictures and recordings.")],
    before: Annotated[str, typer.Argument(help="A commit.")],
    after: Annotated[str, typer.Argument(help="Another one.")] = "HEAD",
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, commit in (("before", before), ("after", after)):
            source = unpacked(commit, Path(folder) / name)
            found.append(written(source, media.resolve(), Path(folder) / f"{name}-out"))
    old, new = found
    different = sorted(name for name in old | new if old.get(name) != new.get(name))
    for name in different:
        there = "differs" if name in old and name in new else "is written by one of them only"
        typer.echo(f"{name} {there}")
    typer.echo(f"{len(old)} files of {before}, {len(new)} of {after}, {len(different)} different")
    raise typer.Exit(bool(different))


if __name__ == "__main__":
    typer.run(main)
