"""Only some rows of a table: those whose further columns say so, as of one camera of several.

RaFD and KDEF photographed every pose from five sides, and papers measure on the frontal ones. What
is left out is counted in the table's notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from ..errors import DataError
from .table import Table

_MOST_TEXTS = 12  # named in an error


def only(table: Table, wanted: Mapping[str, str]) -> Table:
    """The rows that have each of these texts in its column, {"camera": "090"} say.

    ``notes["only"]`` says what was wanted, and of how many rows how many are left. Raises DataError
    for a column that the table has not, and where no row is left.
    """
    if not wanted:
        return table
    kept = table
    for column, text in wanted.items():
        texts = kept.column(column)
        kept = kept.keep(found == text for found in texts)
        if not len(kept):
            raise DataError(
                f"none of the {len(texts)} rows of {table.name} has '{text}' for its {column}"
                f"{_besides(wanted, column)}; there is {_counted(texts)}"
            )
    rows = {"given": len(table), "kept": len(kept)}
    return replace(kept, notes={**table.notes, "only": {"columns": dict(wanted), "rows": rows}})


def in_words(wanted: Mapping[str, str]) -> str:
    """What was wanted, in a line.

    Examples
    --------
    >>> in_words({"camera": "090", "gaze": "frontal"})
    'camera = 090, gaze = frontal'
    """
    return ", ".join(f"{column} = {text}" for column, text in wanted.items())


def _besides(wanted: Mapping[str, str], column: str) -> str:
    before = dict(list(wanted.items())[: list(wanted).index(column)])
    return f" besides {in_words(before)}" if before else ""


def _counted(texts: list[str | None]) -> str:
    counts = Counter(text or "(nothing)" for text in texts).most_common()
    more = f" and {len(counts) - _MOST_TEXTS} more" if len(counts) > _MOST_TEXTS else ""
    return ", ".join(f"{text} ({n})" for text, n in counts[:_MOST_TEXTS]) + more
