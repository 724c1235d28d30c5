"""MUG (Aifanti et al. 2010): takes of posed expressions, from neutral to the peak and back.

``subjects3/001/anger/take000/img_0000.jpg`` is the first frame of the first take of anger of
subject 001. Some people came twice: ``002/session0/anger/take000``.

Three ways to take frames: ``mug``, the neutral first and some of the middle; ``mug-intensity``,
nine that go up to the peak and down again, as Xu et al. (2019) label them; ``mug-frames``, all of
them, to choose the strong ones by what a model measures (``mien data strong``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..table import Table
from . import Importer, visible_folders
from .collection import Collection

LAYOUT = "<subject>/<emotion>/take000/img_0000.jpg, with or without session folders"
TERMS = "research only, by agreement with the owners; cite Aifanti et al. 2010"
APEX = 3
NINE = (0.2, 0.4, 0.6, 0.8, 1.0, 0.8, 0.6, 0.4, 0.2)
"""How strongly the nine frames of a take show its expression; what is left is neutral."""
_GRADED = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")


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


def read_graded(path: Path) -> Table:
    """Nine frames of each take with their intensities, 20 to 100 % and back to 20.

    They lie evenly between the neutral ends of the take, its peak in the middle. Takes of fewer
    than nine frames between the ends, and neutral ones, are left out.
    """
    collection = Collection("mug-intensity", path)
    for subject, sequence, label, frames in takes(collection):
        inner = frames[1:-1]
        if label not in _GRADED[1:] or len(inner) < len(NINE):
            continue
        last = len(frames) - 1
        for number, share in enumerate(NINE, 1):
            frame = frames[round(number * last / (len(NINE) + 1))]
            vector = tuple(
                share if name == label else 1 - share if name == "neutral" else 0.0
                for name in _GRADED
            )
            shown = label if share >= 0.5 else "neutral"
            row_id = f"{subject}/{sequence}/{frame.stem}"
            more = {"subject": subject, "sequence": sequence, "intensity": vector}
            collection.add(frame, row_id, "all", shown, **more)
    return collection.table("takes of frames", intensity_labels=_GRADED)


def read_frames(path: Path) -> Table:
    """Every frame of every take, labelled as the take is, its neutral ends too."""
    collection = Collection("mug-frames", path)
    for subject, sequence, label, frames in takes(collection):
        for frame in frames:
            row_id = f"{subject}/{sequence}/{frame.stem}"
            collection.add(frame, row_id, "all", label, subject=subject, sequence=sequence)
    return collection.table("takes of frames")


def mug() -> Importer:
    return Importer(read_mug, LAYOUT, TERMS)


def mug_intensity() -> Importer:
    return Importer(read_graded, LAYOUT, TERMS)


def mug_frames() -> Importer:
    return Importer(read_frames, LAYOUT, TERMS)
