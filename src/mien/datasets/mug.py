"""MUG (Aifanti et al. 2010): takes of posed expressions, from neutral to the peak and back.

``subjects3/001/anger/take000/img_0000.jpg`` is the first frame of the first take of anger of
subject 001. Some people came twice: ``002/session0/anger/take000``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..table import Table
from . import Importer, importers, visible_folders
from .collection import Collection

LAYOUT = "<subject>/<emotion>/take000/img_0000.jpg, with or without session folders"
TERMS = "research only, by agreement with the owners; cite Aifanti et al. 2010"
APEX = 3


def takes(collection: Collection) -> Iterator[tuple[str, str, str, list[Path]]]:
    """(subject, sequence, label, all frames in order) of every take."""
    root = collection.root / "subjects3"
    for person in visible_folders(root if root.is_dir() else collection.root):
        for take in sorted(p for p in person.rglob("take*") if p.is_dir()):
            label = collection.label(take.parent)
            frames = collection.files(take) if label else []
            if label and frames:
                yield person.name, take.relative_to(person).as_posix(), label, frames


def _middle(frames: list[Path], count: int) -> list[Path]:
    start = max((len(frames) - count) // 2, 0)
    return frames[start : start + count]


def read_mug(path: Path, apex: int = APEX) -> Table:
    """Of each take the neutral first frame and the ``apex`` frames in its middle.

    A take goes from neutral to the peak and back, and the owners do not say at which frame the
    peak is: the middle is an estimate. Take and frame stand in the rows' ids, in order.
    """
    collection = Collection("mug", path)
    for subject, sequence, label, frames in takes(collection):
        chosen = [(frames[0], "neutral"), *((f, label) for f in _middle(frames[1:], apex))]
        for frame, shown in chosen:
            row_id = f"{subject}/{sequence}/{frame.stem}"
            collection.add(frame, row_id, "all", shown, subject=subject, sequence=sequence)
    return collection.table("takes of frames")


@importers.register("mug")
def mug() -> Importer:
    return Importer(read_mug, LAYOUT, TERMS)
