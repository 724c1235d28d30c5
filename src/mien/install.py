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

CPU_TORCH = "torch --index-url https://download.pytorch.org/whl/cpu"
"""What pip takes for torch without the libraries of NVIDIA's GPUs; Linux alone brings those."""


def adding(extra: str) -> str:
    """What to type for an extra, as this mien was installed: pip, uv, pipx; a name or a checkout.

    Of torch, where it would bring gigabytes for a GPU, the line that spares them comes first.
    """
    target = _target(extra)
    if extra == "train" and sys.platform == "linux" and not _has("torch"):
        return f"{_installer(CPU_TORCH)} (without an NVIDIA GPU), and then {_installer(target)}"
    return _installer(target)


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


def _installer(target: str) -> str:
    """What installs it into the environment that runs now."""
    prefix = Path(sys.prefix)
    is_torch = target == CPU_TORCH
    if (prefix / "pipx_metadata.json").exists():
        return (
            f"pipx runpip mien install {target}" if is_torch else f"pipx install --force {target}"
        )
    if (prefix / "uv-receipt.toml").exists() and not is_torch:
        return f"uv tool install {target}"
    python = _quoted(sys.executable)
    if (prefix / "uv-receipt.toml").exists() or _noted("INSTALLER").strip() == "uv":
        return f"uv pip install --python {python} {target}"
    pip = shutil.which("pip")
    at_hand = pip is not None and Path(pip).parent == Path(sys.executable).parent
    return f"pip install {target}" if at_hand else f"{python} -m pip install {target}"


def _quoted(text: str) -> str:
    """As a shell takes it; brackets are patterns to some. Windows has double quotes only."""
    plain = all(c.isalnum() or c in "/._-:\\" for c in text)
    mark = '"' if os.name == "nt" else "'"
    return text if plain else f"{mark}{text}{mark}"
