"""``mien export``: a run as one model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .laboratory import need_torch
from .options import Also, ModelOut, named_tables
from .terminal import say, tell


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    data: Annotated[Path, typer.Option("--data", "-d", help="The table it was trained on.")],
    out: ModelOut,
    figures: Annotated[
        list[Path] | None,
        typer.Option("--figures", help="What `mien evaluate --out` wrote, for the model's card."),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="best|last",
            help="The weights of the best epoch on the select split, or of the last epoch.",
        ),
    ] = "best",
    head: Annotated[
        str, typer.Option(metavar="NAME", help="Which head answers, if the run has several.")
    ] = "own",
    also: Also = None,
) -> None:
    """Turn a finished run into one model file (.onnx) that says all that is needed to use it."""
    need_torch("exporting a model")
    from ..training import checkpoint
    from ..training.export import export as write
    from . import console

    heads = named_tables(also or (), "--also")
    meta = write(run, data, out, figures or (), weights, None, head, heads)
    if "temperature" in meta:
        say(f"temperature {meta['temperature']:.3f}, uncertain below {meta['uncertain_below']:.3f}")
        console.calibrated_sets(meta["prediction_sets"])
    done = meta["card"]["training"]["epochs"]
    of = checkpoint.kept(run / "recipe.json")["recipe"]["train"]["epochs"]
    if done < of:
        say(f"{run} stands at epoch {done} of {of}: this is what it has learnt so far")
    say(f"torch and ONNX Runtime within {meta['card']['parity']['largest_difference']:.1e}")
    tell(out)
