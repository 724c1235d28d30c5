"""``mien data``: data sets imported, described, audited, looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from .analysis import DEFAULT_MODEL, MOST_REASONS
from .files import ready_for, write_json
from .options import Model, TableFile, TableOut, WholeResult, a_number, named_texts
from .terminal import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..data.table import Table

app = typer.Typer(help="Data sets: import, describe, check and look at them.", no_args_is_help=True)


@app.command("import")
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
    out: TableOut,
    fps: Annotated[
        float | None,
        typer.Option(metavar="N", help="Videos: how many frames to take of each second."),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="NONE..MOST",
            help="csv, folder: what intensities go from and to: 0..100 for per cent, 0..5 for five "
            "levels above none, 1..5 where 1 is none. If you do not say, 0..1.",
        ),
    ] = None,
) -> None:
    """Turn a data set in its owner's layout into one mien table."""
    from ..data import table
    from ..data.sets import importers
    from ..data.sets.intensities import scale_of

    importer = importers.build(name)
    result = importer.read(path, fps, scale_of(scale) if scale else None)
    table.write(result, out)
    say(f"{out}: {len(result)} pictures in {', '.join(result.splits)}")
    say(f"terms of use: {importer.terms}")
    _say_intensities(result)
    say_left_out(result.notes)


def _say_intensities(result: Table) -> None:
    """What was read of the raters' columns, and which pictures nobody rated; the first of many."""
    found = result.notes.get("intensities")
    if found is None:
        return
    of = ", ".join(result.intensity_labels) or "nothing"
    say(f"intensities of {of}: {found['rated']} pictures rated, on the scale {found['scale']}")
    unrated = found["unrated"]
    if unrated:
        others = f" and {len(unrated) - 1} more" if len(unrated) > 1 else ""
        say(f"without a rating: {unrated[0]}{others}")


def say_left_out(notes: Mapping[str, Any]) -> None:
    """What an importer could not read or passed over, with the reason; the first of many."""
    reasons = {**notes.get("unreadable", {}), **notes.get("left_out", {})}
    for what, reason in list(reasons.items())[:MOST_REASONS]:
        say(f"left out {what}: {reason}")
    if len(reasons) > MOST_REASONS:
        say(f"left out {len(reasons) - MOST_REASONS} more; the table's notes name all")


@app.command("teach")
def data_teach(
    path: TableFile,
    points: Annotated[
        Path,
        typer.Option("--points", help="A table with landmarks placed by hand (`import 300w`)."),
    ],
    out: TableOut,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
) -> None:
    """Let MediaPipe's face mesh place landmarks on face crops that have none."""
    from ..data import table, teach

    faces = table.read(path)
    by_hand = table.read(points).of_split("train")
    mesh = teach.FaceMesh()
    result = teach.teach(
        faces if split is None else faces.of_split(split), mesh, teach.fitted(mesh, by_hand)
    )
    table.write(result, out)
    none = result.notes["without_face"]
    rest = f"; {none} pictures left out: no face seen, or labelled as none" if none else ""
    say(f"{out}: {len(result)} faces{rest}")


@app.command("align")
def data_align(
    path: TableFile,
    alignment: Annotated[str, typer.Option("--align", help="box, similarity, xu2019 or mouth.")],
    out: TableOut,
    size: Annotated[int, typer.Option(min=8, max=1024, help="Pixels of a side.")] = 48,
) -> None:
    """Cut the faces of a table of crops by their landmarks, for training on."""
    from ..data import table
    from ..data.cut import aligned

    result = aligned(table.read(path), alignment, size)
    table.write(result, out)
    whole = result.notes["whole"]
    seen = f"no face seen in {whole} of {len(result)} pictures, which stay whole"
    rest = f"; {seen}" if whole else ""
    say(f"{out}: {len(result) - whole} faces cut by {alignment}{rest}")


