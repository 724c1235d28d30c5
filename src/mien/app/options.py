"""Arguments and options that several verbs take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .files import ready_for, ready_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def a_number(option: str, what: str = "a number") -> Callable[[float], float]:
    """What raises ConfigError for ``nan``, which Typer's limits let through."""

    def check(value: float) -> float:
        if value != value:
            raise ConfigError(f"{option} takes {what}, got nan")
        return value

    return check


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
    Path,
    typer.Option("--out", "-o", help="The model to write (.onnx).", callback=ready_for(".onnx")),
]
WholeResult = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Write the whole result as JSON to this file (.json).",
        callback=ready_for(".json"),
    ),
]
Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="NAME=TABLE",
        help="A table with further labels of the same pictures, or with other pictures, for the "
        "recipe's head of this name.",
    ),
]
Rates = Annotated[
    str | None,
    typer.Option(
        "--base-rates",
        metavar="training|equal|FILE",
        help="How common each expression is taken to be: as where the model was trained, all "
        "equally, or as FILE says (JSON or TOML, a rate for each label). If you do not say, mien "
        "goes three quarters of the way from the training's rates to equal ones.",
    ),
]
Strength = Annotated[
    float | None,
    typer.Option(
        "--strength",
        metavar="N",
        min=0,
        max=1,
        help="How far to go to those rates: from 0, not at all, to 1, all the way. 0.75 if you "
        "do not say.",
    ),
]
Coverage = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="With each face the smallest set of expressions that holds the raters' answer with "
        "this probability, 0.9 say.",
    ),
]
Alignment = Annotated[
    str | None,
    typer.Option(
        "--align",
        metavar="NAME",
        help="How faces are cut out: box, similarity, xu2019 or mouth. If you do not say, as those "
        "that the model was trained on.",
    ),
]
Crops = Annotated[
    bool,
    typer.Option(
        "--crops", metavar="", help="Each picture is a face already: do not search for one."
    ),
]
LabelledCrops = Annotated[
    bool,
    typer.Option(
        "--crops",
        metavar="",
        help="The pictures are faces already: do not search for one. Tables that mien cut, "
        "and such of small pictures only, are always taken so.",
    ),
]
Detector = Annotated[
    str,
    typer.Option(
        "--detector",
        "-d",
        metavar="NAME",
        help="What finds the faces: mien, yunet, haar, or auto: yunet if its file is there, "
        "else mien.",
    ),
]
EveryNth = Annotated[int, typer.Option(metavar="N", help="Recordings: read every N-th frame.")]
FramesPerSecond = Annotated[
    float | None, typer.Option(metavar="R", help="Recordings: read R frames of each second.")
]
Smooth = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Recordings: even out what trembles in each face: none, causal (by frames "
        "before), two-sided (by frames before and after).",
    ),
]
NoTracks = Annotated[
    bool,
    typer.Option(
        "--no-tracks",
        metavar="",
        help="Recordings: search each frame anew, and number no faces.",
    ),
]
RangeSeconds = Annotated[
    float,
    typer.Option(
        "--range",
        metavar="SECONDS",
        min=1,
        help="Recordings of twice as much or more are cut into ranges, which are joined again.",
        callback=a_number("--range", "a number of seconds"),
    ),
]
Someone = Annotated[
    str | None,
    typer.Option(
        "--person",
        metavar="NAME",
        help="Read with the recogniser of this person (see mien person).",
    ),
]


def named_tables(pairs: Sequence[str], option: str) -> dict[str, Path]:
    """The tables of an option ``NAME=TABLE``, as often as it was given; raises ConfigError."""
    named = named_texts(pairs, option, "NAME=TABLE (jaffe=jaffe.parquet)")
    return {name: Path(path) for name, path in named.items()}


def named_texts(pairs: Sequence[str], option: str, form: str) -> dict[str, str]:
    """What an option of texts ``NAME=VALUE`` was given; raises ConfigError, which says the form.

    Given twice, a name is an error: one of the two would be dropped unsaid.
    """
    split = [pair.partition("=") for pair in pairs]
    for pair, (name, equals, value) in zip(pairs, split, strict=True):
        if not (name and equals and value):
            raise ConfigError(f"{option} takes {form}, got '{pair}'")
    names = [name for name, _, _ in split]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"{option} names '{twice}' twice")
    return {name: value for name, _, value in split}
