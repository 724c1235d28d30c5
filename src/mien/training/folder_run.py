"""What a run on a folder of pictures keeps, read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import jsontext
from ..data import table
from ..data.table import Table
from ..errors import ConfigError, DataError, ModelError
from . import recipes
from .arrange import arrange
from .recipes import ExpressionRecipe

FACES, MODEL, REPORT = "faces.parquet", "model.onnx", "report.json"


@dataclass(frozen=True, slots=True)
class FolderRun:
    """faces : as the run dealt them. tested, trained : the splits that it did these with."""

    model: Path
    faces: Table
    tested: str
    trained: str


def read(run: Path) -> FolderRun:
    """A run of ``mien train --data``; raises DataError or ModelError for what is none."""
    if not (run / FACES).is_file():
        raise DataError(
            f"{run} holds no run of `mien train --data`; a model of a recipe is tested with: "
            "mien evaluate MODEL TABLE --recipe RECIPE"
        )
    try:
        saved = jsontext.parse((run / "recipe.json").read_bytes())["recipe"]
        recipe = recipes.from_values({k: v for k, v in saved.items() if k not in _SAID})
        assert isinstance(recipe, ExpressionRecipe)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ConfigError) as err:
        raise ModelError(f"{run} holds no whole run: recipe.json: {err}") from err
    faces = arrange(recipe, table.read(run / FACES))
    return FolderRun(run / MODEL, faces, recipe.data.test, recipe.data.train)


_SAID = ("paper", "deviation")  # what is said of a recipe, and is no setting


def trained_on(model: Path, pictures: Table) -> int:
    """How many of these pictures a folder's model was trained on, as far as its run still tells."""
    if model.name != MODEL or not (model.parent / FACES).is_file():
        return 0
    run = read(model.parent)
    learnt = {row.id for row in run.faces.rows if row.split == run.trained}
    return sum(row.id in learnt for row in pictures.rows)
