"""Whose pictures a run learns from, so that a panel knows what is new to its model.

A network also knows the pictures of what it begins with, and those of its teachers: theirs are told
with its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import foreign
from ..data.table import Table
from ..errors import ModelError
from . import checkpoint
from .expression_data import OWN_HEAD
from .recipes import ExpressionRecipe

Part = dict[str, Any]
"""As ``mien.evaluation.panel.seen`` has them; "head" names the one that "chosen by" is about."""


def seen(
    recipe: ExpressionRecipe, given: Table, further: Mapping[str, Table], before: Iterable[Part]
) -> list[Part]:
    """Everything that the model of a run was made with.

    given : the recipe's table as it was before it was dealt anew; a panel's rows are of its splits,
        and of which side of the run a row was nobody tells then.
    before : what those knew that the run begins with, and its teachers.
    """
    data = recipe.data
    dealt = recipe.split is not None
    own = _part(OWN_HEAD, given, None if dealt else data.train, None if dealt else data.select)
    brought = [
        _part(head.table, further[head.table], head.train, head.select)
        for head in recipe.also
        if head.pictures == "own"
    ]
    parts = [own, *brought, *({k: v for k, v in part.items() if k != "head"} for part in before)]
    return [part for i, part in enumerate(parts) if part not in parts[:i]]


def _part(head: str, table: Table, train: str | None, select: str | None) -> Part:
    return {
        "head": head,
        "sources": sorted(table.sources),
        "trained on": [train] if train else list(table.splits),
        "chosen by": [select] if select else [],
    }


def of_head(parts: Sequence[Part], head: str) -> list[Part]:
    """The parts as the model of one head has them: another one's pictures choose nothing of it."""
    return [
        {
            "sources": part["sources"],
            "trained on": part["trained on"],
            "chosen by": part["chosen by"] if part.get("head") in (None, OWN_HEAD, head) else [],
        }
        for part in parts
    ]


def of_run(run: Path) -> list[Part]:
    """What a run keeps of it; nothing where it is from before runs did."""
    path = run / "environment.json"
    kept = checkpoint.kept(path) if path.is_file() else {}
    try:
        parts = [foreign.table(p, "seen") for p in foreign.listed(kept.get("seen", []), "seen")]
        for part in parts:
            for name in ("sources", "trained on", "chosen by"):
                foreign.listed(part[name], name)
    except (KeyError, ValueError) as err:
        raise ModelError(f"{path} is damaged: {err}") from err
    return parts
