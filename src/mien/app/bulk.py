"""``mien bulk``: many files, on many processes or machines, and nothing lost."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .analysis import DEFAULT_MODEL, MOST_REASONS
from .options import (
    Alignment,
    Coverage,
    Crops,
    Detector,
    EveryNth,
    FramesPerSecond,
    Model,
    NoTracks,
    RangeSeconds,
    Rates,
    Smooth,
    Strength,
)
from .terminal import say, tell

if TYPE_CHECKING:
    from ..bulk.ledger import Totals
    from ..bulk.progress import Progress

_EVERY_S = 1.0


def bulk(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, or a manifest (.csv, .parquet) whose column 'source' names the files; "
            "on a disk, or s3://, gs://, hdfs://. Or the word status, and DIR: how far a run is.",
        ),
    ],
    folder: Annotated[
        str | None, typer.Argument(metavar="[DIR]", help="Of mien bulk status.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder of the records and the ledger, on a disk or elsewhere. The same "
            "command goes on where a run was killed.",
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="local|ray", help="Processes of this machine, or Ray.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Of a Ray cluster; else Ray begins one here."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes", "-p", metavar="N", min=1, help="Workers, at most; else all processors."
        ),
    ] = None,
    retry_errors: Annotated[
        bool,
        typer.Option(
            "--retry-errors",
            metavar="",
            help="Read those again that could not be read, or not to their end.",
        ),
    ] = False,
    tries: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Of a file that cannot be fetched, or that ends the process reading it.",
        ),
    ] = 3,
    range_s: RangeSeconds = 300.0,
    metrics: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=1, max=65535, help="Where Prometheus may ask."),
    ] = None,
    crops: Crops = False,
    detector: Detector = "auto",
    alignment: Alignment = None,
    model: Model = DEFAULT_MODEL,
    base_rates: Rates = None,
    strength: Strength = None,
    every: EveryNth = 1,
    fps: FramesPerSecond = None,
    smooth: Smooth = "none",
    no_tracks: NoTracks = False,
    coverage: Coverage = None,
) -> None:
    """Read the expressions of many files; killed and begun again, nothing is lost or done twice."""
    if source == "status" and folder is not None:
        _status(folder)
        return
    if source == "status" and out is None:
        raise ConfigError("mien bulk status tells how far a run is; name its folder behind it")
    if folder is not None:
        raise ConfigError(f"mien bulk takes one SOURCE, got {source} and {folder}")
    if not out:
        raise ConfigError("mien bulk writes into a folder; name it with --out DIR")
    from ..analysis.pipeline import Settings
    from ..analysis.recording import Options
    from ..bulk.engines import engine as engine_of
    from ..bulk.progress import serve_metrics
    from ..bulk.request import Request
    from ..bulk.run import run
    from ..expression.baserates import asked
    from ..media.video import Span
    from ..weights import session

    session.prepare()
    rates = asked(base_rates, strength)
    settings = Settings(model, detector, rates, crops, alignment, 1, coverage=coverage)
    options = Options(Span(every=every, fps=fps), not no_tracks, smooth)
    request = Request(_absolute(source), _absolute(out), settings, options, range_s, tries)
    workers = engine_of(engine, processes, address)
    ends: list[Callable[[], None]] = [workers.close]
    shown = _Shown()

    def show(progress: Progress) -> None:
        if metrics is not None and len(ends) == 1:
            ends.append(serve_metrics(progress, metrics))
        shown.show(progress)

    try:
        totals = run(request, workers, retry_errors=retry_errors, told=say, shown=show)
    except (KeyboardInterrupt, SystemExit):
        shown.end()
        say("the same command goes on from there")
        raise
    finally:
        shown.end()
        for end in ends:
            end()
    _summarise(totals, out)
    if totals.errors or totals.in_part:
        raise typer.Exit(1)


def _absolute(address: str) -> str:
    """As it is called from every folder and machine; raises ConfigError for no name at all.

    That is what a shell's variable that is not set comes to, and no wish for the folder one is in.
    """
    import os

    from ..bulk.store import is_elsewhere, split

    if not address:
        raise ConfigError("an empty name is no folder; is a variable not set?")
    if not is_elsewhere(address):
        return os.path.abspath(os.path.expanduser(address))
    head, inside = split(address)
    return "/".join(filter(None, [head, inside.rstrip("/")]))


class _Shown:
    """One line on a terminal, written anew; a line every minute elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._every_s = _EVERY_S if self._live else 60.0
        self._last = time.monotonic() - (0 if not self._live else self._every_s)
        self._open = False

    def show(self, progress: Progress) -> None:
        if time.monotonic() - self._last < self._every_s:
            return
        self._last = time.monotonic()
        if self._live:
            print(f"\r\x1b[K{progress.line()}", end="", file=sys.stderr, flush=True)
            self._open = True
        else:
            say(progress.line())

    def end(self) -> None:
        if self._open:
            print(file=sys.stderr)
            self._open = False


def _summarise(totals: Totals, out: str) -> None:
    for count, reason in totals.told(MOST_REASONS):
        say(f"mien: {count:,} x {reason}" if count > 1 else f"mien: {reason}")
    say(
        f"{totals.files:,} files, {totals.frames:,} frames, {totals.faces:,} faces, "
        f"{totals.errors:,} errors{_in_part(totals)} -> {out}"
    )


def _in_part(totals: Totals) -> str:
    return f", {totals.in_part:,} read in part" if totals.in_part else ""


def _status(folder: str) -> None:
    from ..bulk.ledger import what_of
    from ..bulk.run import status

    inputs, totals, damaged = status(_absolute(folder))
    for name in damaged:
        say(f"{what_of(name)}; the same mien bulk command reads its inputs again")
    tell(
        f"{totals.files:,} of {inputs:,} files are done, {totals.errors:,} of them errors"
        f"{_in_part(totals)}"
    )
    tell(f"{totals.frames:,} frames, {totals.faces:,} faces, {totals.seconds:,.0f} worker seconds")
    for count, reason in totals.told(MOST_REASONS):
        tell(f"{count:>8,}  {reason}")
