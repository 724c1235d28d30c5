"""What comes in from files that others wrote, taken within bounds and checked at the door.

A file may be a pipe that nobody fills, a device without an end, or larger than the memory; a number
may be a text, a NaN or a truth value; a list may be nested deeper than Python can follow. Whoever
reads such a file asks here, and turns the ``ValueError`` or ``OSError`` into an error that says
which file it was.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MOST_SETTINGS = 16 << 20
"""Bytes of a file of settings or results that is read whole: a thousand times what any needs."""
_MOST = 1e300
_SHOWN = 60  # characters of a value that an error repeats


def content(path: Path, most: int = MOST_SETTINGS) -> bytes:
    """A regular file's bytes, at most ``most`` of them; raises OSError, as for a file not there."""
    # Asked before it is opened: opening a pipe that nobody writes to would wait for ever.
    kind = os.stat(path).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # a folder has an error of its own
        why = "it is a pipe or a device; save what it gives as a file"
        raise OSError(errno.EINVAL, why, str(path))
    with path.open("rb") as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"it is larger than {_size(most)}", str(path))
    return found


def _size(count: int) -> str:
    return f"{count >> 20} MB" if count < 1 << 30 else f"{count / (1 << 30):g} GB"


def text(path: Path, most: int = MOST_SETTINGS) -> str:
    """A regular file's UTF-8 text; raises OSError, ValueError."""
    return content(path, most).decode("utf-8")


def number(value: object, what: str, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number in [least, most]; raises ValueError, saying what it was to be.

    Examples
    --------
    >>> number(3, "a temperature", least=0)
    3.0
    >>> number("3", "a temperature", least=0)
    Traceback (most recent call last):
    ValueError: a temperature is a number from 0, got '3'
    """
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    # An integer of JSON may be larger than any float: compared, not converted.
    if plain and -_MOST < value < _MOST and least <= value <= most:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    raise ValueError(f"{what} is a number{_range(least, most)}, got {shown(value)}")


def _range(least: float, most: float) -> str:
    if math.isfinite(least) and math.isfinite(most):
        return f" from {least:g} to {most:g}"
    return f" from {least:g}" if math.isfinite(least) else ""


def positive(value: object, what: str) -> float:
    """A finite number above 0; raises ValueError."""
    found = number(value, what, least=0)
    if not found > 0:
        raise ValueError(f"{what} is a number above 0, got {shown(value)}")
    return found


def whole(value: object, what: str) -> int:
    """A whole number; raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"{what} is a whole number, got {shown(value)}")


def word(value: object, what: str) -> str:
    """A text; raises ValueError."""
    if isinstance(value, str):
        return value
    raise ValueError(f"{what} is a text, got {shown(value)}")


def listed(value: object, what: str, length: int | None = None) -> Sequence[Any]:
    """A list, of ``length`` values where that is known; raises ValueError."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{what} is a list, got {shown(value)}")
    if length is not None and len(value) != length:
        raise ValueError(f"{what} is a list of {length}, got one of {len(value)}")
    return value


def table(value: object, what: str) -> dict[str, Any]:
    """Values by name; raises ValueError."""
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"{what} is a table of values by name, got {shown(value)}")


def shown(value: object) -> str:
    """A value as an error repeats it: as in Python, and not all of a long one."""
    try:
        said = repr(value)
    except ValueError:  # an integer of more digits than Python will write
        said = "a number of thousands of digits"
    except RecursionError:
        said = "values nested too deeply to be shown"
    return said if len(said) <= _SHOWN else said[: _SHOWN - 3] + "..."
