"""The command line: parse, call the library, print.

Results go to stdout, everything else to stderr. Exit status: 0 done, 1 failed, 2 misused.
Heavy imports stay inside the verbs, so that ``mien --help`` and ``mien analyze`` start quickly.
"""

from __future__ import annotations

import copy
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from . import __version__, analysis, terminal
from .analysis import DEFAULT_MODEL, MOST_REASONS, reasons
from .cli_act import act_app
from .cli_live import live
from .cli_options import Alignment, Crops, Detector, Model, Rates, Someone, Strength
from .cli_person import person_app
from .cli_summary import summary
from .errors import ConfigError
from .terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .recognize import Recognizer
    from .table import Table

app = typer.Typer(
    name="mien",
    help="Reads facial expressions from pictures, on your own machine.\n\n"
    "An expression is not a determination of what a person feels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Data sets: import, describe, audit, look at.", no_args_is_help=True)
models_app = typer.Typer(help="Models: what there is, fetch, describe.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")
app.command()(live)
app.command()(summary)
app.add_typer(act_app, name="act")
app.add_typer(person_app, name="person")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _every_verb(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    pass


TableFile = Annotated[Path, typer.Argument(help="A mien table (.parquet).")]
OptionalOut = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write the whole result as JSON to this file.")
]


@app.command()
def analyze(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Pictures, recordings, folders, glob patterns; rtsp://, http://."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write to this file; its suffix gives the format."
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            help="jsonl, csv or parquet; or another tool's: pyfeat, openface, deepface, bids.",
        ),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write each picture or recording with boxes and bars into DIR."
        ),
    ] = None,
    draw: Annotated[
        list[str] | None,
        typer.Option(
            metavar="landmarks|intensity",
            help="What else --annotate draws: the 68 landmarks; intensities as bars and in the "
            "corner. May be repeated.",
        ),
    ] = None,
    explained: Annotated[
        Path | None,
        typer.Option(
            "--explain", metavar="DIR", help="Write where the model looked, face by face, into DIR."
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
        typer.Option("--processes", "-p", metavar="N", min=1, help="How many pictures at once."),
    ] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace --out if it is there.")
    ] = False,
    every: Annotated[
        int, typer.Option(metavar="N", help="Of recordings: every so many-th frame.")
    ] = 1,
    fps: Annotated[
        float | None, typer.Option(metavar="R", help="Of recordings: R frames of each second.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of recordings: from 90, 1:30 or 1:02:03 on.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of recordings: up to this time.")
    ] = None,
    smooth: Annotated[
        str,
        typer.Option(metavar="NAME", help="Of recordings: none, causal or two-sided, per face."),
    ] = "none",
    no_tracks: Annotated[
        bool,
        typer.Option("--no-tracks", metavar="", help="Of recordings: search each frame anew."),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", metavar="", help="Go on with --out where a run was cut off."),
    ] = False,
    person: Someone = None,
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
    )
    if status := analysis.analyze(wanted):
        raise typer.Exit(status)


