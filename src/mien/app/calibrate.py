"""``mien calibrate``: how a model's answers are read, fitted anew."""

from __future__ import annotations

from typing import Annotated

import typer

from ..files import write
from .laboratory import need_torch
from .options import ModelOut, TableFile
from .terminal import say, tell


def calibrate(
    model: Annotated[
        str, typer.Argument(help="A model file of mien's, or the name of the default model.")
    ],
    path: TableFile,
    out: ModelOut,
    split: Annotated[str | None, typer.Option(help="Only this split of the table.")] = None,
    what: Annotated[
        str, typer.Option(metavar="all|intensities", help="What to fit. The rest stays as it is.")
    ] = "all",
) -> None:
    """Make a model as sure as it is right on faces of your own. Its network stays as it is.

    Fits temperature, offsets, the threshold of certainty and prediction sets, and intensities if
    the table has votes or ratings. Cut the faces of the table as the model wants them first (mien
    data align).
    """
    need_torch("writing a model file")
    from ..data import table
    from ..training.export import recalibrated
    from . import console

    faces = table.read(path)
    content, meta = recalibrated(model, faces.of_split(split) if split else faces, what)
    write(out, content)
    strengths = "with" if meta["intensity"] else "without"
    say(
        f"temperature {meta['temperature']:.3f}, uncertain below {meta['uncertain_below']:.3f}, "
        f"{strengths} intensities"
    )
    if what == "all":
        console.calibrated_sets(meta["prediction_sets"])
    tell(out)
