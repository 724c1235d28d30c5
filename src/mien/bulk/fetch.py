"""Inputs as files of this machine: as they lie, or copied from elsewhere for a while."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..secrecy import public
from .listing import Input
from .store import at, file_system, is_elsewhere, parted, split, told

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_AT_ONCE = 16  # files on their way: what is waited for is the network
_PAUSE_S = 0.5  # before a second try; doubled before each further one


@contextmanager
def fetched(
    inputs: Sequence[Input], tries: int, source: str = ""
) -> Iterator[dict[int, Path | InputError]]:
    """Where each input lies, by its number; or why it cannot be had.

    source : of the run, whose address may say how its store is reached.
    """
    away = [each for each in inputs if is_elsewhere(each.source)]
    found: dict[int, Path | InputError] = {
        each.number: Path(each.source) for each in inputs if not is_elsewhere(each.source)
    }
    if not away:
        yield found
        return
    plain, asked = parted(source)

    @cache
    def reach(head: str) -> tuple[FileSystem, str]:
        return file_system(head, asked if plain.startswith(f"{head}/") else "")

    with tempfile.TemporaryDirectory(prefix="mien-") as scratch:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            copies = pool.map(lambda each: _copied(each, Path(scratch), tries, reach), away)
            found |= dict(zip((each.number for each in away), copies, strict=True))
        yield found


def _copied(
    each: Input, scratch: Path, tries: int, reach: Callable[[str], tuple[FileSystem, str]]
) -> Path | InputError:
    head, inside = split(each.source)
    path = scratch / f"{each.number}{os.path.splitext(each.source)[1].lower()}"
    pause_s, why = _PAUSE_S, ""
    for attempt in range(tries):
        if attempt:
            time.sleep(pause_s)
            pause_s *= 2
        try:
            files, root = reach(head)
            as_is = files.open_input_stream(at(root, inside), compression=None)  # film.mp4.gz, too
            with as_is as stream, path.open("wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
            return path
        except FileNotFoundError:
            return InputError(f"no such file: {public(each.source)}")
        except (OSError, InputError) as err:
            why = told(err)
    return InputError(f"cannot read {public(each.source)}: {why}; tried {tries} times")


def grown(each: Input, path: Path) -> str:
    """What to say of an input that is not as large as it was when it was listed; "" otherwise."""
    try:
        size = path.stat().st_size
    except OSError:
        return ""  # its reading says it better
    if each.bytes is None or size == each.bytes:
        return ""
    return (
        f"it changes while it is read: {each.bytes} bytes when it was listed, {size} now; read it "
        "by --retry-errors when it is whole"
    )