@app.command("strong")
def data_strong(
    path: TableFile,
    out: TableOut,
    share: Annotated[
        float,
        typer.Option(
            metavar="N",
            min=0,
            max=1,
            help="Keep frames that are at least this share of their sequence's peak.",
            callback=a_number("--share"),
        ),
    ] = 0.8,
    least: Annotated[
        float,
        typer.Option(
            metavar="N",
            min=0,
            max=1,
            help="Leave out a sequence whose peak is weaker than this.",
            callback=a_number("--least"),
        ),
    ] = 0.5,
    look: Annotated[
        Path | None,
        typer.Option(
            "--sheet", help="A picture of what was chosen (.png).", callback=ready_for(".png")
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Keep the frames of each sequence that show its expression strongly, as a model measures it.

    For recordings from neutral to a peak and back, whose owners do not say where the peak is.
    """
    from ..analysis import batch
    from ..data import strong, table
    from ..expression.recognize import load_model

    frames = table.read(path)
    takes = strong.measured(frames, load_model(model), share, least)
    result = strong.kept(frames, takes)
    table.write(result, out)
    if look:
        batch.save(strong.sheet(takes, f"{result.name}: strong frames"), look)
    weak = sum(not take.kept.any() for take in takes)
    say(f"{out}: {len(result)} frames of {len(takes) - weak} sequences; {weak} show too little")
    if alone := len(frames) - sum(len(take.rows) for take in takes):
        say(f"left out {alone} pictures that belong to no sequence")


@app.command("decoys")
def data_decoys(
    folder: Annotated[Path, typer.Argument(help="Pictures without people.")],
    out: TableOut,
    faces: Annotated[
        Path | None,
        typer.Option("--faces", help="A table with landmarks: take windows beside its faces, too."),
    ] = None,
    hard: Annotated[
        bool,
        typer.Option(
            "--hard", metavar="", help="Only what the landmark network itself takes for a face."
        ),
    ] = False,
) -> None:
    """Collect what face detectors take for a face by mistake, to train on."""
    from ..data import decoys, table
    from ..faces.landmarker import Landmarker

    if hard and faces:
        raise ConfigError("--hard looks at the pictures of the folder alone: leave out --faces")
    if hard:
        result = decoys.hard(folder, Landmarker())
    else:
        result = decoys.mine(folder, table.read(faces).of_split("train") if faces else None)
    table.write(result, out)
    say(f"{out}: {len(result)} decoys")
    say_left_out(result.notes)


@app.command("join")
def data_join(
    paths: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="mien tables.")],
    out: TableOut,
) -> None:
    """Put several tables into one, one below the other."""
    from ..data import table

    parts = [table.read(path) for path in paths]
    result = table.join(parts, out.stem)
    table.write(result, out)
    say(f"{out}: {len(result)} pictures in {', '.join(result.splits)}")
    voted = sum(row.votes is not None for part in parts for row in part.rows)
    if voted:
        say(f"the votes of {voted} pictures stay behind: joined tables keep their labels")
    rated = sum(part.is_rated.sum() for part in parts if part.intensity_labels)
    if rated and not result.intensity_labels:
        say(f"the intensities of {rated} pictures stay behind: not all tables rate the same labels")


@app.command("stats")
def data_stats(path: TableFile, out: WholeResult = None) -> None:
    """Tell mean and deviation per channel, sizes, and the pictures of each split and label."""
    from ..data import stats, table
    from . import console

    result = stats.channel_stats(table.read(path)).as_dict()
    write_json(result, out)
    console.stats(result)


@app.command("audit")
def data_audit(path: TableFile, out: WholeResult = None) -> None:
    """Find duplicates and near duplicates, across splits too, and contradicting labels."""
    from ..data import audit, table
    from . import console

    result = audit.audit(table.read(path)).as_dict()
    write_json(result, out)
    console.audit(result)


@app.command("split")
def data_split(
    path: TableFile,
    by: Annotated[str, typer.Option(help="random, stratified, subject, sequence or duplicates.")],
    out: TableOut,
    train: Annotated[float, typer.Option(help="The share that trains.")] = 0.8,
    select: Annotated[float, typer.Option(help="The share that selects the best epoch.")] = 0.1,
    test: Annotated[float, typer.Option(help="The share that tests.")] = 0.1,
    folds: Annotated[
        int, typer.Option(metavar="K", help="Split into K folds instead of by shares.")
    ] = 0,
    fold: Annotated[
        int, typer.Option(metavar="I", help="Which fold, from 0, tests; the one after it selects.")
    ] = 0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Another number deals the rows in another way.")
    ] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=TEXT",
            help="Only the rows that have this text there (camera=090). May be repeated.",
        ),
    ] = None,
) -> None:
    """Deal the rows of a table anew to train, select and test."""
    from ..data import splits, table
    from ..data.only import in_words
    from ..data.only import only as rows_of

    settings = splits.Split(by, train, select, test, folds, fold, seed)
    wanted = named_texts(only or (), "--only", "COLUMN=TEXT (camera=090)")
    result = splits.split(rows_of(table.read(path), wanted), settings)
    table.write(result, out)
    if wanted:
        rows = result.notes["only"]["rows"]
        left_out = rows["given"] - rows["kept"]
        say(f"left out {left_out:,} of {rows['given']:,} rows, all but {in_words(wanted)}")
    done = result.notes["split"]
    sides = ", ".join(f"{side} {n:,}" for side, n in done["rows"].items())
    say(f"{out}: {len(result):,} pictures: {sides}")
    for side, labels in done["labels_missing"].items():
        say(f"{side} has no {', '.join(labels)}")


@app.command("sheet")
def data_sheet(
    path: TableFile,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The picture to write (.png).", callback=ready_for(".png")
        ),
    ],
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    per_label: Annotated[int, typer.Option(min=1, help="Pictures per label.")] = 12,
) -> None:
    """Draw a contact sheet: a row of random pictures for every label."""
    from ..analysis import batch
    from ..data import sheet, table

    batch.save(sheet.contact_sheet(table.read(path), per_label=per_label, split=split), out)
    say(f"{out}")