@app.command()
def explain(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Pictures, folders, patterns; or one mien table."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where it all goes.")],
    emotion: Annotated[
        str,
        typer.Option(metavar="NAME|top|all", help="Which expression is explained in pictures."),
    ] = "all",
    average: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Of a table: the mean of N maps of each expression."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of a table: only this split.")] = None,
    crops: Crops = False,
    detector: Detector = "auto",
    alignment: Alignment = None,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Show which parts of a face speak for an expression, as the model sees it (Grad-CAM).

    An overlay per face and expression, and a JSON file per picture with the shares of eyes, nose,
    mouth and the rest. Of a table: mean maps per expression, whole and with parts hidden.
    """
    from . import batch, image
    from . import explain as maps
    from .pipeline import Analyzer, Settings

    tables = [name for name in inputs if name.endswith(".parquet")]
    if average is None and (tables or split):
        raise ConfigError("a table is explained on average: mien explain TABLE --average N")
    if average is not None:
        if len(inputs) != 1 or not tables:
            raise ConfigError("--average N takes one mien table (.parquet), and nothing else")
        _average(Path(tables[0]), out, average, split, model, alignment)
        return
    paths = list(image.find(inputs))
    analyzer = Analyzer(Settings(model, detector, crops=crops, align=alignment))
    wanted = maps.chosen(emotion, analyzer.explainer.info.label_set)
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
    from . import attention, table
    from .recognize import load_model

    found = attention.average(load_model(model), table.read(path), split, count, alignment)
    _write_bytes(attention.figure(found), out / "average.png")
    _write_json(found.as_dict(), out / "average.json")
    typer.echo(out / "average.png")


@data_app.command("import")
def data_import(
    name: Annotated[
        str,
        typer.Argument(
            help="300w, affectnet, ckplus, csv, enterface05, faces10k, fer2013, ferplus, folder, "
            "jaffe, kdef, lfw, mug, mug-frames, mug-intensity, rafd, rafdb or videos; see "
            "docs/data-sets.md."
        ),
    ],
    path: Annotated[
        Path, typer.Argument(help="Where the data set lies, as its owner lays it out.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (.parquet).")],
    fps: Annotated[
        float | None,
        typer.Option(metavar="N", help="Of videos: how many frames to take of each second."),
    ] = None,
) -> None:
    """Turn a data set in its owner's layout into one mien table."""
    from . import table
    from .datasets import importers

    importer = importers.build(name)
    result = importer.read(path, fps)
    table.write(result, out)
    say(f"{out}: {len(result)} pictures in {', '.join(result.splits)}")
    say(f"terms of use: {importer.terms}")
    notes = result.notes
    missing = {**notes.get("unreadable", {}), **notes.get("left_out", {})}
    for what, reason in list(missing.items())[:MOST_REASONS]:
        say(f"left out {what}: {reason}")
    if len(missing) > MOST_REASONS:
        say(f"left out {len(missing) - MOST_REASONS} more; the table's notes name all")


