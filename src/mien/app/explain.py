"""``mien explain``: which parts of a face speak for an expression."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from ..files import write
from .analysis import DEFAULT_MODEL, reasons
from .files import ready_folder, write_json
from .options import Alignment, Crops, Detector, Model
from .terminal import say, tell

if TYPE_CHECKING:
    from ..analysis.pipeline import Settings


def explain(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Pictures, folders, patterns, or one mien table."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", help="The folder to write to.", callback=ready_folder
        ),
    ],
    emotion: Annotated[
        str,
        typer.Option(
            metavar="top|all|NAME",
            help="Pictures: which expression to explain: the answered one (top), every one, or one "
            "by its name.",
        ),
    ] = "top",
    average: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="A table: how many faces of each expression to average."
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="A table: only this split.")] = None,
    crops: Crops = False,
    detector: Detector = "auto",
    alignment: Alignment = None,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Show which parts of a face speak for an expression, as the model sees it (Grad-CAM).

    An overlay per face, and a JSON file per picture with the shares of eyes, nose, mouth and the
    rest. Of a table: mean maps per expression, whole and with parts hidden.
    """
    tables = [name for name in inputs if name.endswith(".parquet")]
    if average is None and (tables or split):
        raise ConfigError("a table is explained on average: mien explain TABLE --average N")
    if average is None:
        from ..analysis.pipeline import Settings

        _explain(inputs, out, emotion, Settings(model, detector, crops=crops, align=alignment))
    elif len(inputs) == 1 and tables:
        _average(Path(tables[0]), out, average, split, model, alignment)
    else:
        raise ConfigError("--average N takes one mien table (.parquet), and nothing else")


def _explain(inputs: list[str], out: Path, emotion: str, settings: Settings) -> None:
    """Each face of each picture: what could not be read, and how many faces there were."""
    from ..analysis import batch
    from ..analysis.pipeline import Analyzer
    from ..expression.explain import chosen
    from ..media import image

    passed_over = Counter[str]()
    paths = list(image.find(inputs, passed_over=passed_over))
    if passed_over:
        say(f"passed over, by their names: {image.told(passed_over)}")
    analyzer = Analyzer(settings)
    wanted = chosen(emotion, analyzer.explainer.info.label_set)
    jobs = batch.plan(paths, explain=out, emotion=wanted)
    records = list(batch.analyze_files(jobs, analyzer))
    errors = [reason for record in records for reason in reasons(record)]
    for reason in errors:
        say(f"mien: {reason}")
    count = sum(len(record["faces"]) for record in records)
    say(f"{count} {'face' if count == 1 else 'faces'} explained -> {out}")
    if errors:
        raise typer.Exit(1)


def _average(
    path: Path, out: Path, count: int, split: str | None, model: str, alignment: str | None
) -> None:
    """Mean maps of a table's faces: a figure, and what it shows as JSON."""
    from ..data import table
    from ..evaluation import attention
    from ..expression.recognize import load_model

    found = attention.average(load_model(model), table.read(path), split, count, alignment)
    write(out / "average.png", attention.figure(found))
    write_json(found.as_dict(), out / "average.json")
    tell(out / "average.png")
