"""JSON that somebody else may have written: whatever it holds, it is read or it is a ValueError.

Python's own reader raises other errors for some texts, and reads a line of any length into memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any, AnyStr

LONGEST = 16_000_000
"""Bytes of a line: a record of some thousand faces. What is longer is no line of mien's."""


def parse(text: str | bytes) -> Any:
    """What a JSON text says; raises ValueError.

    Examples
    --------
    >>> parse("[" * 100_000)
    Traceback (most recent call last):
    ValueError: nested too deeply
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def lines(stream: IO[AnyStr], longest: int | None = None) -> Iterator[AnyStr | None]:
    """The lines of a stream with their ends; None for one that is longer than ``LONGEST``."""
    longest = longest or LONGEST
    while line := stream.readline(longest):
        whole = len(line) < longest or _ends(line)
        yield line if whole else None
        while not whole and line:  # the rest of it is not kept
            line = stream.readline(longest)
            whole = _ends(line)


def _ends(line: str | bytes) -> bool:
    return line.endswith(b"\n") if isinstance(line, bytes) else line.endswith("\n")