@data_app.command("teach")
def data_teach(
    path: TableFile,
    points: Annotated[
        Path,
        typer.Option("--points", help="A table with landmarks placed by hand (`import 300w`)."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (.parquet).")],
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
) -> None:
    """Let MediaPipe's face mesh place landmarks on face crops that have none."""
    from . import table, teach

    faces = table.read(path)
    by_hand = table.read(points).of_split("train")
    mesh = teach.FaceMesh()
    result = teach.teach(
        faces if split is None else faces.of_split(split), mesh, teach.fitted(mesh, by_hand)
    )
    table.write(result, out)
    say(f"{out}: {len(result)} faces, none seen in {result.notes['without_face']} pictures")


@data_app.command("align")
def data_align(
    path: TableFile,
    alignment: Annotated[str, typer.Option("--align", help="box, similarity, xu2019 or mouth.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (.parquet).")],
    size: Annotated[int, typer.Option(min=8, max=1024, help="Pixels of a side.")] = 48,
) -> None:
    """Cut the faces of a table of crops by their landmarks, for training on."""
    from . import table
    from .cut import aligned

    result = aligned(table.read(path), alignment, size)
    table.write(result, out)
    whole = result.notes["whole"]
    seen = f"no face seen in {whole} of {len(result)} pictures, which stay whole"
    rest = f"; {seen}" if whole else ""
    say(f"{out}: {len(result) - whole} faces cut by {alignment}{rest}")


@data_app.command("strong")
def data_strong(
    path: TableFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (.parquet).")],
    share: Annotated[
        float,
        typer.Option(metavar="N", min=0, max=1, help="Of a sequence's peak, at least so strong."),
    ] = 0.8,
    least: Annotated[
        float, typer.Option(metavar="N", min=0, max=1, help="A sequence's peak is at least this.")
    ] = 0.5,
    look: Annotated[
        Path | None, typer.Option("--sheet", help="A picture of what was chosen (.png).")
    ] = None,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Keep the frames of each sequence that show its expression strongly, as a model measures it.

    For recordings from neutral to a peak and back, whose owners do not say where the peak is.
    """
    from . import batch, strong, table
    from .recognize import load_model

    takes = strong.measured(table.read(path), load_model(model), share, least)
    result = strong.kept(table.read(path), takes)
    table.write(result, out)
    if look:
        batch.save(strong.sheet(takes, f"{result.name}: strong frames"), look)
    weak = sum(not take.kept.any() for take in takes)
    say(f"{out}: {len(result)} frames of {len(takes) - weak} sequences; {weak} show too little")


@data_app.command("decoys")
def data_decoys(
    folder: Annotated[Path, typer.Argument(help="Pictures without people.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (.parquet).")],
    faces: Annotated[
        Path | None,
        typer.Option("--faces", help="A table with landmarks: windows beside its faces too."),
    ] = None,
    hard: Annotated[
        bool,
        typer.Option(
            "--hard", metavar="", help="Only what the landmark network itself takes for a face."
        ),
    ] = False,
) -> None:
    """Collect what the cascades take for faces and is none: non-faces to train on."""
    from . import decoys, table
    from .landmarker import Landmarker

    if hard:
        result = decoys.hard(folder, Landmarker())
    else:
        result = decoys.mine(folder, table.read(faces).of_split("train") if faces else None)
    table.write(result, out)
    say(f"{out}: {len(result)} decoys")


@data_app.command("join")
def data_join(
    paths: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="mien tables.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (.parquet).")],
) -> None:
    """Put several tables into one, one below the other."""
    from . import table

    result = table.join([table.read(path) for path in paths], out.stem)
    table.write(result, out)
    say(f"{out}: {len(result)} pictures in {', '.join(result.splits)}")


@data_app.command("stats")
def data_stats(path: TableFile, out: OptionalOut = None) -> None:
    """Mean and deviation per channel, sizes, and counts per split and label."""
    from . import console, stats, table

    result = stats.channel_stats(table.read(path)).as_dict()
    _write_json(result, out)
    console.stats(result)


@data_app.command("audit")
def data_audit(path: TableFile, out: OptionalOut = None) -> None:
    """Duplicates and near duplicates, across splits too, and labels that contradict each other."""
    from . import audit, console, table

    result = audit.audit(table.read(path)).as_dict()
    _write_json(result, out)
    console.audit(result)


@data_app.command("split")
def data_split(
    path: TableFile,
    by: Annotated[str, typer.Option(help="random, stratified, subject or sequence.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (.parquet).")],
    train: Annotated[float, typer.Option(help="The share that trains.")] = 0.8,
    select: Annotated[float, typer.Option(help="The share that selects the best epoch.")] = 0.1,
    test: Annotated[float, typer.Option(help="The share that tests.")] = 0.1,
    folds: Annotated[
        int, typer.Option(metavar="K", help="Split into K folds instead of by shares.")
    ] = 0,
    fold: Annotated[
        int, typer.Option(metavar="I", help="Which fold, from 0, tests; the one after it selects.")
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, another split.")] = 1,
) -> None:
    """Deal a table's rows anew to train, select and test."""
    from . import splits, table

    settings = splits.Split(by, train, select, test, folds, fold, seed)
    result = splits.split(table.read(path), settings)
    table.write(result, out)
    done = result.notes["split"]
    sides = ", ".join(f"{side} {n:,}" for side, n in done["rows"].items())
    say(f"{out}: {len(result):,} pictures: {sides}")
    for side, labels in done["labels_missing"].items():
        say(f"{side} has no {', '.join(labels)}")


@data_app.command("sheet")
def data_sheet(
    path: TableFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write (.png).")],
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    per_label: Annotated[int, typer.Option(min=1, help="Pictures per label.")] = 12,
) -> None:
    """A contact sheet: a random row of pictures for every label."""
    from . import batch, sheet, table

    batch.save(sheet.contact_sheet(table.read(path), per_label=per_label, split=split), out)
    say(f"{out}")


Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also", metavar="NAME=TABLE", help="The table of a further head of the recipe's."
    ),
]


@app.command()
def train(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            "-d",
            help="A mien table (.parquet); without a recipe also a folder, <label>/*.jpg.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder, new or half done.")],
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A recipe that comes with mien (iliev2022, ...), or a .toml file. Without one: "
            "the default model, trained further on --data and exported."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Start from an earlier run's weights.safetensors, or from an .onnx of mien's.",
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A model whose answers are part of the targets."),
    ] = None,
    also: Also = None,
    devices: Annotated[
        int, typer.Option(metavar="N", min=1, help="Devices of this machine that share a batch.")
    ] = 1,
    nodes: Annotated[
        int, typer.Option(metavar="N", min=1, help="Machines; start the command on every one.")
    ] = 1,
) -> None:
    """Train a recipe; the same command in the same folder goes on where it stopped."""
    # Read by OpenMP when torch loads: waiting threads sleep instead of spinning, which is
    # several times faster wherever another process wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _needs("torch", "training")
    from . import recipes
    from .console import TrainingBar
    from .train import train as run

    if recipe is None and (teacher or also or nodes > 1):
        raise ConfigError("--teacher, --also and --nodes go with a recipe: mien train RECIPE ...")
    try:
        if recipe is None:
            _train_folder(data, out, overrides or (), accelerator, init, devices)
            return
        what = recipes.read(recipes.find(recipe), overrides or ())
        with TrainingBar() as bar:
            weights = run(
                what,
                data,
                out,
                bar,
                accelerator,
                init,
                teacher,
                devices,
                nodes,
                also=_named_tables(also or []),
            )
    except KeyboardInterrupt:
        say("stopped; the same command goes on from the last whole epoch")
        raise
    typer.echo(weights)


