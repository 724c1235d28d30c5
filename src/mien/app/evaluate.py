"""``mien evaluate``: a model scored on a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .files import ready_charts, write, write_json
from .options import Alignment, Strength, WholeResult
from .terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..data.table import Table
    from ..expression.recognize import Recognizer


def evaluate(
    model: Annotated[str, typer.Argument(help="A model of `mien models list`, or an .onnx file.")],
    path: Annotated[
        Path, typer.Argument(help="A mien table (.parquet); with --panel the panel's file (.toml).")
    ],
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    base_rates: Annotated[
        list[str] | None,
        typer.Option("--base-rates", metavar="training|equal|FILE", help="May be repeated."),
    ] = None,
    strength: Strength = None,
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector", "-d", help="Cut the face out first, with auto, mien, yunet or haar."
        ),
    ] = None,
    pad: Annotated[
        float,
        typer.Option(min=0, max=2, help="With --detector: widen pictures by this share first."),
    ] = 0.0,
    alignment: Alignment = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME|FILE",
            help="Score on this recipe's test split, after its [copies] and [split].",
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw the confusion matrix and the reliability there, or curves.",
            callback=ready_charts,
        ),
    ] = None,
    stress: Annotated[
        str | None,
        typer.Option(
            metavar="all|NAME,...",
            help="Accuracy against more and more occlusion, blur, brightness, noise, jpeg, "
            "resolution, rotation of face crops, instead.",
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL", help="With --stress or --panel: another model, on the same pictures."
        ),
    ] = None,
    panel: Annotated[
        bool,
        typer.Option(
            "--panel",
            metavar="",
            help="Several data sets at once: what each was to the model, and what turning to equal "
            "base rates buys and costs there.",
        ),
    ] = False,
    out: WholeResult = None,
) -> None:
    """Score a model on a table of face crops (or pictures), with intervals and baselines."""
    from ..data import table
    from ..evaluation import plots as figures
    from ..evaluation.evaluate import TRAINING, settings
    from ..evaluation.evaluate import evaluate as run
    from ..expression.recognize import load_model
    from ..faces import detect
    from ..training import arrange
    from . import console

    if beside and not (stress or panel):
        raise ConfigError(
            "--beside goes with --stress or --panel: mien evaluate MODEL TABLE --stress all"
        )
    if panel:
        if split or base_rates or strength is not None or detector or pad or alignment or recipe:
            raise ConfigError("--panel reads each set as its file says, at every strength")
        if stress:
            raise ConfigError("--panel and --stress are two questions: ask one at a time")
        _panel([model, *(beside or ())], path, plots, out)
        return
    recognizer = load_model(model)
    rates = settings(recognizer, base_rates or (), strength)
    finder = detect.build(detector) if detector else None
    pictures, trained = table.read(path), TRAINING
    if recipe:
        pictures, tested, trained = arrange.of_recipe(recipe, pictures, uncut_faces=bool(stress))
        split = split or tested
    if stress:
        if base_rates or strength is not None or finder or pad:
            raise ConfigError("--stress takes face crops, and a model as it is used by default")
        several = [recognizer, *map(load_model, beside or ())]
        _stress(several, pictures, split, stress, alignment, plots, out)
        return
    result = run(recognizer, pictures, split, rates, finder, pad, alignment, trained)
    write_json(result, out)
    if plots:
        _write_figures(figures.of_evaluation(result), plots)
    console.evaluation(result)


def _stress(
    recognizers: Sequence[Recognizer],
    pictures: Table,
    split: str | None,
    conditions: str,
    alignment: str | None,
    folder: Path | None,
    out: Path | None,
) -> None:
    from ..evaluation import plots, stress
    from . import console

    names = stress.named(conditions)
    result = stress.stress(recognizers, pictures, split, names, alignment)
    write_json(result, out)
    if folder:
        _write_figures(plots.of_stress(result), folder)
    console.stressed(result)


def _panel(models: Sequence[str], path: Path, folder: Path | None, out: Path | None) -> None:
    from ..evaluation import panel, plots
    from ..expression.recognize import load_model
    from . import console

    result = panel.panel([load_model(name) for name in models], panel.read(path))
    write_json(result, out)
    console.panel(result)
    if folder:
        _write_figures(plots.of_panel(result), folder)


def _write_figures(figures: Iterable[tuple[str, bytes]], folder: Path) -> None:
    for name, content in figures:
        write(folder / name, content)
    say(f"plots: {folder}")
