"""The files that verbs write besides records: a result as JSON, a picture, a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import OutputError


def write_json(result: dict[str, Any], out: Path | None) -> None:
    """A result as a JSON file, where one was asked for; raises OutputError."""
    if out:
        write(out, (json.dumps(result, indent=2) + "\n").encode())


def write(path: Path, content: bytes) -> None:
    """A file, in a folder that is made where there is none; raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror or err}") from err
