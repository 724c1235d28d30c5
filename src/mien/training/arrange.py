"""A table as a recipe wants it: rows chosen, faces cut, copies made, rows dealt, parts hidden."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..data.copies import Copies, copies
from ..data.cut import cut
from ..data.occlude import occluded
from ..data.only import only
from ..data.splits import of_subject, split, uncut
from ..data.table import Table
from ..data.table import read as read_table
from ..errors import ConfigError
from . import recipes
from .recipes import ExpressionRecipe, Recipe


def arrange(recipe: Recipe, table: Table) -> Table:
    """The table as a recipe wants it: rows chosen, copies made, rows dealt out, faces occluded.

    Training, export and evaluation all come through here, so the same recipe and table give the
    same sides everywhere. A recipe that says none of these takes the table as it is. Faces are
    occluded last: duplicates are found in plain pictures only, and sides may differ. Before that,
    where faces are cut, or rows counted, label by label, only the recipe's labels are left.
    """
    if not isinstance(recipe, ExpressionRecipe):
        return table
    return _dealt(recipe, _made(recipe, table))


def _made(recipe: ExpressionRecipe, table: Table) -> Table:
    """The rows that are dealt, and their pictures."""
    split = recipe.split
    table = only(table, recipe.only)
    if recipe.cut or (split and (split.each or split.hold_out)):
        table = table.keep(table.targets(recipe.data.names) >= 0)
    if recipe.cut:
        table = cut(table, recipe.cut, recipe.model.align, recipe.model.size)
    return copies(table, recipe.copies) if recipe.copies else table


def _dealt(recipe: ExpressionRecipe, table: Table) -> Table:
    if recipe.data.subject:
        table = of_subject(table, recipe.data.subject)
    if recipe.split:
        table = split(table, recipe.split, recipe.data.names)
    return occluded(table, recipe.occlude) if recipe.occlude else table


def read(recipe: Recipe, path: Path) -> Table:
    """The table of a file as a recipe wants it.

    The last table is kept with its crops and copies, and so are clusters of duplicates and
    occluded rows: training, export and evaluation ask for the same one after another, and fourteen
    thousand copies take longer to make than some networks to train.
    """
    if not isinstance(recipe, ExpressionRecipe):
        return read_table(path)
    if not path.is_file() or not _arranges(recipe):
        return arrange(recipe, read_table(path))
    return _dealt(recipe, _table_of(_Made(path, path.stat().st_mtime_ns, *_making(recipe), recipe)))


def _arranges(recipe: ExpressionRecipe) -> bool:
    """Whether the table it learns is another than the one it is given."""
    return bool(recipe.only or recipe.cut or recipe.copies or recipe.split or recipe.occlude)


def _making(recipe: ExpressionRecipe) -> tuple[tuple[Hashable, ...], Copies | None]:
    """All of a recipe that ``_made`` looks at: what decides its crops, and the copies of them."""
    split, model = recipe.split, recipe.model
    labelled = bool(recipe.cut or (split and (split.each or split.hold_out)))
    shape = (model.align, model.size) if recipe.cut else ()
    wanted = tuple(recipe.only.items())
    return (wanted, recipe.cut, shape, recipe.data.names if labelled else None), recipe.copies


@dataclass(frozen=True)
class _Made:
    """A table as a recipe makes it, known by its file and by what the recipe makes."""

    path: Path
    changed_ns: int
    crops: tuple[Hashable, ...]
    copies: Copies | None
    recipe: ExpressionRecipe = field(compare=False)


@functools.lru_cache(maxsize=1)
def _table_of(wanted: _Made) -> Table:
    table = _crops_of(replace(wanted, copies=None))
    return copies(table, wanted.copies) if wanted.copies else table


@functools.lru_cache(maxsize=4)
def _crops_of(wanted: _Made) -> Table:
    return _made(replace(wanted.recipe, copies=None), read_table(wanted.path))


def of_recipe(name: str, table: Table, uncut_faces: bool = False) -> tuple[Table, str, str]:
    """The table as a shipped recipe, or one in a file, wants it; what it tests and what it trains.

    uncut_faces : pictures as they were before faces were cut, for what light and distance do to
        the whole picture.

    Raises ConfigError for a recipe that trains anything but expressions.
    """
    recipe = recipes.read(recipes.find(name))
    if not isinstance(recipe, ExpressionRecipe):
        raise ConfigError(f"{name} trains {recipe.task}; a recipe of expressions is needed")
    arranged = arrange(recipe, table)
    if uncut_faces and recipe.cut:
        arranged = uncut(arranged, table)
    return arranged, recipe.data.test, recipe.data.train
