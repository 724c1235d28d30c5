"""``mien summary``: what a recording's records come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MissingExtra
from .files import ready_folder
from .terminal import say, tell


def summary(
    path: Annotated[
        Path,
        typer.Argument(metavar="RECORDS", help="What `mien analyze --out` wrote."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Write it to this folder. Without it, mien only shows it.",
            callback=ready_folder,
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            metavar="P", help="An episode begins when an expression is at least so probable."
        ),
    ] = 0.5,
    shortest: Annotated[
        float, typer.Option(metavar="S", help="An episode lasts at least so many seconds.")
    ] = 0.2,
) -> None:
    """How long each face of a recording showed what: shares, episodes, and a timeline.

    Writes summary.csv, episodes.csv, and for each recording a BIDS events.tsv and a timeline (with
    the extra plot).
    """
    from ..results import summary as sums
    from ..results import timeline
    from . import console

    rule = sums.Rule(threshold, min(sums.Rule().leave, threshold), shortest)
    recordings = sums.read(path)
    if out:  # first: whoever looks at the table may have gone
        sums.write(recordings, out, rule)
        try:
            timeline.draw(recordings, out, rule)
        except MissingExtra as err:  # the tables are what it is for
            say(f"the tables are written, no timeline is: {err}")
    console.summary(recordings, rule)
    if out:
        tell(out)
