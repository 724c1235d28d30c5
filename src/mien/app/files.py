"""The result that verbs write besides records, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..files import write


def write_json(result: dict[str, Any], out: Path | None) -> None:
    """A result as a JSON file, where one was asked for; raises OutputError."""
    if out:
        write(out, (json.dumps(result, indent=2) + "\n").encode())
