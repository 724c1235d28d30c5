"""``mien quantize``: a model in eight bits."""

from __future__ import annotations

from typing import Annotated

import typer

from ..files import write
from .laboratory import need_torch
from .options import ModelOut, TableFile
from .terminal import say, tell


def quantize(
    model: Annotated[str, typer.Argument(help="A model file of mien's, or a model's name.")],
    path: TableFile,
    out: ModelOut,
    split: Annotated[
        list[str] | None, typer.Option(help="Only this split of the table; may be repeated.")
    ] = None,
) -> None:
    """Make a model smaller and faster: eight bits, a quarter of the size.

    The scales come from faces of the table, cut as the model wants them. Compare the two with
    mien evaluate before you use the small one.
    """
    need_torch("writing a model file")
    from ..data import table
    from ..expression.recognize import load_model
    from ..training import quantize as bits
    from .faces import cut_for, faces_in

    faces = table.read(path)
    faces = faces.of_split(*split) if split else faces
    finder = bits.read_finder(model)
    if finder is not None:
        small = bits.finder(finder, faces, out.stem)
        write(out, small)
        say(f"its answers differ by {bits.difference(finder, small, faces):.2g}, on average")
        tell(out)
        return
    before = load_model(model)
    chosen = faces_in(bits.some(faces), False, None, before)
    crops = list(cut_for(chosen, path, before, model).pictures())
    write(out, bits.quantized(before, crops, out.stem))
    alike = bits.agreement(before, load_model(out), crops)
    say(f"the same expression on {alike['same_label']:.1%} of {alike['faces']} faces")
    tell(out)
