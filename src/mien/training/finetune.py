"""A model from a folder of one's own labelled pictures, and what it is worth.

The faces are found and cut as ``mien analyze`` will find and cut them, people are kept on one side
where the folder says who they are, and the network begins with the default model's weights, so
that a few hundred pictures do. The pictures held back tell what was gained over the default model.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..data import table
from ..data.sets import folder
from ..data.table import Row, Table
from ..errors import DataError
from ..evaluation.evaluate import evaluate
from ..expression.baserates import default_for
from ..expression.recognize import load_model
from ..face import Frame, ImageArray
from ..faces import detect
from ..faces.finder import Finder, pixels
from ..files import write
from ..labels import CANONICAL
from ..media import preprocess
from . import recipes
from .arrange import arrange
from .export import export
from .recipes import ExpressionRecipe
from .train import Progress, train

RECIPE = "folder"
FACES, MODEL, REPORT = "faces.parquet", "model.onnx", "report.json"
_PAD = 0.3  # of the longer side, around tight crops, where a detector needs room
_FINE = 4  # crops are kept at this many times the network's size at the most
_TRAINING_SPLITS = ("train", "training")
FEWEST_TO_CHOOSE = 100
"""Pictures that an epoch is chosen by: with fewer, 5 points of accuracy are one deviation."""
_SEEDS = 20  # so many others are looked at
_COUNTED = ("faces", "whole", "no_face", "unreadable", "left_out")


@dataclass(frozen=True, slots=True)
class Trained:
    """model : the model file. report : what it was trained on and how good it is, JSON-ready."""

    model: Path
    report: dict[str, Any]


def train_folder(
    pictures: Path,
    out: Path,
    progress: Progress,
    overrides: Sequence[str] = (),
    accelerator: str = "auto",
    init: Path | None = None,
    devices: int = 1,
) -> Trained:
    """A folder of pictures (see ``data.sets.folder``), or a mien table -> ``out/model.onnx``.

    ``out`` also keeps the faces (``faces.parquet``) and the figures (``report.json``), beside all
    that a run leaves. The same call goes on where an earlier one stopped.

    Raises DataError for pictures that no network can be trained on, and all that ``train`` raises.
    """
    recipe = recipes.read(recipes.find(RECIPE), overrides)
    assert isinstance(recipe, ExpressionRecipe)
    faces = _faces(_of_training(_pictures(pictures)), recipe, out)
    recipe = _fitted(recipe, faces)
    data = out / FACES
    train(recipe, data, out, progress, accelerator, init, devices=devices)
    arranged = arrange(recipe, faces)
    # Of so few pictures several epochs name as many right, and the first of them by luck.
    few = len(arranged.of_split(recipe.data.select)) < FEWEST_TO_CHOOSE
    export(out, data, out / MODEL, which="last" if few else "best")
    report = {
        "labels": dict(Counter(row.label for row in faces.rows)),
        "faces": {key: faces.notes[key] for key in _COUNTED},
        "split": arranged.notes["split"] | _people(recipe, faces, arranged),
        "weights": "last" if few else "best",
        "figures": _figures(recipe, arranged, out / MODEL),
    }
    write(out / REPORT, (json.dumps(report, indent=2) + "\n").encode())
    return Trained(out / MODEL, report)


def _pictures(path: Path) -> Table:
    return folder.read_folder(path) if path.is_dir() else table.read(path)


def _of_training(pictures: Table) -> Table:
    """What may be trained on: where a folder is split already, its training pictures alone."""
    names = [split for split in pictures.splits if split.lower() in _TRAINING_SPLITS]
    return pictures.of_split(*names) if names else pictures


def _fitted(recipe: ExpressionRecipe, faces: Table) -> ExpressionRecipe:
    """The recipe for the labels that occur, dealing people where they are known."""
    there = {row.label for row in faces.rows}
    labels = recipe.data.labels or tuple(label for label in CANONICAL if label in there)
    if len(labels) < 2:
        raise DataError(
            f"{faces.name} has pictures of {', '.join(sorted(there)) or 'nothing'} only; "
            "a network learns to tell apart two expressions or more"
        )
    split = recipe.split
    if split and any(row.subject for row in faces.rows):
        split = replace(split, by="subject")
    return replace(recipe, data=replace(recipe.data, labels=labels), split=split)


def _faces(pictures: Table, recipe: ExpressionRecipe, out: Path) -> Table:
    """The faces of these pictures, from ``out`` where they have been cut before."""
    size = recipe.model.size
    wanted = _fingerprint(pictures, [recipe.model.align, str(size)])
    path = out / FACES
    if path.is_file():
        faces = table.read(path)
        if faces.notes.get("of") != wanted:
            raise DataError(
                f"{out} holds a run on other pictures; name another --out, or remove that folder"
            )
        return faces
    faces = cut(pictures, recipe.model.align, size)
    faces = replace(faces, notes={**faces.notes, "of": wanted})
    table.write(faces, path)
    return faces


def _fingerprint(pictures: Table, settings: Sequence[str]) -> str:
    """A name for exactly these labelled pictures."""
    digest = hashlib.sha256("\n".join(settings).encode())
    for row in pictures.rows:
        digest.update("\n".join([row.id, row.label, row.subject or ""]).encode())
        digest.update(hashlib.sha256(row.image).digest())
    return digest.hexdigest()


def cut(pictures: Table, alignment: str, size: int) -> Table:
    """The surest face of every picture, as ``mien analyze`` would cut it.

    A picture in which the detector finds none, even with more room around it, is taken whole if
    the landmark network sees one face fill it, and left out otherwise: ``notes["no_face"]`` names
    those, ``notes["whole"]`` counts the others.
    """
    finder, whole = Finder(detect.build()), Finder(None)
    rows: list[Row] = []
    none: list[str] = []
    taken_whole = 0
    for row, picture in zip(pictures.rows, pictures.pictures(), strict=True):
        crop = _found(picture, finder, alignment, size)
        if crop is None and whole.find(Frame(picture), "similarity")[0].landmarks is not None:
            crop = _found(picture, whole, alignment, size)
            taken_whole += 1
        if crop is None:
            none.append(row.source or row.id)
            continue
        rows.append(_row(row, preprocess.resize(crop, min(_FINE * size, max(crop.shape[:2])))))
    if not rows:
        raise DataError(f"no face was found in any of the {len(pictures)} pictures")
    notes = {"unreadable": {}, "left_out": {}, **pictures.notes, "align": alignment}
    notes |= {"faces": len(rows), "whole": taken_whole, "no_face": none}
    return replace(pictures, rows=rows, notes=notes)


def _found(picture: ImageArray, finder: Finder, alignment: str, size: int) -> ImageArray | None:
    margin = round(_PAD * max(picture.shape[:2])) if finder.detector else 0
    for pad in (0, margin):
        wide = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        frame = Frame(np.asarray(wide, np.uint8))
        for face in finder.find(frame, alignment)[:1]:
            return pixels(frame, finder.framed(face, alignment, size))
    return None


def _row(row: Row, crop: ImageArray) -> Row:
    height, width = crop.shape[:2]
    png = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))[1].tobytes()
    return replace(row, image=png, width=width, height=height, landmarks=None)


def _people(recipe: ExpressionRecipe, faces: Table, arranged: Table) -> dict[str, Any]:
    """Who is tested, where people are dealt, and the first seed that would test the same ones.

    Of a few people of unequal shares only a few dealings are even, and seeds meet in one of them.
    """
    if recipe.split is None or recipe.split.by != "subject":
        return {}
    tested = _tested(recipe, arranged)
    as_seed = None
    for seed in range(1, min(recipe.split.seed, _SEEDS)):
        other = replace(recipe, split=replace(recipe.split, seed=seed))
        if _tested(other, arrange(other, faces)) == tested:
            as_seed = seed
            break
    return {"tested": tested, "as_seed": as_seed}


def _tested(recipe: ExpressionRecipe, arranged: Table) -> list[str]:
    return sorted({row.subject or row.id for row in arranged.of_split(recipe.data.test).rows})


def _figures(recipe: ExpressionRecipe, arranged: Table, model: Path) -> dict[str, Any]:
    """The model, and the one it began with, on the pictures that neither was trained on here."""
    names = {model.name: str(model)}
    if recipe.model.init:
        names[recipe.model.init] = recipe.model.init
    figures = {}
    for name, source in names.items():
        recognizer = load_model(source)
        rates = [default_for(recognizer.info.base_rates)]
        (result,) = evaluate(recognizer, arranged, recipe.data.test, rates)["results"]
        figures[name] = result
    return figures
