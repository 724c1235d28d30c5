"""Where the service keeps a recording while its job lasts, and what came of it.

All of it lies in one folder per job under ``home()/service/jobs`` and nowhere else::

    <id>/input/<name>            as it was handed in
         records.jsonl           what `mien analyze` writes, and its meta file
         said.txt                what `mien analyze` said
         results/                the same in other formats, made when they are asked for
         cut.json                the ranges of a long recording, and what they are made with
         parts/00000/            a range's records and what was said, until they are joined
"""

from __future__ import annotations

import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..errors import OutputError

HAS_LOCKS = find_spec("fcntl") is not None
"""Whether a folder can be kept by a process and its children: not on Windows."""
_UNSAFE = re.compile(r"[^\w .()+-]|^[.-]+")
_ABANDONED_S = 3600.0  # since the last byte of what was never handed in whole
_LONGEST_NAME = 120  # bytes of UTF-8: of a file system's 255, with endings put to it


@dataclass(frozen=True, slots=True)
class Folder:
    """What is kept of one job."""

    path: Path

    @property
    def input(self) -> Path:
        return self.path / "input"

    @property
    def records(self) -> Path:
        return self.path / "records.jsonl"

    @property
    def meta(self) -> Path:
        return self.records.with_name(self.records.name + ".meta.json")

    @property
    def said(self) -> Path:
        return self.path / "said.txt"

    @property
    def results(self) -> Path:
        return self.path / "results"

    @property
    def cut(self) -> Path:
        return self.path / "cut.json"

    def part(self, number: int) -> Folder:
        """Of a range; it has no ``input`` of its own."""
        return Folder(self.path / "parts" / f"{number:05}")

    @property
    def growing(self) -> Path:
        """A range's records until all of them are there."""
        return self.records.with_name(self.records.name + ".part")

    def drop_parts(self) -> None:
        """The ranges are joined."""
        shutil.rmtree(self.path / "parts", ignore_errors=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def alone(self) -> Iterator[int | None]:
        """A handle that keeps the folder for whoever holds it; None where another process does.

        A child that inherits it keeps the folder, too, however its parent ends.
        """
        import fcntl

        self.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield handle
        except BlockingIOError:
            yield None
        finally:
            os.close(handle)


class Folders:
    """The folders of all jobs. path : is made where there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, id: str) -> Folder:
        return Folder(self.path / id)

    def drop_abandoned(self, known: Callable[[], set[str]]) -> None:
        """Drop folders that nobody writes into and that are of no job that is known."""
        before = time.time() - _ABANDONED_S
        with suppress(FileNotFoundError):
            idle = [path for path in self.path.iterdir() if _last_change(path) < before]
            for path in idle and {*idle} - {self.path / id for id in known()}:
                Folder(path).remove()

    @contextmanager
    def receive(self, id: str, name: str) -> Iterator[Callable[[bytes], None]]:
        """What takes a recording that is being handed in, piece by piece.

        All of it goes where that is broken off. Raises OutputError where it cannot be written.
        """
        folder = self.of(id)
        try:
            with _written():
                folder.input.mkdir(parents=True, mode=0o700)
                stream = (folder.input / safe_name(name)).open("xb")
            with stream:

                def take(piece: bytes) -> None:
                    with _written():
                        stream.write(piece)

                yield take
                with _written():
                    stream.flush()
                    os.fsync(stream.fileno())
        except BaseException:
            folder.remove()
            raise


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise OutputError(f"the recording cannot be kept: {err.strerror or err}") from err


def _last_change(folder: Path) -> float:
    """When something was last written in a folder that is handed in, in seconds of Unix."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.glob("input/*")))
    except FileNotFoundError:
        return math.inf


def safe_name(name: str) -> str:
    r"""A client's name of a file, as one that is safe in a folder and on a command line.

    >>> safe_name("../../etc/passwd"), safe_name("C:\\a\\-Interview 1*.mp4"), safe_name("..")
    ('passwd', 'Interview 1_.mp4', 'recording')
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = _UNSAFE.sub("_", last).lstrip("_").rpartition(".")
    stem, ending = (stem, dot + ending[:16]) if dot else (ending, "")
    stem = stem.encode()[:_LONGEST_NAME].decode(errors="ignore").strip()
    return f"{stem}{ending}" if stem.strip("_. ") else f"recording{ending if stem else ''}"
