"""A paper's experiments as one report: Markdown with its figures beside it, and one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .checkpoint import write_whole
from .recipes import Reproduction


def write(
    plan: Reproduction,
    results: Sequence[dict[str, Any]],
    failures: Mapping[str, str],
    out: Path,
    quick: bool,
) -> None:
    """Write ``report.json``, ``report.md`` and ``report.html`` into ``out``.

    results : what ``reproduce`` found of each experiment; failures : why the others have none.
    """
    content = {"name": plan.name, "quick": quick, "failures": dict(failures), "runs": results}
    write_whole((json.dumps(content, indent=1) + "\n").encode(), out / "report.json")
