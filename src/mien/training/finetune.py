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

from ..data import table
from ..data.cut import faces_of
from ..data.sets import folder
from ..data.table import Table
from ..errors import DataError
from ..evaluation.evaluate import evaluate
from ..expression.baserates import default_for
from ..expression.recognize import load_model
from ..files import write
from ..labels import CANONICAL
from . import recipes
from .arrange import arrange
from .export import export
from .folder_run import FACES, MODEL, REPORT
from .recipes import ExpressionRecipe
from .train import Progress, train

RECIPE = "folder"
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
    return pictures.of_split(*pictures.trained) if pictures.trained else pictures


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
        if faces.notes.get("of") == wanted:
            return faces
        if (out / "recipe.json").exists():  # without, nothing has been trained on these yet
            raise DataError(
                f"{out} holds a run on other pictures, or on faces cut in another way; name "
                "another --out, or remove that folder"
            )
    faces = faces_of(pictures, recipe.model.align, size)
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
