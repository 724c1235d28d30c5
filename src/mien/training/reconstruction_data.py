"""Which rows of a table an autoencoder learns."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.table import Table
from ..errors import DataError
from .expression_data import without_pixels_of


@dataclass(frozen=True, slots=True)
class ReconstructionData:
    """Which rows of a table an autoencoder learns, and is selected by; what they show is no matter.

    drop_overlap : leave out training rows whose exact pixels occur in select or test.
    """

    train: str
    select: str
    test: str
    drop_overlap: bool = True


def sides(data: ReconstructionData, table: Table) -> tuple[Table, Table, dict[str, int]]:
    """The rows that train and those that select, counted; raises DataError where none is left."""
    train, select = table.of_split(data.train), table.of_split(data.select)
    counts = {"train_rows": len(train), "select_rows": len(select)}
    if data.drop_overlap:
        train = without_pixels_of(train, table.of_split(data.select, data.test))
        counts["train_pixels_in_other_splits"] = counts["train_rows"] - len(train)
    if not len(train):
        told = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts.items() if n)
        raise DataError(f"nothing left to train on in {table.name}: {told}")
    return train, select, counts
