"""300-W (Sagonas et al. 2013): HELEN, AFW and others with 68 points a face.

Beside every picture lies a ``.pts`` file of the same stem with the points, counted from 1. HELEN
says in its folders' names what is for training and what for testing; AFW and the rest are for
training.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...faces.landmarks import POINTS
from ...names import folded
from ..table import Table
from . import Importer
from .collection import Collection, files_in

TERMS = "research only, no commercial use; cite Sagonas et al. 2013"
_SPLITS = {"trainset": "train", "testset": "test"}


def read_points(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """The points of a ``.pts`` file, (68, 2), x y in pixels counted from 0; raises DataError."""
    try:
        inside = path.read_text(encoding="ascii").partition("{")[2].partition("}")[0]
        points = np.array(inside.split(), np.float32).reshape(-1, 2)
    except (OSError, ValueError) as err:
        raise DataError(f"{path} is not a file of points: {err}") from err
    if len(points) != POINTS or not np.isfinite(points).all():
        raise DataError(f"{path} holds {len(points)} points; 300-W has {POINTS} a face")
    return points - 1


def _pictures(root: Path) -> Iterator[tuple[Path, Path]]:
    """Every picture that has a file of points, with it."""
    pictures = {folded(str(file.with_suffix(""))): file for file in files_in(root)}
    for pts in files_in(root, {".pts"}):
        if picture := pictures.get(folded(str(pts.with_suffix("")))):
            yield picture, pts


def read_300w(path: Path) -> Table:
    """Every picture below a folder that has its points beside it."""
    collection = Collection("300w", path)
    for file, pts in _pictures(path):
        points = tuple(float(v) for v in read_points(pts).ravel())
        split = next((_SPLITS[p] for p in file.parts if p in _SPLITS), "train")
        name = collection.relative(file)
        collection.add(file, name, split, "unknown", landmarks=points)
    return collection.table("pictures with a .pts file beside them")


def w300() -> Importer:
    return Importer(read_300w, "pictures with .pts files beside them, in any folders", TERMS)
