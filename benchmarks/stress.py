"""The default model and its peers under occlusion, blur, noise and the like, on the same pictures.

FER+ PublicTest, every so-manieth row. Peers need ``MIEN_MODELS``.

    python benchmarks/stress.py ferplus.parquet
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.data import table
from mien.evaluation import stress
from mien.expression.recognize import load_model
from mien.weights.catalogue import DEFAULT_MODEL

PEERS = ("face-api", "mini-xception")
PICTURES = 1000


def main(
    ferplus: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/stress.json"),
) -> None:
    faces = table.read(ferplus).of_split("PublicTest")
    every = -(-len(faces) // PICTURES)
    some = faces.keep(i % every == 0 for i in range(len(faces)))
    models = [load_model(name, threads=1) for name in (DEFAULT_MODEL, *PEERS)]
    result = stress.stress(models, some, "PublicTest")
    result["data"]["every"] = every
    out.write_text(json.dumps(result, indent=2) + "\n")
    for name, curves in result["results"].items():
        typer.echo(f"{name:18} clean {curves['clean']['accuracy']:.3f}")


if __name__ == "__main__":
    typer.run(main)
