"""Arguments and options that several verbs take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .files import ready, ready_table

if TYPE_CHECKING:
    from collections.abc import Sequence

Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", metavar="NAME|FILE", help="One of `mien models list`, or an .onnx file."
    ),
]
TableFile = Annotated[Path, typer.Argument(help="A mien table (.parquet).")]
TableOut = Annotated[
    Path, typer.Option("--out", "-o", help="The table to write (.parquet).", callback=ready_table)
]
ModelOut = Annotated[
    Path, typer.Option("--out", "-o", help="The model to write (.onnx).", callback=ready)
]
WholeResult = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Write the whole result as JSON to this file.", callback=ready
    ),
]
Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also", metavar="NAME=TABLE", help="The table of a further head of the recipe's."
    ),
]
Rates = Annotated[
    str | None,
    typer.Option(
        "--base-rates",
        metavar="training|equal|FILE",
        help="How common each expression is taken to be; FILE is JSON or TOML, a rate per label. "
        "Without it: half way to equal, where the model knows its training rates.",
    ),
]
Strength = Annotated[
    float | None,
    typer.Option(
        "--strength",
        metavar="N",
        min=0,
        max=1,
        help="How far to turn to those rates: 0 none, 1 wholly; 0.5 unless said.",
    ),
]
Alignment = Annotated[
    str | None,
    typer.Option(
        "--align",
        metavar="NAME",
        help="How faces are cut: box, similarity, xu2019 or mouth. Without it: as the model was "
        "trained.",
    ),
]
Crops = Annotated[
    bool,
    typer.Option("--crops", metavar="", help="Each picture is one face crop: no detector."),
]
Detector = Annotated[
    str, typer.Option("--detector", "-d", metavar="NAME", help="auto, mien, yunet or haar.")
]
Someone = Annotated[
    str | None,
    typer.Option(
        "--person", metavar="NAME", help="Read with this person's own recogniser (mien person)."
    ),
]


def named_tables(pairs: Sequence[str]) -> dict[str, Path]:
    """The tables of ``NAME=TABLE``, as often as it was given; raises ConfigError."""
    split = [pair.partition("=") for pair in pairs]
    for pair, (name, equals, path) in zip(pairs, split, strict=True):
        if not (name and equals and path):
            raise ConfigError(f"--data takes NAME=TABLE (jaffe=jaffe.parquet), got '{pair}'")
    return {name: Path(path) for name, _, path in split}
