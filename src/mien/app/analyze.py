"""``mien analyze``: the expression of every face in pictures and recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import analysis
from .analysis import DEFAULT_MODEL
from .options import (
    Alignment,
    Coverage,
    Crops,
    Detector,
    EveryNth,
    FramesPerSecond,
    Model,
    NoTracks,
    Rates,
    Smooth,
    Someone,
    Strength,
)


def analyze(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Pictures, recordings, folders, patterns such as '*.jpg', or a stream's address.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write to this file. Its ending says the format: .csv, .xlsx (Excel), .jsonl or "
            ".parquet.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            help="table (for people), csv, csv-semicolon (with decimal commas), xlsx, jsonl, "
            "parquet, or as other tools write: pyfeat, openface, deepface, bids.",
        ),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a copy of each picture or recording with boxes and bars into DIR.",
        ),
    ] = None,
    draw: Annotated[
        list[str] | None,
        typer.Option(
            metavar="landmarks|intensity",
            help="What else --annotate draws: the 68 landmarks, or intensities as bars and in the "
            "corner. May be repeated.",
        ),
    ] = None,
    explained: Annotated[
        Path | None,
        typer.Option(
            "--explain",
            metavar="DIR",
            help="Write into DIR, for each face, a picture of where the model looked.",
        ),
    ] = None,
    crops: Crops = False,
    detector: Detector = "auto",
    alignment: Alignment = None,
    model: Model = DEFAULT_MODEL,
    base_rates: Rates = None,
    strength: Strength = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", "-p", metavar="N", min=1, help="How many pictures to read at once."
        ),
    ] = 1,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", metavar="", help="Replace the file of --out if there is one."),
    ] = False,
    every: EveryNth = 1,
    fps: FramesPerSecond = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Recordings: begin at this time, as 90, 1:30 or 1:02:03."
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="Recordings: stop at this time.")
    ] = None,
    smooth: Smooth = "none",
    no_tracks: NoTracks = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", metavar="", help="Go on with the file of --out where a run was cut off."
        ),
    ] = False,
    person: Someone = None,
    coverage: Coverage = None,
) -> None:
    """Read the expression of every face in pictures and recordings.

    A table on a terminal; JSON lines into a pipe; or a file with --out, and its meta file.
    """
    wanted = analysis.Wanted(
        inputs,
        out,
        form,
        annotate,
        tuple(draw or ()),
        explained,
        crops,
        detector,
        alignment,
        model,
        base_rates,
        strength,
        processes,
        overwrite,
        every,
        fps,
        start,
        end,
        smooth,
        no_tracks,
        resume,
        person,
        coverage,
    )
    if status := analysis.analyze(wanted):
        raise typer.Exit(status)
