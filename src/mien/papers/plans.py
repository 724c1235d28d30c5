"""A paper done again, as data: its experiments, and what of the paper they are put beside.

They stand in the file of the recipe that they start from, as ``[[run]]``, ``[[published]]``,
``[[matrices]]``, ``[[contrast]]`` and ``[[attention]]``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import config
from ..errors import ConfigError, UnknownName
from ..names import is_plain
from ..training import recipes
from ..training.recipes import (
    EXPERIMENTS,
    AgainstRestRecipe,
    Deviation,
    ExpressionRecipe,
    Paper,
    without,
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One of a paper's runs: its recipe with some settings changed.

    name : of its folder, and of its column in the report.
    what : in one line.
    data : which table it takes, by the name ``mien reproduce --data NAME=FILE`` gives it.
    recipe : the name of the recipe it trains, where it is another file's.
    init : the name of an earlier run whose weights it begins with.
    set : as ``--set`` on the command line. Where the split has folds, each is trained on its own
        and their answers are pooled.
    elsewhere : further tables, by name as ``data``, none of whose rows it trains on: its networks
        are tested on all of them, too.
    repeats : how often it is done, each time with the next seed for the split and the training.
    without : sections of the recipe ("copies", "split") that it leaves out.
    join : further tables, by name as ``data``, whose rows are put below its own: by their labels
        alone, votes and intensities left behind.
    own : the paper's own pictures: it is done where all its tables are given, and left out where
        not.
    people : every person with at least so many pictures of each label is trained and tested alone,
        and their answers are pooled; 0 for all people together.
    """

    name: str
    what: str
    data: str
    set: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    repeats: int = 1
    recipe: str = ""
    init: str = ""
    elsewhere: tuple[str, ...] = ()
    people: int = 0
    join: tuple[str, ...] = ()
    own: bool = False

    def __post_init__(self) -> None:
        for name in (self.name, *self.tables):
            if not is_plain(name):
                raise ConfigError(f"run '{self.name}': '{name}' names a file or folder: no / in it")
        for name in (self.data, *self.join):
            if name in self.elsewhere:
                raise ConfigError(f"run '{self.name}': '{name}' is its own table, not elsewhere")
        if len({self.data, *self.join}) < 1 + len(self.join):
            raise ConfigError(f"run '{self.name}': join names other tables than data, each once")
        if self.repeats < 1:
            raise ConfigError(f"run '{self.name}': repeats is at least 1, got {self.repeats}")
        if self.people < 0:
            raise ConfigError(f"run '{self.name}': people is at least 0, got {self.people}")

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table it takes, by name."""
        return (self.data, *self.join, *self.elsewhere)


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """name : of the row. values : the paper's, NaN for none. runs : ours, one for each of
    ``Published.beside``: "run", or "run@table" for its test elsewhere; "" for none."""

    name: str
    values: tuple[config.Told, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A table of the paper's, and where the figures to put beside it are found.

    columns : of the paper's values, without the column of row names.
    figures : for each column the path of our figure in ``result.json``, {row} being the row's
        name: "test.accuracy", "test.per_class.{row}.recall".
    beside : headings of the runs put beside it.
    curve : how many of the columns, from the first, are drawn as lines too, the rows' names being
        numbers then, of steps say.
    """

    title: str
    columns: tuple[str, ...]
    figures: tuple[str, ...]
    beside: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    curve: int = 0

    def __post_init__(self) -> None:
        if len(self.figures) != len(self.columns):
            raise ConfigError(f"published '{self.title}': one of figures for each of columns")
        if self.curve and not all(row.name.isdecimal() for row in self.rows):
            raise ConfigError(f"published '{self.title}': a curve needs numbers for row names")
        for row in self.rows:
            if len(row.values) != len(self.columns) or len(row.runs) != len(self.beside):
                raise ConfigError(
                    f"published '{self.title}', row '{row.name}': needs {len(self.columns)} values "
                    f"and {len(self.beside)} runs"
                )


@dataclass(frozen=True, slots=True)
class Matrices:
    """A paper's confusion matrices of one expression against the rest, fold by fold.

    beside : our run whose folds are put beside them.
    folds : of each, TP, FN, FP and TN, what a picture is counting before what was said of it.
    """

    expression: str
    beside: str
    folds: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.folds or any(len(fold) != 4 for fold in self.folds):
            raise ConfigError(f"matrices of '{self.expression}': TP, FN, FP and TN for each fold")


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """name : of what the runs share (a size, an emotion). runs : one for each of ``beside``, as
    in ``PublishedRow``."""

    name: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contrast:
    """Runs that differ in one thing, side by side: what a way of splitting hides, say.

    text : what to look for. beside : headings of the runs; the last is told as a difference to the
        first.
    """

    title: str
    text: str
    beside: tuple[str, ...]
    rows: tuple[ContrastRow, ...]

    def __post_init__(self) -> None:
        if len(self.beside) < 2 or any(len(row.runs) != len(self.beside) for row in self.rows):
            raise ConfigError(f"contrast '{self.title}': two or more runs a row, one for each head")


