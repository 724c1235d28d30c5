"""``mien reproduce``: a paper's experiments, and its tables with ours beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .files import ready_report
from .laboratory import prepare_training
from .options import named_tables
from .terminal import say, tell


def reproduce(
    paper: Annotated[
        str,
        typer.Argument(
            help="autoencoder2018, biondi2019, dobes2023, iliev2022, xu2019, or a recipe's file."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The folder to write to: a new one, or one that is half done.",
            callback=ready_report,
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            "-d",
            metavar="NAME=TABLE",
            help="A table that the paper's runs take. May be repeated.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="Change a setting in every run with such a section.",
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", metavar="", help="Few rows and two epochs, to see that it works."),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="RUN",
            help="Do this run only; the others stay as the report in --out has them. May be "
            "repeated.",
        ),
    ] = None,
    report_only: Annotated[
        bool,
        typer.Option(
            "--report-only", help="Run nothing: write the report in --out anew from its figures."
        ),
    ] = False,
    accelerator: Annotated[
        str, typer.Option(help="Where to compute: auto, cpu, cuda or mps.")
    ] = "auto",
) -> None:
    """Repeat a paper's experiments, and write its tables with ours beside them.

    If it was cut off, the same command goes on where it stopped.
    """
    prepare_training()
    from ..papers import plans
    from ..papers.reproduce import reproduce as run
    from ..papers.reproduce import rewrite
    from ..training import recipes
    from .console import TrainingBar

    plan = plans.read(recipes.find(paper), overrides or ())
    if report_only:
        rewrite(plan, out)
        tell(out / "report.html")
        return
    tables = named_tables(data or (), "--data")
    try:
        with TrainingBar() as bar:
            failures = run(plan, tables, out, bar, quick, accelerator, only or ())
    except KeyboardInterrupt:
        say("stopped; the same command goes on from the last whole epoch")
        raise
    for name, reason in failures.items():
        say(f"mien: {name} failed: {reason}")
    tell(out / "report.html")
    if failures:
        raise typer.Exit(1)
