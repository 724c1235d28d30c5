"""``mien summary``: what a recording's records come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MissingExtra
from .files import ready_folder
from .terminal import say, say_damage, tell

_NAMED = 5  # pictures that were left out


def summary(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="RECORDS", help="What `mien analyze --out` wrote, or a folder of `mien bulk`."
        ),
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
    from ..results.reading import Damage
    from . import console

    rule = sums.Rule(threshold, min(sums.Rule().leave, threshold), shortest)
    damage, alone = Damage(), list[str]()
    recordings = sums.read(path, damage, alone)
    if path.is_dir():
        _say_how_far(path)
    if out:  # first: whoever looks at the table may have gone
        sums.write(recordings, out, rule)
        try:
            timeline.draw(recordings, out, rule)
        except MissingExtra as err:  # the tables are what it is for
            say(f"the tables are written, no timeline is: {err}")
    console.summary(recordings, rule)
    if out:
        tell(out)
    if alone:
        say(f"left out, as there is one record of each: {_named(alone)}")
    if damage.count:
        say_damage(damage)
        raise typer.Exit(1)


def _say_how_far(folder: Path) -> None:
    """What is not in the records of a folder of mien bulk, if there is anything."""
    from ..bulk.run import status

    inputs, totals, damaged = status(str(folder))
    left = inputs - totals.files
    if left or totals.errors or totals.in_part or damaged:
        say(
            f"{left:,} of {inputs:,} inputs are not read yet, {totals.errors:,} could not be, "
            f"{totals.in_part:,} were in part: mien bulk status {folder}"
        )


def _named(sources: list[str]) -> str:
    """The first of them, and how many there are besides."""
    more = len(sources) - _NAMED
    return ", ".join(sources[:_NAMED]) + (f" and {more} more" if more > 0 else "")
