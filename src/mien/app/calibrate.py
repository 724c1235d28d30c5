"""``mien calibrate``: how a model's answers are read, fitted anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..files import write
from .laboratory import need_torch
from .options import LabelledCrops, ModelOut, TableFile
from .terminal import say, tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def calibrate(
    model: Annotated[
        str, typer.Argument(help="A model file of mien's, or the name of the default model.")
    ],
    path: TableFile,
    out: ModelOut,
    split: Annotated[str | None, typer.Option(help="Only this split of the table.")] = None,
    crops: LabelledCrops = False,
    what: Annotated[
        str,
        typer.Option(
            metavar="all|intensities|typical",
            help="What to fit: everything, intensities, or where the answers to each expression "
            "lie, which mien adapt needs. The rest stays as it is.",
        ),
    ] = "all",
    offsets: Annotated[
        bool,
        typer.Option(
            help="Fit an offset for each label beside the temperature. They suit the people who "
            "labelled these faces, and other people's labels the less."
        ),
    ] = True,
) -> None:
    """Make a model as sure as it is right on faces of your own. Its network stays as it is.

    Fits temperature, offsets, the threshold of certainty and prediction sets, and intensities if
    the table has votes or ratings: those of the labels that are rated. Faces are searched for in
    photographs; crops that are not cut yet (mien data align) are cut as the model takes them.
    """
    need_torch("writing a model file")
    from ..data import table
    from ..expression.recognize import load_model
    from ..training.export import recalibrated
    from . import console
    from .faces import cut_for, faces_in

    pictures, recognizer = table.read(path), load_model(model)
    pictures = pictures.of_split(split) if split else pictures
    faces = cut_for(faces_in(pictures, crops, None, recognizer), path, recognizer, model)
    content, meta = recalibrated(model, faces, what, offsets)
    write(out, content)
    if what == "typical":
        told = [name for name, row in zip(meta["labels"], meta["typical"], strict=True) if row]
        say(f"typical answers of {len(faces)} faces: {', '.join(told)}")
        tell(out)
        return
    strengths = "with" if meta["intensity"] else "without"
    say(
        f"temperature {meta['temperature']:.3f}, uncertain below {meta['uncertain_below']:.3f}, "
        f"{strengths} intensities"
    )
    _say_graded(meta["card"]["read_anew"], meta["labels"], len(faces))
    if what == "all":
        console.calibrated_sets(meta["prediction_sets"])
    tell(out)


def _say_graded(anew: Mapping[str, Any], labels: Sequence[str], faces: int) -> None:
    """Which intensities were fitted, by how many faces, and which are as they were."""
    graded = anew.get("graded")
    if graded is None:
        return
    rest = [label for label in labels if label not in graded["labels"]]
    unrated = faces - graded["faces"]
    say(
        f"intensities of {', '.join(graded['labels'])} fitted to {graded['faces']} rated faces"
        + (f"; {unrated} are not rated" if unrated else "")
        + (f"; as before: {', '.join(rest)}" if rest else "")
    )
