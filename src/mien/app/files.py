"""The files that verbs write besides records: whether they can be written, and results as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ConfigError, OutputError
from ..files import write
from .laboratory import need


def ready(path: Path | None) -> Path | None:
    """The same file's name, if it can be written there; raises OutputError before the work is done.

    No file and no folder is made yet: the work may still fail.
    """
    if path is not None:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; name a file in it")
        if path.exists() and not os.access(path, os.W_OK):
            raise OutputError(f"cannot write {path}: no permission")
        _can_hold(path.parent, path)
    return path


def ready_for(ending: str) -> Callable[[Path | None], Path | None]:
    """The same for a file of one kind: raises ConfigError for a name that says another.

    A pipe or a device is named as it is.
    """

    def check(path: Path | None) -> Path | None:
        if path is None:
            return None
        ready(path)
        is_special = path.exists() and not path.is_file()
        if path.suffix.lower() != ending and not is_special:
            raise ConfigError(f"{path} is to be {ending}; name it {path.with_suffix(ending).name}")
        return path

    return check


def ready_folder(path: Path | None) -> Path | None:
    """The same folder's name, if files can be written into it; raises OutputError."""
    if path is not None:
        _can_hold(path, path)
    return path


def ready_table(path: Path) -> Path:
    """The same table's name, if it can be written; raises OutputError, MissingExtra."""
    need("writing a mien table", "pyarrow")
    ready_for(".parquet")(path)
    return path


def ready_charts(path: Path | None) -> Path | None:
    """The same folder's name, if charts can be drawn into it; raises OutputError, MissingExtra."""
    if path is not None:
        need("drawing figures", "matplotlib")
    return ready_folder(path)


def ready_report(path: Path) -> Path:
    """The same folder's name, if a report with charts can be written into it; raises as above."""
    need("writing a report", "jinja2", "markdown-it-py")
    ready_charts(path)
    return path


def _can_hold(folder: Path, path: Path) -> None:
    """Whether a folder, or the nearest one above it that is there, takes new files."""
    there = next(above for above in (folder, *folder.absolute().parents) if above.exists())
    if not there.is_dir():
        raise OutputError(f"cannot write {path}: {there} is a file, no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: {there} takes no new files")


def write_json(result: dict[str, Any], out: Path | None) -> None:
    """A result as a JSON file, where one was asked for; raises OutputError."""
    if out:
        write(out, (json.dumps(result, indent=2) + "\n").encode())
