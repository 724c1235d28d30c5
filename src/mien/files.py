"""Files as they are written: beside their name, whole, and only then under it.

A full disk or a kill in the middle leaves what was there, and nothing that looks like a result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content is ``path`` once all of it is there; raises OSError.

    Until then it is ``<path>.part``, which a later run replaces. A pipe or a device is written as
    it is.
    """
    path = Path(os.path.realpath(path))  # a link stays one
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            yield stream
        if path.exists():
            part.chmod(path.stat().st_mode & 0o777)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write(path: Path, content: bytes) -> None:
    """A file, in a folder that is made where there is none; raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            stream.write(content)
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror or err}") from err
