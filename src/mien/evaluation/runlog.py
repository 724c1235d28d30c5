"""What a training run's ``log.jsonl`` says of its epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import foreign, jsontext
from ..errors import DataError


def epochs(path: Path) -> list[dict[str, Any]]:
    """A record for each epoch: ``epoch loss seconds images_per_s`` and the figures of ``select``.

    Raises DataError where there is none, or where the log is damaged; it names the line.
    """
    try:
        lines = foreign.text(path).splitlines()
    except OSError as err:
        raise DataError(f"cannot read {path}: {err.strerror}") from err
    except ValueError as err:
        raise DataError(f"{path} is not the log of a training run: {err}") from err
    found = [_epoch(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    if not found:
        raise DataError(f"{path} holds no epoch yet")
    return found


def _epoch(line: str, where: str) -> dict[str, Any]:
    try:
        record = foreign.table(jsontext.parse(line), "an epoch")
        foreign.whole(record["epoch"], "epoch")
        for name in ("loss", "seconds", "images_per_s"):
            _figure(record[name], name)
        for name, value in foreign.table(record["select"], "select").items():
            _figure(value, f"select.{name}")
    except (KeyError, ValueError) as err:
        what = f"no {err}" if isinstance(err, KeyError) else err
        raise DataError(f"{where}, is not of the log of a training run: {what}") from err
    return record


def _figure(value: object, name: str) -> None:
    """Raise ValueError unless it is a number; a loss may well have become nan."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is a number, got {foreign.shown(value)}")
