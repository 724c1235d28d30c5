"""Every verb of the command line, and the one that is asked for made ready.

Results go to stdout, everything else to stderr. Exit status: 0 done, 1 failed, 2 misused.
Each verb has a module of its name, and heavy imports stay inside the verbs: ``mien --help`` and
``mien analyze`` start quickly.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from .. import __version__
from . import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    "live",
    "summary",
    "analyze",
    "explain",
    "train",
    "evaluate",
    "export",
    "calibrate",
    "quantize",
    "reproduce",
    "bench",
)
"""As the help lists them; each is the function of its name in the module of its name."""
GROUPS = ("data", "models", "act", "person")
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
        help="Reads facial expressions from pictures, on your own machine.\n\n"
        "An expression is not a determination of what a person feels.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        callback=_every_verb,
    )
    verb = "".join(words[:1])
    every = (*COMMANDS, *GROUPS)
    for name in (verb,) if verb in every else every:
        module = import_module(f".{name}", __package__)
        if name in COMMANDS:
            app.command()(getattr(module, name))
        else:
            app.add_typer(module.app, name=name)
    return app


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
