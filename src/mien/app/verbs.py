"""Every verb of the command line, and the one that is asked for made ready.

Results go to stdout, everything else to stderr. Exit status: 0 done, 1 failed, 2 misused.
Each verb has a module of its name, and heavy imports stay inside the verbs: ``mien --help`` and
``mien analyze`` start quickly.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from .. import __version__
from . import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence


class Verb(NamedTuple):
    """How the help tells of a verb: in which panel, by which example, and where to read more."""

    panel: str
    example: str
    page: str


_DAILY, _LABORATORY = "Every day", "Laboratory"
COMMANDS = {
    "analyze": Verb(_DAILY, "mien analyze holiday --out faces.csv", "pictures.md, recordings.md"),
    "live": Verb(_DAILY, "mien live --record today.jsonl", "live.md"),
    "summary": Verb(_DAILY, "mien summary clip.csv --out sums", "recordings.md"),
    "explain": Verb(_DAILY, "mien explain photo.jpg --out why", "pictures.md"),
    "bulk": Verb(_DAILY, "mien bulk pictures --out read --processes 8", "scale.md"),
    "bench": Verb(_DAILY, "mien bench --picture photo.jpg", "figures.md"),
    "train": Verb(_LABORATORY, "mien train --data my_faces --out runs/mine", "train-your-own.md"),
    "evaluate": Verb(
        _LABORATORY, "mien evaluate --run runs/mine", "train-your-own.md, laboratory.md"
    ),
    "export": Verb(
        _LABORATORY, "mien export runs/mine --data faces.parquet -o mine.onnx", "laboratory.md"
    ),
    "adapt": Verb(_LABORATORY, "mien adapt mien interviews -o ours.onnx", "adapt.md"),
    "calibrate": Verb(
        _LABORATORY, "mien calibrate mine.onnx rated.parquet -o tuned.onnx", "laboratory.md"
    ),
    "quantize": Verb(
        _LABORATORY, "mien quantize mine.onnx faces.parquet -o small.onnx", "laboratory.md"
    ),
    "reproduce": Verb(
        _LABORATORY, "mien reproduce iliev2022 --data jaffe=jaffe.parquet --out iliev", "papers.md"
    ),
}
"""As the help lists them; each is the function of its name in the module of its name."""
GROUPS = {
    "person": Verb(_DAILY, "mien person record Ann", "person.md"),
    "act": Verb(_DAILY, "mien act check rules.toml", "actions.md"),
    "serve": Verb(_DAILY, "mien serve keys add clinic", "serve.md"),
    "models": Verb(_DAILY, "mien models card", "pictures.md"),
    "data": Verb(
        _LABORATORY,
        "mien data import folder my_faces -o mine.parquet",
        "data-sets.md, laboratory.md",
    ),
}
"""Nouns with verbs of their own; each is the ``app`` of the module of its name."""


def main() -> NoReturn:
    """Every verb; errors become one line on stderr and an exit status."""
    terminal.run(lambda: made_for(sys.argv[1:])())


def made_for(words: Sequence[str]) -> typer.Typer:
    """The command line with only the verb that is named, all of them where none is.

    Typer builds every option of every verb before it reads a word, 8 ms of each start, and what is
    not asked for is not even imported. Help, and a near miss, need all.
    """
    app = typer.Typer(
        name="mien",
        help="Reads facial expressions from pictures, recordings and cameras, on your own machine."
        "\n\nAn expression is not a determination of what a person feels.",
        epilog="mien VERB --help explains one of them. Begin with: mien analyze photo.jpg",
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        callback=_every_verb,
    )
    verb = "".join(words[:1])
    every = (*COMMANDS, *GROUPS)
    for name in (verb,) if verb in every else every:
        module = import_module(f".{name}", __package__)
        told = COMMANDS.get(name) or GROUPS[name]
        how: dict[str, Any] = {"rich_help_panel": told.panel, "epilog": _epilog(told)}
        if name in COMMANDS:
            app.command(**how)(getattr(module, name))
        else:
            app.add_typer(module.app, name=name, **how)
    return app


def _epilog(told: Verb) -> str:
    pages = " and ".join(f"docs/{page}" for page in told.page.split(", "))
    return f"For example: {told.example}\n\nMore: {pages}"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


def _every_verb(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    pass
