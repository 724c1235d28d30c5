"""The page's files as ``make web`` built them, and the model files that it reads faces with.

They lie compressed in ``page``: the wheel and the checkout bring what the browser gets, and
neither needs Node (ADR 31).
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..weights import catalogue

FOLDER = Path(__file__).with_name("page")
_SUFFIX = ".gz"
_KINDS = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_WEIGHTS = ("mien", "landmarks68", "proposals")
WEIGHTS = "/weights.json"
"""Where the page reads which model files there are."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page.

    path : of the address, "/" for the page itself.
    lasting : whether what it holds never changes under this address.
    compressed : whether the file is gzip's.
    """

    path: str
    file: Path
    kind: str
    lasting: bool
    compressed: bool

    def content(self) -> bytes:
        """What the file holds, uncompressed."""
        content = self.file.read_bytes()
        return gzip.decompress(content) if self.compressed else content


@cache
def assets() -> dict[str, Asset]:
    """Every file by its path; empty where none was built."""
    found = [*map(_built, sorted(FOLDER.rglob(f"*{_SUFFIX}"))), *map(_weights, _WEIGHTS)]
    return {asset.path: asset for asset in found}


def weights() -> dict[str, str]:
    """The model files' addresses by their names, as ``WEIGHTS`` tells them."""
    return {asset.file.name: asset.path[1:] for asset in assets().values() if not asset.compressed}


def _built(file: Path) -> Asset:
    name = file.relative_to(FOLDER).as_posix().removesuffix(_SUFFIX)
    path = "/" if name == "index.html" else f"/{name}"
    return Asset(path, file, _KINDS[Path(name).suffix], name.startswith("assets/"), True)


def _weights(name: str) -> Asset:
    """A model file of the wheel; its address says which one, so that it may be kept for ever."""
    row = catalogue.CATALOGUE[name]
    file = catalogue.locate(row)
    assert file is not None, "the wheel brings it"
    path = f"/weights/{row.sha256[:16]}/{file.name}"
    return Asset(path, file, _KINDS[file.suffix], True, False)