def _train_folder(
    data: Path,
    out: Path,
    overrides: Sequence[str],
    accelerator: str,
    init: Path | None,
    devices: int,
) -> None:
    from . import console, finetune

    with console.TrainingBar() as bar:
        trained = finetune.train_folder(data, out, bar, overrides, accelerator, init, devices)
    console.trained(trained.report)
    typer.echo(trained.model)
    say(f"use it: mien analyze --model {shlex.quote(str(trained.model))} photo.jpg")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A model of `mien models list`, or an .onnx file.")],
    path: TableFile,
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
            metavar="DIR", help="Draw the confusion matrix and the reliability there, or curves."
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
        typer.Option(metavar="MODEL", help="With --stress: another model, on the same pictures."),
    ] = None,
    out: OptionalOut = None,
) -> None:
    """Score a model on a table of face crops (or pictures), with intervals and baselines."""
    from . import console, detect, recipes, splits, table
    from .arrange import arrange
    from .baserates import DEFAULT_STRENGTH, BaseRates
    from .evaluate import TRAINING
    from .evaluate import evaluate as run
    from .recognize import load_model

    if beside and not stress:
        raise ConfigError("--beside goes with --stress: mien evaluate MODEL TABLE --stress all")
    recognizer = load_model(model)
    known = recognizer.info.base_rates is not None
    names = base_rates or (["training", "equal"] if known else ["training"])
    rates = [BaseRates(name, DEFAULT_STRENGTH if strength is None else strength) for name in names]
    finder = detect.build(detector) if detector else None
    pictures, trained = table.read(path), TRAINING
    if recipe:
        what = recipes.read(recipes.find(recipe))
        if not isinstance(what, recipes.ExpressionRecipe):
            raise ConfigError(f"{recipe} trains {what.task}; a recipe of expressions is needed")
        whole, trained = pictures, what.data.train
        pictures = arrange(what, pictures)
        split = split or what.data.test
        if stress and what.cut:  # light and distance are the whole face's
            pictures = splits.uncut(pictures, whole)
    if stress:
        if base_rates or strength is not None or finder or pad:
            raise ConfigError("--stress takes face crops, and a model as it is used by default")
        _stress(
            [recognizer, *map(load_model, beside or ())],
            pictures,
            split,
            stress,
            alignment,
            plots,
            out,
        )
        return
    result = run(recognizer, pictures, split, rates, finder, pad, alignment, trained)
    _write_json(result, out)
    if plots:
        _plot(result, plots)
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
    from . import console, plots, stress

    names = stress.named(conditions)
    result = stress.stress(recognizers, pictures, split, names, alignment)
    _write_json(result, out)
    if folder:
        title = f"{pictures.name}, {result['data']['split']}: {result['data']['n']:,} pictures"
        for measure in ("accuracy", "balanced_accuracy"):
            content = plots.stress(result, measure, title=title)
            _write_bytes(content, folder / f"stress-{measure.replace('_', '-')}.png")
        say(f"plots: {folder}")
    console.stressed(result)


