"""The command line: parse, call the library, print.

Results go to stdout, everything else to stderr. Exit status: 0 done, 1 failed, 2 misused.
Heavy imports stay inside the verbs, so that ``mien --help`` and ``mien analyze`` start quickly.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .errors import ConfigError, InputError, MienError

app = typer.Typer(
    name="mien",
    help="Reads facial expressions from pictures, on your own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Data sets: import, describe, audit.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting of the recipe."),
]


@data_app.command("import")
def data_import(
    name: Annotated[str, typer.Argument(help="fer2013, ferplus, jaffe or folder")],
    path: Annotated[
        Path, typer.Argument(help="Where the data set lies, as its owner lays it out.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (.parquet).")],
) -> None:
    """Turn a data set in its owner's layout into one mien table."""
    from . import table
    from .datasets import importers

    result = importers.build(name).read(path)
    table.write(result, out)
    typer.echo(f"{out}: {len(result)} pictures in {', '.join(result.splits)}", err=True)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe (.toml).")],
    data: Annotated[Path, typer.Option("--data", "-d", help="A mien table (.parquet).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder, new or half done.")],
    overrides: Set = None,
) -> None:
    """Train a recipe; the same command in the same folder goes on where it stopped."""
    # Read by OpenMP when torch loads: waiting threads sleep instead of spinning, which is
    # several times faster wherever another process wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from . import recipes
    from .console import TrainingBar
    from .train import train as run

    with TrainingBar() as bar:
        weights = run(recipes.read(recipe, overrides or ()), data, out, bar)
    typer.echo(weights)


def main() -> None:
    """The entry point: mien's own errors become one line on stderr and an exit status."""
    try:
        app()
    except (ConfigError, InputError) as err:
        sys.exit(_report(err, 2))
    except MienError as err:
        sys.exit(_report(err, 1))
    except KeyboardInterrupt:
        sys.exit(_report("stopped; what was done so far is kept", 130))
    except BrokenPipeError:
        os._exit(1)  # the reader of our output has gone: nothing left to say, or to flush


def _report(message: object, status: int) -> int:
    typer.echo(f"mien: {message}", err=True)
    return status
