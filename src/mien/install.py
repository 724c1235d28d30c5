"""How this mien was installed, and so the line that adds to it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

_CPU_TORCH = "torch --index-url URL"
"""What pip takes for torch without the libraries of NVIDIA's GPUs; Linux alone brings those."""
_WHERE = "without an NVIDIA GPU; URL is the one for CPUs that pytorch.org/get-started names"


def adding(extra: str) -> str:
    """What to type for an extra, as this mien was installed: pip, uv, pipx; a name or a checkout.

    Of torch, where it would bring gigabytes for a GPU, it says how to be spared them.
    """
    command, target = _installer(), _target(extra)
    line = f"{command} {target}"
    if extra != "train" or sys.platform != "linux" or _has("torch"):
        return line
    if command.startswith("uv "):
        return f"{command} --torch-backend cpu {target} (with an NVIDIA GPU without the backend)"
    first = "pipx inject mien" if command.startswith("pipx ") else command
    return f"{first} {_CPU_TORCH} ({_WHERE}), and then {line}"


def _has(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _target(extra: str) -> str:
    """What is installed: by its name, or from where it came, if that is still there."""
    origin = _origin()
    url = str(origin.get("url", ""))
    if "vcs_info" in origin:
        commit = origin["vcs_info"].get("commit_id", "")
        return _quoted(f"mien[{extra}] @ {origin['vcs_info']['vcs']}+{url}@{commit}")
    place = Path(url2pathname(urlsplit(url).path)) if url.startswith("file:") else None
    if place is None or not place.exists():
        return _quoted(f"mien[{extra}]")
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return editable + _quoted(f"{place}[{extra}]")


def _origin() -> dict[str, Any]:
    """Where it came from, as its installer noted it; nothing for a package of an index."""
    found = _noted("direct_url.json")
    try:
        origin = json.loads(found)
    except ValueError:
        return {}
    return origin if isinstance(origin, dict) else {}


def _noted(name: str) -> str:
    """A file that the installer left with the package; empty where there is none."""
    try:
        return metadata.distribution("mien").read_text(name) or ""
    except metadata.PackageNotFoundError:  # a checkout on the path, never installed
        return ""


def _installer() -> str:
    """What installs into the environment that runs now."""
    prefix, python = Path(sys.prefix), _quoted(sys.executable)
    if (prefix / "pipx_metadata.json").exists():
        return "pipx install --force"
    if (prefix / "uv-receipt.toml").exists():
        return "uv tool install"
    if _noted("INSTALLER").strip() == "uv":
        return f"uv pip install --python {python}"
    pip = shutil.which("pip")
    at_hand = pip is not None and Path(pip).parent == Path(sys.executable).parent
    return "pip install" if at_hand else f"{python} -m pip install"


def _quoted(text: str) -> str:
    """As a shell takes it; brackets are patterns to some. Windows has double quotes only."""
    plain = all(c.isalnum() or c in "/._-:\\" for c in text)
    mark = '"' if os.name == "nt" else "'"
    return text if plain else f"{mark}{text}{mark}"