def _plot(result: dict[str, Any], folder: Path) -> None:
    """Each base-rate setting's confusion matrix and reliability as pictures."""
    from . import plots

    for part in result["results"]:
        name = Path(part["base_rates"]["target"]).stem
        _write_bytes(plots.confusion(part["confusion"]), folder / f"confusion-{name}.png")
        _write_bytes(plots.reliability(part["reliability"]), folder / f"reliability-{name}.png")
    say(f"plots: {folder}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    data: Annotated[Path, typer.Option("--data", "-d", help="The table it was trained on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The model to write (.onnx).")],
    figures: Annotated[
        list[Path] | None,
        typer.Option("--figures", help="What `mien evaluate --out` wrote; goes into the card."),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="best|last", help="Of the epoch best on the select split, or of the last."
        ),
    ] = "best",
    head: Annotated[
        str, typer.Option(metavar="NAME", help="Of several heads, the one that answers.")
    ] = "own",
    also: Also = None,
) -> None:
    """Calibrate a run's weights and write them as one self-describing ONNX file."""
    _needs("torch", "exporting a model")
    from .export import export as write

    meta = write(run, data, out, figures or (), weights, None, head, _named_tables(also or []))
    if "temperature" in meta:
        say(f"temperature {meta['temperature']:.3f}, uncertain below {meta['uncertain_below']:.3f}")
    say(f"torch and ONNX Runtime within {meta['card']['parity']['largest_difference']:.1e}")
    typer.echo(out)


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="A model file of mien's, or the default's name.")],
    path: TableFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The model to write (.onnx).")],
    split: Annotated[str | None, typer.Option(help="Only this split of the table.")] = None,
    what: Annotated[
        str, typer.Option(metavar="all|intensities", help="What is fitted; the rest stays.")
    ] = "all",
) -> None:
    """Fit how a model's answers are read on faces of your own, its network left as it is.

    Temperature, offsets and the threshold of certainty; and intensities, where the table has votes
    or ratings. The table's faces are to be cut as the model wants them (mien data align).
    """
    _needs("torch", "writing a model file")
    from . import table
    from .export import recalibrated

    faces = table.read(path)
    content, meta = recalibrated(model, faces.of_split(split) if split else faces, what)
    _write_bytes(content, out)
    strengths = "with" if meta["intensity"] else "without"
    say(
        f"temperature {meta['temperature']:.3f}, uncertain below {meta['uncertain_below']:.3f}, "
        f"{strengths} intensities"
    )
    typer.echo(out)


@app.command()
def quantize(
    model: Annotated[str, typer.Argument(help="A model file of mien's, or the default's name.")],
    path: TableFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The model to write (.onnx).")],
    split: Annotated[str | None, typer.Option(help="Only this split of the table.")] = None,
) -> None:
    """Write a model in eight bits: a quarter of the size, and faster on most processors.

    Its scales are taken from faces of the table, cut as the model wants them. Compare the two with
    mien evaluate before you use it.
    """
    _needs("torch", "writing a model file")
    from . import quantize as bits
    from . import table
    from .recognize import load_model

    faces = table.read(path)
    faces = faces.of_split(split) if split else faces
    crops = bits.some(faces)
    before = load_model(model)
    _write_bytes(bits.quantized(before, crops, out.stem), out)
    alike = bits.agreement(before, load_model(out), crops)
    say(f"the same expression on {alike['same_label']:.1%} of {alike['faces']} faces")
    typer.echo(out)


