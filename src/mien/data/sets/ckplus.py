"""CK+ (Lucey et al. 2010): 593 sequences of 123 people from a neutral face to the peak.

``cohn-kanade-images/S005/001/S005_001_00000001.png`` is the first frame of the first sequence of
subject S005. ``Emotion/S005/001/*_emotion.txt`` holds the number of the expression at the last
frame, for the 327 sequences that show one of seven; ``FACS/.../*_facs.txt`` the action units of
that frame with their intensities; ``Landmarks/.../*_landmarks.txt`` sixty-eight points a frame.
The archives unpack them into folders like ``Emotion_labels/Emotion``, which are found too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError
from ...faces.landmarks import POINTS
from ...labels import label_set
from ..table import Table
from . import Importer, visible_folders
from .collection import Collection, files_in

LAYOUT = "cohn-kanade-images/S005/001/*.png and Emotion/S005/001/*_emotion.txt in one folder"
TERMS = "research only, by agreement with the owners; cite Kanade et al. 2000, Lucey et al. 2010"
IMAGES = "cohn-kanade-images"
APEX = 3


def _part(root: Path, name: str) -> Path:
    """The folder of emotions, action units or landmarks, as named or as the archives unpack it."""
    nested = (root / outer / name for outer in (f"{name}_labels", name))
    return next((folder for folder in nested if folder.is_dir()), root / name)


def _numbers(path: Path, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The numbers of a text file in rows; raises DataError."""
    try:
        return np.array(path.read_text(encoding="ascii").split(), float).reshape(-1, columns)
    except (OSError, ValueError) as err:
        raise DataError(f"{path} is not a file of numbers in {columns} columns: {err}") from err


def _emotion(path: Path) -> str:
    labels = label_set("ckplus").labels
    values = _numbers(path, 1).ravel().tolist()
    if len(values) != 1 or values[0] not in range(len(labels)):
        raise DataError(f"{path}: an emotion is one number 0..{len(labels) - 1}, got {values}")
    return labels[int(values[0])]


def _landmarks(folder: Path, frame: Path) -> tuple[float, ...] | None:
    path = folder / f"{frame.stem}_landmarks.txt"
    if not path.is_file():
        return None
    points = _numbers(path, 2)
    if len(points) != POINTS:
        raise DataError(f"{path} holds {len(points)} points; CK+ has {POINTS} a face")
    return tuple(points.ravel().tolist())


def _action_units(folder: Path) -> dict[str, float]:
    """Number of the unit -> intensity, 0 where it shows without one having been coded."""
    files = sorted(folder.glob("*_facs.txt"))
    return {f"{unit:g}": level for path in files for unit, level in _numbers(path, 2).tolist()}


def read_ckplus(path: Path, apex: int = APEX) -> Table:
    """The neutral first and the last ``apex`` frames of every sequence with an emotion.

    The usual choice of papers. Sequences without an emotion are counted in the notes; the action
    units of the others' peaks stand there too, by sequence.
    """
    collection = Collection("ckplus", path)
    if not (path / IMAGES).is_dir():
        raise DataError(f"{path} holds no folder {IMAGES}")
    emotions = _part(path, "Emotion")
    if not emotions.is_dir():
        raise DataError(f"{path} holds no folder Emotion beside {IMAGES}: its labels")
    without, units = 0, {}
    for folder in (
        s for subject in visible_folders(path / IMAGES) for s in visible_folders(subject)
    ):
        name = folder.relative_to(path / IMAGES).as_posix()
        labelled = sorted((emotions / name).glob("*_emotion.txt"))
        frames = files_in(folder)
        if not labelled or not frames:
            without += 1
            continue
        label, points = _emotion(labelled[-1]), _part(path, "Landmarks") / name
        subject, _, sequence = name.partition("/")
        chosen = [(frames[0], "neutral"), *((frame, label) for frame in frames[1:][-apex:])]
        for frame, shown in chosen:
            collection.add(
                frame,
                f"{name}/{frame.stem}",
                "all",
                shown,
                subject=subject,
                sequence=sequence,
                landmarks=_landmarks(points, frame),
            )
        if found := _action_units(_part(path, "FACS") / name):
            units[name] = found
    if without:
        collection.left_out["sequences"] = (
            f"{without} of them without an emotion, or without frames"
        )
    notes = {"sequences_without_emotion": without, "action_units": units}
    return collection.table("sequences with an emotion", notes)


def ckplus() -> Importer:
    return Importer(read_ckplus, LAYOUT, TERMS)
