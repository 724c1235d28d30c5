"""``mien bench``: speed and memory on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .analysis import DEFAULT_MODEL
from .options import Model


def bench(
    model: Model = DEFAULT_MODEL,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Search for faces in this picture instead of in noise."),
    ] = None,
    repeat: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="How often to time one face. Other timings take fewer."
        ),
    ] = 300,
) -> None:
    """Measure speed and memory on this machine, as JSON."""
    from ..analysis.bench import bench as run
    from ..media import image

    pixels = image.read_file(picture) if picture else None
    typer.echo(json.dumps(run(model, pixels, repeat), indent=2))