@app.command()
def reproduce(
    paper: Annotated[
        str,
        typer.Argument(
            help="autoencoder2018, biondi2019, dobes2023, iliev2022, xu2019, or a recipe's file."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder, new or half done.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", "-d", metavar="NAME=TABLE", help="A table it takes; may be repeated."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override it in every run."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", metavar="", help="Few rows, two epochs: to see that it works."),
    ] = False,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Do a paper's experiments and write its tables with ours beside them.

    The same command in the same folder goes on where it stopped.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _needs("torch", "training")
    from . import recipes
    from .console import TrainingBar
    from .reproduce import reproduce as run

    plan = recipes.reproduction(recipes.find(paper), overrides or ())
    with TrainingBar() as bar:
        failures = run(plan, _named_tables(data or []), out, bar, quick, accelerator)
    for name, reason in failures.items():
        say(f"mien: {name} failed: {reason}")
    typer.echo(out / "report.html")
    if failures:
        raise typer.Exit(1)


def _named_tables(pairs: list[str]) -> dict[str, Path]:
    """--data NAME=TABLE, as often as given."""
    split = [pair.partition("=") for pair in pairs]
    for pair, (name, equals, path) in zip(pairs, split, strict=True):
        if not (name and equals and path):
            raise ConfigError(f"--data takes NAME=TABLE (jaffe=jaffe.parquet), got '{pair}'")
    return {name: Path(path) for name, _, path in split}


@models_app.command("list")
def models_list() -> None:
    """Every model mien knows, and where its file lies on this machine."""
    from . import console, weights

    console.models(weights.CATALOGUE.values())


@models_app.command("pull")
def models_pull(name: Annotated[str, typer.Argument(help="A name of `mien models list`.")]) -> None:
    """Fetch a model's file, check its sha256 and keep it."""
    from . import weights

    typer.echo(weights.pull(name))


@models_app.command("import")
def models_import(
    name: Annotated[str, typer.Argument(help="A name of `mien models list`.")],
    file: Annotated[Path, typer.Argument(help="Its file, from wherever it was found.")],
) -> None:
    """Check the sha256 of a model's file and keep a copy, as if it had been pulled."""
    from . import weights

    typer.echo(weights.take(name, file))


@models_app.command("card")
def models_card(
    model: Annotated[str, typer.Argument(help="A model, or an .onnx file.")] = DEFAULT_MODEL,
) -> None:
    """What a model is, was trained on, and scores: its card, as Markdown."""
    from . import cards, console, landmarker, proposals, weights
    from .recognize import load_model

    finders: dict[str, type[landmarker.Landmarker] | type[proposals.Proposer]] = {
        landmarker.NAME: landmarker.Landmarker,
        proposals.NAME: proposals.Proposer,
    }
    if model in finders:
        said = finders[model]().meta
        console.markdown(cards.finder_card(model, said, weights.spec(model).sha256))
    else:
        console.markdown(cards.card(load_model(model).info))


@app.command()
def bench(
    model: Model = DEFAULT_MODEL,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Detect on this picture instead of noise.")
    ] = None,
    repeat: Annotated[
        int, typer.Option(metavar="N", min=1, help="Timings of one face; the others take fewer.")
    ] = 300,
) -> None:
    """Speed and memory on this machine, as JSON."""
    from . import image
    from .bench import bench as run

    pixels = image.read_file(picture) if picture else None
    typer.echo(json.dumps(run(model, pixels, repeat), indent=2))


def _needs(library: str, purpose: str) -> None:
    from importlib.util import find_spec

    from .errors import MissingExtra

    if find_spec(library) is None:
        raise MissingExtra(library, "train", purpose)


def _write_json(result: dict[str, Any], out: Path | None) -> None:
    if out:
        _write_bytes((json.dumps(result, indent=2) + "\n").encode(), out)


def _write_bytes(content: bytes, out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(content)
    except OSError as err:
        from .errors import OutputError

        raise OutputError(f"cannot write {out}: {err.strerror}") from err


def main() -> NoReturn:
    """Every verb; errors become one line on stderr and an exit status."""
    terminal.run(lambda: _app_for(sys.argv[1:])())


def _app_for(words: list[str]) -> typer.Typer:
    """The command line with only the verb that is named, all of them where none is.

    Typer builds every option of every verb before it reads a word, 8 ms of each start.
    """
    verb = "".join(words[:1])
    groups = [group for group in app.registered_groups if group.name == verb]
    commands = [
        command
        for command in app.registered_commands
        if verb == (command.name or (command.callback and command.callback.__name__))
    ]
    if not groups and not commands:  # help, a near miss
        return app
    one = copy.copy(app)
    one.registered_groups, one.registered_commands = groups, commands
    return one
