"""Where a figure comes from: date, commit, machine and versions, for every JSON mien writes."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

LIBRARIES = ("mien", "numpy", "opencv-python-headless", "onnxruntime", "torch", "scikit-learn")
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
"""Those that networks run by, as Linux names them on x86 and ARM: one in eight bits takes a third
of the time on a processor that has products of bytes (all but the first two)."""
CPUINFO = Path("/proc/cpuinfo")


def now() -> str:
    """The date and time, UTC, to the second (ISO 8601)."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def environment() -> dict[str, Any]:
    """What a reader needs to judge or repeat a figure; never a user or host name."""
    return {"date": now(), "commit": commit(), "machine": machine(), "versions": versions()}


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def machine() -> dict[str, Any]:
    """What it runs on: "instructions" are those of ``INSTRUCTIONS`` it has, None off Linux."""
    told = _cpuinfo()
    flags = told.get("flags", told.get("Features"))
    return {
        "system": platform.system(),
        "cpu": told.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "instructions": None
        if flags is None
        else [name for name in INSTRUCTIONS if name in flags.split()],
    }


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    try:
        text = CPUINFO.read_text()
    except OSError:
        return {}
    rows = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in rows}


@functools.cache
def commit() -> str | None:
    """The commit of the source checkout, "-dirty" when it has changes; None in an installation."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        return None

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None
