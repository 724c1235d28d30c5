"""Files as they are written: beside their name, whole, and only then under it.

A full disk or a kill in the middle leaves what was there, and nothing that looks like a result.
"""

from __future__ import annotations

import os
import threading
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


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """A folder for this process alone; raises OutputError where another has it.

    what : what another does there, for the error. The system lets go of it however a process ends,
    and no file is left; where it knows no such locks (Windows) there is none.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as err:
        raise OutputError(f"cannot write into {folder}: {err.strerror}") from err
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise OutputError(f"{what} goes on in {folder} already; wait for it") from None
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(handle)


_ALONE = threading.Lock()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """A folder for this thread alone, once whoever has it is done: for moments. Raises OutputError.

    Other processes wait, too, where the system knows such locks (not on Windows).
    """
    with _ALONE:
        try:
            import fcntl

            handle = os.open(folder, os.O_RDONLY)
        except ImportError:
            yield
            return
        except OSError as err:
            raise OutputError(f"cannot write into {folder}: {err.strerror}") from err
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def claim(stream: IO[bytes], path: Path) -> None:
    """An open file for this process alone until it is closed; raises OutputError."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"another run writes {path}; wait for it, or name another --out"
        ) from None
    except OSError:
        pass  # a file system without locks


def write(path: Path, content: bytes) -> None:
    """A file, in a folder that is made where there is none; raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        why = "a file has that name" if isinstance(err, FileExistsError) else err.strerror
        raise OutputError(f"cannot write into {path.parent}: {why}") from err
    try:
        with replacing(path) as stream:
            stream.write(content)
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror or err}") from err
