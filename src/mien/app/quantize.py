"""``mien quantize``: a model in eight bits."""

from __future__ import annotations

from typing import Annotated

import typer

from ..files import write
from .laboratory import need_torch
from .options import ModelOut, TableFile
from .terminal import say, tell


def quantize(
    model: Annotated[
        str, typer.Argument(help="A model file of mien's, or the name of the default model.")
    ],
    path: TableFile,
    out: ModelOut,
    split: Annotated[str | None, typer.Option(help="Only this split of the table.")] = None,
) -> None:
    """Make a model smaller and faster: eight bits, a quarter of the size.

    The scales come from faces of the table, cut as the model wants them. Compare the two with
    mien evaluate before you use the small one.
    """
    need_torch("writing a model file")
    from ..data import table
    from ..expression.recognize import load_model
    from ..training import quantize as bits

    faces = table.read(path)
    faces = faces.of_split(split) if split else faces
    crops = bits.some(faces)
    before = load_model(model)
    write(out, bits.quantized(before, crops, out.stem))
    alike = bits.agreement(before, load_model(out), crops)
    say(f"the same expression on {alike['same_label']:.1%} of {alike['faces']} faces")
    tell(out)
