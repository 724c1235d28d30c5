"""``mien evaluate``: a model scored on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files import write
from .faces import faces_in
from .files import ready_charts, write_json
from .options import Alignment, LabelledCrops, Strength, WholeResult, a_number
from .question import Question
from .terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..data.table import Table
    from ..expression.baserates import BaseRates
    from ..expression.recognize import Recognizer


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model of `mien models list`, or an .onnx file. With --run, that run's own if "
            "you do not say."
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help="A folder of labelled pictures, as of `mien train --data`, or a mien table "
            "(.parquet). With --panel, the file of a panel (.toml).",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="DIR",
            help="Test on the pictures that this run of `mien train --data` held back, none of "
            "whose people it was trained on.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Also tell the figures of each group: sex, age_band, camera, whatever column "
            "people.csv or the table has; and the largest gap.",
        ),
    ] = None,
    crops: LabelledCrops = False,
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
            help="Find the faces with this one: mien, yunet or haar. A picture in which it finds "
            "none is left out; if you do not say, it is tried with more room around it.",
        ),
    ] = None,
    pad: Annotated[
        float,
        typer.Option(
            min=0,
            max=2,
            callback=a_number("--pad"),
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
    """Tell how often a model is right on labelled pictures, with intervals and baselines."""
    from ..evaluation import plots as figures
    from ..evaluation.evaluate import TRAINING, settings
    from ..evaluation.evaluate import evaluate as measure
    from ..expression.recognize import load_model
    from ..faces import detect
    from ..training import arrange, folder_run
    from . import console

    Question(
        model=model,
        path=path,
        run=run,
        by=by,
        crops=crops,
        split=split,
        base_rates=base_rates,
        strength=strength,
        detector=detector,
        pad=pad,
        alignment=alignment,
        recipe=recipe,
        stress=stress,
        beside=beside,
        panel=panel,
        together=together,
    ).check()
    if panel:
        assert model
        assert path
        _panel([model, *(beside or ())], path, together, plots, out)
        return
    held_back = folder_run.read(run) if run else None
    name = model or str(held_back.model if held_back else "")
    recognizer = load_model(name)
    finder, trained = detect.build(detector) if detector else None, TRAINING
    if held_back:
        pictures, split, trained = held_back.faces, held_back.tested, held_back.trained
        rates = _of_run(recognizer, base_rates, strength)
    else:
        assert path
        pictures = _pictures(path, split, name, recipe, by)
        rates = settings(recognizer, base_rates or (), strength)
    if recipe:
        pictures, tested, trained = arrange.of_recipe(recipe, pictures, uncut_faces=bool(stress))
        split = split or tested
    elif not (finder or held_back):
        # Under stress a whole face is changed, and only then cut as a model wants it.
        _say_cut(pictures, alignment, recognizer)
        pictures = faces_in(pictures, crops, "box" if stress else alignment, recognizer)
    if stress:
        several = [recognizer, *map(load_model, beside or ())]
        _stress(several, pictures, split, stress, alignment, plots, out)
        return
    result = measure(recognizer, pictures, split, rates, finder, pad, alignment, trained, by)
    write_json(result, out)
    if plots:
        _write_figures(figures.of_evaluation(result), plots)
    console.evaluation(result)


def _of_run(
    recognizer: Recognizer, base_rates: Sequence[str] | None, strength: float | None
) -> list[BaseRates]:
    """Those that the run printed its figures at, unless others are asked for."""
    from ..evaluation.evaluate import settings
    from ..expression.baserates import default_for

    if base_rates or strength is not None:
        return settings(recognizer, base_rates or (), strength)
    return [default_for(recognizer.info.base_rates)]


def _pictures(
    path: Path, split: str | None, model: str, recipe: str | None, by: str | None
) -> Table:
    """The labelled pictures of a folder or a table; says where their figures would flatter."""
    from ..data import table
    from ..data.sets.folder import read_folder
    from ..training import folder_run
    from .data import say_left_out

    pictures = read_folder(path) if path.is_dir() else table.read(path)
    if split and not recipe:
        pictures.of_split(split)  # raises DataError for none, before any face is searched for
    if by:
        pictures.column(by)
    if path.is_dir():
        say_left_out(pictures.notes)
    learnt = folder_run.trained_on(Path(model), pictures)
    if learnt:
        say(
            f"note: {model} was trained on {learnt} of these {len(pictures)} pictures, and figures "
            f"on them flatter; on those held back: mien evaluate --run {Path(model).parent}"
        )
    elif pictures.trained and len(pictures.splits) > 1 and not (split or recipe):
        other = next(name for name in pictures.splits if name not in pictures.trained)
        say(
            f"note: these are all pictures, those of '{pictures.trained[0]}' too; a model that was "
            f"trained on those is tested with --split {other}"
        )
    return pictures


def _say_cut(pictures: Table, alignment: str | None, recognizer: Recognizer) -> None:
    """Say so where faces were cut in another way than the model's users get theirs cut."""
    from ..faces import align

    cut, wanted = pictures.notes.get("align"), align.known(alignment) or recognizer.info.align
    if cut not in (None, align.DEFAULT, wanted):
        say(
            f"note: these faces are cut by '{cut}', and {recognizer.info.name} takes '{wanted}', "
            "so that the figures are not what it is worth; give the table that they were cut from"
        )


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
