"""The tables of a reproduction: which are given, and whether each is what its name says.

A paper's own pictures are seldom to be had, so its own experiment stands beside ours as runs that
are ``own``: done where their tables are given, left out, and said to be, where not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data import table as tables
from ..data.only import only
from ..data.sets import importers
from ..data.table import Table, file_sha256
from ..errors import ConfigError, DataError
from ..faces.align import ALIGNMENTS
from ..labels import label_set
from ..training.recipes import AgainstRestRecipe, ExpressionRecipe
from .plans import Experiment, Reproduction

CUT_SIZE = 128  # pixels of the faces in tables that are cut for a reproduction
JOINED = "joined"
"""The folder, in a reproduction's, of tables joined from several."""
AnyExperiment = ExpressionRecipe | AgainstRestRecipe


def check(plan: Reproduction, data: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    """The tables that runs lack, by the runs' names: these are left out.

    Where all that one of the paper's own runs takes is given, any other may be left out; else our
    runs need all of theirs. Raises ConfigError and DataError for a table that is not wanted, not
    there, or not what its name says.
    """
    known = list(dict.fromkeys(name for run in plan.runs for name in run.tables))
    for name in data:
        if name not in known:
            raise ConfigError(f"{plan.name} takes the tables {', '.join(known)}, not '{name}'")
    lacking = {run.name: _lacking(plan, run, data) for run in plan.runs}
    left_out = {run: names for run, names in lacking.items() if names}
    if not any(run.own and run.name not in left_out for run in plan.runs):
        _check_ours(plan, left_out)
    for name, path in data.items():
        if not path.is_file():
            raise DataError(f"no such table: {path}; make one with: {how_to_make(name, path)}")
    _check_contents(plan, data, left_out)
    return left_out


def _lacking(plan: Reproduction, run: Experiment, data: Mapping[str, Path]) -> tuple[str, ...]:
    """What is not given of a run's tables, and of those of the run that it begins with."""
    before = [_lacking(plan, other, data) for other in plan.runs if other.name == run.init]
    names = [name for part in before for name in part]
    return tuple(dict.fromkeys([*names, *(name for name in run.tables if name not in data)]))


def _check_ours(plan: Reproduction, left_out: Mapping[str, tuple[str, ...]]) -> None:
    for run in plan.runs:
        if run.own or run.name not in left_out:
            continue
        name = left_out[run.name][0]
        own = list(dict.fromkeys(" + ".join(run.tables) for run in plan.runs if run.own))
        alone = f", or give the paper's own pictures alone ({'; or '.join(own)})" if own else ""
        raise ConfigError(
            f"{plan.name} needs a table of {name}: --data {name}={name}.parquet; make one "
            f"with: {how_to_make(name, Path(f'{name}.parquet'))}{alone}"
        )


def how_to_make(name: str, file: Path) -> str:
    """A table called after a data set is imported, one with an alignment behind it cut from it.

    Another one's pictures are in a list of somebody's own.
    """
    plain, _, alignment = name.rpartition("-")
    if alignment in ALIGNMENTS:
        return f"mien data align {plain}.parquet --align {alignment} --size {CUT_SIZE} --out {file}"
    if name not in importers:
        return f"mien data import csv LIST --out {file}"
    return f"mien data import {name} FOLDER --out {file}"


def _check_contents(
    plan: Reproduction, data: Mapping[str, Path], left_out: Mapping[str, tuple[str, ...]]
) -> None:
    """Raise unless each table is of its data set and has what the runs that take it need."""
    counted: dict[str, list[Counter[str]]] = {run.name: [] for run in plan.runs}
    for name, path in data.items():
        table = tables.read(path)
        _check_set(name, path, table)
        for run, recipe in zip(plan.runs, plan.recipes, strict=True):
            if run.name in left_out or name not in (run.data, *run.join):
                continue
            if run.join and "align" in table.notes:
                raise ConfigError(
                    f"{run.name} joins whole pictures and cuts their faces itself; those of {path} "
                    f"were cut by '{table.notes['align']}' already"
                )
            counted[run.name].append(Counter(r.label for r in only(table, recipe.only).rows))
    for run, recipe in zip(plan.runs, plan.recipes, strict=True):
        if run.name not in left_out:
            _check_labels(run, recipe, sum(counted[run.name], Counter()), data)


def _check_set(name: str, path: Path, table: Table) -> None:
    """Raise ConfigError for a table that another data set's importer made."""
    plain, _, alignment = name.rpartition("-")
    wanted = plain if alignment in ALIGNMENTS else name
    other = table.name in importers and table.name != wanted
    if other and not table.name.startswith(f"{wanted}-"):  # mug-frames, of which strong ones: mug
        raise ConfigError(
            f"--data {name}={path}: that is a table of {table.name}, and one of {wanted} is "
            f"wanted; make it with: {how_to_make(name, Path(f'{name}.parquet'))}"
        )


def _check_labels(
    run: Experiment, recipe: AnyExperiment, counts: Counter[str], data: Mapping[str, Path]
) -> None:
    """Raise DataError where nothing shows a label that the run is to tell."""
    if isinstance(recipe, AgainstRestRecipe) and not run.own:
        return  # it tells those that occur
    missing = [label for label in _labels(recipe) if not counts[label]]
    if missing:
        there = ", ".join(f"{label} ({n:,})" for label, n in counts.most_common())
        files = ", ".join(str(data[name]) for name in (run.data, *run.join))
        chosen = " of the rows that it takes" if recipe.only else ""
        raise DataError(
            f"{run.name} tells {', '.join(_labels(recipe))}; {files} has no "
            f"{', '.join(missing)}{chosen}, only {there}"
        )


def _labels(recipe: AnyExperiment) -> tuple[str, ...]:
    if isinstance(recipe, AgainstRestRecipe):
        return label_set(recipe.folds.label_set).labels
    return recipe.data.names.labels


def table_of(run: Experiment, data: Mapping[str, Path], out: Path) -> Path:
    """The table that a run takes: the one given, or several joined, written into ``out`` once."""
    if not run.join:
        return data[run.data]
    names = (run.data, *run.join)
    key = hashlib.blake2b("".join(file_sha256(data[n]) for n in names).encode(), digest_size=4)
    path = out / JOINED / f"{'-'.join(names)}-{key.hexdigest()}.parquet"
    if not path.exists():
        tables.write(tables.join([tables.read(data[n]) for n in names], "-".join(names)), path)
    return path


def taken(recipe: AnyExperiment, path: Path) -> dict[str, Any]:
    """How many rows of a table a run has for its own, and why not the others, ready for JSON."""
    table = tables.read(path)
    chosen = only(table, recipe.only)
    labels = _labels(recipe)
    others = Counter(row.label for row in chosen.rows if row.label not in labels)
    return {
        "rows": len(table),
        "only": dict(recipe.only),
        "not_chosen": len(table) - len(chosen),
        "other_labels": dict(others),
        "taken": len(chosen) - others.total(),
    }


def fills(plan: Reproduction, run: str) -> Iterator[str]:
    """Where in the paper's tables a run's figures stand: "title: heading"."""
    for table in plan.published:
        rows: Sequence[Any] = table.rows
        for place, heading in enumerate(table.beside):
            if any(row.runs[place].partition("@")[0] == run for row in rows):
                yield f"{table.title}: {heading}"
