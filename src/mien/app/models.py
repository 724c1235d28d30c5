"""``mien models``: what there is, fetched and described."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .analysis import DEFAULT_MODEL
from .terminal import tell

app = typer.Typer(help="Models: list, fetch and describe them.", no_args_is_help=True)


@app.command("list")
def models_list() -> None:
    """List every model that mien knows, and where its file is on this machine.

    Below them other model files on MIEN_MODELS, as a reproduction leaves them.
    """
    from ..weights import catalogue
    from . import console

    console.models(catalogue.CATALOGUE.values())
    console.own_models(catalogue.own())


@app.command("pull")
def models_pull(name: Annotated[str, typer.Argument(help="A name of `mien models list`.")]) -> None:
    """Fetch a model's file, check its sha256 and keep it."""
    from ..weights import catalogue

    tell(catalogue.pull(name))


@app.command("import")
def models_import(
    name: Annotated[str, typer.Argument(help="A name of `mien models list`.")],
    file: Annotated[Path, typer.Argument(help="Its file, wherever you got it.")],
) -> None:
    """Check the sha256 of a model's file and keep a copy, as if it had been pulled."""
    from ..weights import catalogue

    tell(catalogue.take(name, file))


@app.command("card")
def models_card(
    model: Annotated[str, typer.Argument(help="A model, or an .onnx file.")] = DEFAULT_MODEL,
) -> None:
    """Show a model's card: what it is, what it was trained on, how good it is."""
    from ..evaluation import cards
    from . import console

    console.markdown(cards.of(model))
