"""Packs the built page into the service, so that whoever installs mien needs no Node.

``make web`` runs it after the build. ``built.json`` says what the files were built from: a checkout
whose sources have changed since is found without Node (tests/web/test_built.py).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path

WEB = Path(__file__).parent
DIST = WEB / "page" / "dist"
PAGE = WEB.parent / "src" / "mien" / "service" / "page"
BUILT = "built.json"
_SOURCES = (
    "package-lock.json",
    "page/index.html",
    "page/package.json",
    "page/tsconfig*.json",
    "page/vite.config.ts",
    "page/public/*",
    "page/src/**/*",
    "packages/mien/models/numbers.json",
    "packages/mien/package.json",
    "packages/mien/tsconfig.json",
    "packages/mien/src/**/*",
)


def sources() -> dict[str, str]:
    """The sha256 of every file that the page is built from, by its path under ``web``."""
    found = sorted(path for pattern in _SOURCES for path in WEB.glob(pattern) if path.is_file())
    return {path.relative_to(WEB).as_posix(): _digest(path.read_bytes()) for path in found}


def built(folder: Path) -> dict[str, bytes]:
    """The files of a build, by their names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def packed() -> dict[str, bytes]:
    """The files that the service gives, as they were built."""
    files = sorted(PAGE.rglob("*.gz"))
    return {
        path.relative_to(PAGE).as_posix().removesuffix(".gz"): gzip.decompress(path.read_bytes())
        for path in files
    }


def pack() -> None:
    """Put the build in place of the one before. What has not changed keeps its bytes."""
    new, old = built(DIST), packed()
    if "index.html" not in new:
        raise SystemExit(f"nothing was built into {DIST}: make web")
    for name in old.keys() - new.keys():
        (PAGE / f"{name}.gz").unlink()
    for name in new:
        if old.get(name) != new[name]:
            path = PAGE / f"{name}.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(new[name], 9, mtime=0))
    (PAGE / BUILT).write_text(json.dumps({"sources": sources()}, indent=1) + "\n")
    shutil.rmtree(DIST)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    pack()
