"""Inputs as files of this machine: as they lie, or copied from elsewhere for a while."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, OutputError
from ..secrecy import public
from .listing import Input
from .store import at, file_system, is_elsewhere, parted, split, told

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_AT_ONCE = 16  # files on their way: what is waited for is the network
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PAUSE_S = 0.5  # before a second try; doubled before each further one


@contextmanager
def fetched(
    inputs: Sequence[Input], tries: int, source: str = "", prefix: str = "mien-"
) -> Iterator[dict[int, Path | InputError]]:
    """Where each input lies, by its number; or why it cannot be had.

    source : of the run, whose address may say how its store is reached, and who logs in.
    prefix : of the folder of the copies, as ``sweep`` takes it.

    Raises OutputError where the copies find no room.
    """
    away = [each for each in inputs if is_elsewhere(each.source)]
    found: dict[int, Path | InputError] = {
        each.number: Path(each.source) for each in inputs if not is_elsewhere(each.source)
    }
    if not away:
        yield found
        return
    plain, asked = parted(source)
    own = split(plain)[0]

    @cache
    def reach(head: str) -> tuple[FileSystem, str]:
        return file_system(own, asked) if public(head) == public(own) else file_system(head)

    with tempfile.TemporaryDirectory(prefix=prefix) as scratch:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            copies = pool.map(lambda each: _copied(each, Path(scratch), tries, reach), away)
            found |= dict(zip((each.number for each in away), copies, strict=True))
        yield found


def sweep(prefix: str) -> None:
    """Drop the copies of a process that was killed: they may be pictures of people."""
    with suppress(OSError):
        for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            shutil.rmtree(left, ignore_errors=True)


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
        except ValueError as err:  # a name that Arrow has no path for, as in//face.png
            return InputError(f"cannot read {public(each.source)}: {told(err)}")
        except (OSError, InputError) as err:
            why = told(err)
            if getattr(err, "errno", None) in _FULL:
                raise OutputError(
                    f"cannot copy {public(each.source)} to {scratch}: {why}; the environment "
                    "variable TMPDIR names another disk"
                ) from err
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