@dataclass(frozen=True, slots=True)
class Attention:
    """Where the networks of some runs look: the mean map of each expression, run beside run.

    text : what to look for. samples : random tested faces of each expression.
    runs : a column each, all of one table and one split; what a run occludes is its condition.
    """

    title: str
    text: str
    samples: int
    runs: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.runs:
            raise ConfigError(f"attention '{self.title}': one sample, and one run, or more")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A recipe's experiments and what they are compared with.

    recipes : what each of ``runs`` trains, in the same order.
    """

    name: str
    paper: Paper
    runs: tuple[Experiment, ...]
    recipes: tuple[ExpressionRecipe | AgainstRestRecipe, ...]
    published: tuple[Published, ...]
    contrasts: tuple[Contrast, ...]
    deviations: tuple[Deviation, ...]
    attention: tuple[Attention, ...] = ()
    matrices: tuple[Matrices, ...] = ()


@dataclass(frozen=True, slots=True)
class _Experiments:
    """What a recipe file holds beside the recipe; paper and deviations are the recipe's too."""

    run: tuple[Experiment, ...] = ()
    published: tuple[Published, ...] = ()
    contrast: tuple[Contrast, ...] = ()
    attention: tuple[Attention, ...] = ()
    matrices: tuple[Matrices, ...] = ()
    paper: Paper | None = None
    deviation: tuple[Deviation, ...] = ()


def read(path: Path, overrides: Sequence[str] = ()) -> Reproduction:
    """The experiments in a recipe's file; raises ConfigError where it has none.

    overrides : as ``--set``, of every recipe that has such a section.
    """
    values = config.read_toml(path)
    shared = ("paper", "deviation")
    listed = {key: values[key] for key in (*EXPERIMENTS, *shared) if key in values}
    found = config.from_dict(_Experiments, listed)
    if not found.run or found.paper is None:
        raise ConfigError(f"{path} has no [[run]] to reproduce; train it with: mien train {path}")
    names = [run.name for run in found.run]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigError(f"{path} has two runs called '{twice}'")
    compared = [row.runs for table in found.published for row in table.rows]
    compared += [row.runs for contrast in found.contrast for row in contrast.rows]
    tested = [*names, *(f"{run.name}@{table}" for run in found.run for table in run.elsewhere)]
    for name in (name for runs in compared for name in runs if name):
        if name not in tested:
            raise UnknownName("run", name, tested)
    named = [name for attention in found.attention for name in attention.runs]
    for name in (*named, *(one.beside for one in found.matrices)):
        if name not in names:
            raise UnknownName("run", name, names)
    _check_inits(found.run)
    files = [
        config.read_toml(recipes.find(run.recipe)) if run.recipe else values for run in found.run
    ]
    files = [without(file, EXPERIMENTS) for file in files]
    sections = {section for file in files for section in file}
    made = [
        _experiment(run, file, _applicable(overrides, file, sections))
        for run, file in zip(found.run, files, strict=True)
    ]
    return Reproduction(
        path.stem,
        found.paper,
        found.run,
        tuple(made),
        found.published,
        found.contrast,
        found.deviation,
        found.attention,
        found.matrices,
    )


def _check_inits(runs: Sequence[Experiment]) -> None:
    done: list[str] = []
    for run in runs:
        if run.init and run.init not in done:
            raise UnknownName(f"run before '{run.name}'", run.init, done)
        done.append(run.name)


def _applicable(
    overrides: Sequence[str], values: Mapping[str, Any], sections: Collection[str]
) -> list[str]:
    """Those that are of a recipe's own sections, or of none that another run's recipe has."""
    named = {text: text.partition(".")[0].strip() for text in overrides}
    return [t for t, section in named.items() if section in values or section not in sections]


def _experiment(
    run: Experiment, values: dict[str, Any], overrides: Sequence[str]
) -> ExpressionRecipe | AgainstRestRecipe:
    """What one experiment trains."""
    values = config.apply_overrides(values, overrides)
    for section in run.without:
        if section not in values:
            raise UnknownName("section", section, values)
    changed = config.apply_overrides(without(values, run.without), run.set)
    recipe = recipes.from_values(changed)
    if not isinstance(recipe, ExpressionRecipe | AgainstRestRecipe):
        raise ConfigError(f"run '{run.name}': only recipes of expressions can be reproduced")
    return recipe
