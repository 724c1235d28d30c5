"""``mien evaluate``: a model scored on a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from ..files import write
from .files import ready_charts, write_json
from .options import Alignment, Strength, WholeResult
from .terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..data.table import Table
    from ..expression.recognize import Recognizer


def evaluate(
    model: Annotated[str, typer.Argument(help="A model of `mien models list`, or an .onnx file.")],
    path: Annotated[
        Path,
        typer.Argument(help="A mien table (.parquet). With --panel, the file of a panel (.toml)."),
    ],
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    base_rates: Annotated[
        list[str] | None,
        typer.Option(
            "--base-rates",
            metavar="training|equal|FILE",
            help="How common each expression is taken to be. May be repeated.",
        ),
    ] = None,
    strength: Strength = None,
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector",
            "-d",
            help="Pictures are whole photographs: find the face first, with auto, mien, yunet "
            "or haar.",
        ),
    ] = None,
    pad: Annotated[
        float,
        typer.Option(
            min=0,
            max=2,
            help="With --detector: widen each picture by this share of its side first, for "
            "tight crops.",
        ),
    ] = 0.0,
    alignment: Alignment = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME|FILE",
            help="Score on the test side of this recipe, dealt and copied as the recipe says.",
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw figures there: the confusion matrix and the reliability; with --stress "
            "or --panel, curves.",
            callback=ready_charts,
        ),
    ] = None,
    stress: Annotated[
        str | None,
        typer.Option(
            metavar="all|NAME,...",
            help="Measure instead how accuracy falls with more and more occlusion, blur, "
            "brightness, noise, jpeg, resolution, rotation and the like.",
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="With --stress or --panel: another model, on the same pictures. May be repeated.",
        ),
    ] = None,
    panel: Annotated[
        bool,
        typer.Option(
            "--panel",
            metavar="",
            help="Measure on several data sets at once. Tells what each was to the model, and what "
            "going to equal base rates gains and costs.",
        ),
    ] = False,
    together: Annotated[
        bool,
        typer.Option("--together", metavar="", help="With --panel: also the mean of all models."),
    ] = False,
    out: WholeResult = None,
) -> None:
    """Tell how often a model is right on labelled faces, with intervals and baselines."""
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
    if together and not panel:
        raise ConfigError("--together goes with --panel and --beside")
    if panel:
        if split or base_rates or strength is not None or detector or pad or alignment or recipe:
            raise ConfigError("--panel reads each set as its file says, at every strength")
        if stress:
            raise ConfigError("--panel and --stress are two questions: ask one at a time")
        _panel([model, *(beside or ())], path, together, plots, out)
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


def _panel(
    models: Sequence[str], path: Path, together: bool, folder: Path | None, out: Path | None
) -> None:
    from ..evaluation import panel, plots
    from ..expression.recognize import load_model
    from . import console

    result = panel.panel([load_model(name) for name in models], panel.read(path), together)
    write_json(result, out)
    console.panel(result)
    if folder:
        _write_figures(plots.of_panel(result), folder)


def _write_figures(figures: Iterable[tuple[str, bytes]], folder: Path) -> None:
    for name, content in figures:
        write(folder / name, content)
    say(f"plots: {folder}")
