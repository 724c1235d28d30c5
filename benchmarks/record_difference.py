"""How far the records of two commits lie apart: of each picture and frame, and each number in them.

Each commit's source analyses the pictures and recordings of a folder. Where ``same_output.py`` says
whether anything differs, this says what, and by how much.

    python benchmarks/record_difference.py MEDIA --before 061a952
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from same_output import PICTURES, RECORDINGS, ROOT, unpacked

from mien import provenance

SAID = ("track", "top", "uncertain")
"""What a face's record says in words or whole numbers: the same, or not."""
Record = dict[str, Any]


def records(source: Path, media: Path, out: Path) -> dict[tuple[str, int], Record]:
    """What a source tree's ``mien analyze`` says of each file and frame."""
    files = sorted(str(p) for p in media.iterdir() if p.suffix in PICTURES + RECORDINGS)
    words = ["-m", "mien", "analyze", *files, "--detector", "mien", "-o", str(out)]
    subprocess.run([sys.executable, *words], check=True, env={"PYTHONPATH": str(source)})
    told = map(json.loads, out.read_text().splitlines())
    return {(Path(one["source"]).name, one["frame"]): one for one in told}


def numbers(face: Record) -> Iterator[tuple[str, list[float]]]:
    """A face's numbers by what they are of; angles and scores among the quality."""
    yield "box_px", face["box"]
    yield "landmarks_px", [v for point in face["landmarks"] or [] for v in point]
    yield "probability", list(face["emotions"].values())
    yield "intensity", list((face["intensity"] or {}).values())
    yield "picture_quality", [face["picture_quality"]]
    yield "detector_score", [face["score"]]
    yield "quality_px_or_levels", [face["quality"][k] for k in ("size_px", "sharpness")]
    rest = {k: v for k, v in face["quality"].items() if k not in ("size_px", "sharpness")}
    yield "quality_shares_and_angles", [v for v in rest.values() if v is not None]


def compared(old: Record, new: Record, apart: dict[str, list[float]]) -> list[str]:
    """What two records of one frame say otherwise; how far numbers lie apart goes to ``apart``."""
    if old["status"] != new["status"] or len(old["faces"]) != len(new["faces"]):
        return ["faces"]
    other = []
    for one, two in zip(old["faces"], new["faces"], strict=True):
        other += [name for name in SAID if one[name] != two[name]]
        for (name, a), (_, b) in zip(numbers(one), numbers(two), strict=True):
            apart[name].append(float(np.abs(np.subtract(a, b)).max(initial=0.0)))
    return other


def main(
    media: Path,
    before: Annotated[str, typer.Option(help="An earlier commit.")] = "061a952",
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/record_difference.json"),
) -> None:
    apart: dict[str, list[float]] = defaultdict(list)
    otherwise: dict[str, int] = defaultdict(int)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        earlier = unpacked(before, folder / "earlier") / "src"
        old = records(earlier, media, folder / "old.jsonl")
        new = records(ROOT / "src", media, folder / "new.jsonl")
    assert old.keys() == new.keys()
    for place, record in old.items():
        for what in compared(record, new[place], apart):
            otherwise[what] += 1
    result: dict[str, Any] = provenance.environment() | {
        "before_commit": before,
        "records": len(old),
        "faces": len(apart["box_px"]),
        "same_records": sum(old[place] == new[place] for place in old),
        "said_otherwise": dict(otherwise),
        "largest_in_a_face": {
            kind: {f"q{q}": round(float(np.quantile(all_of, q / 100)), 5) for q in (50, 95, 100)}
            for kind, all_of in apart.items()
        },
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
