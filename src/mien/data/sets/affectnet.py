"""AffectNet (Mollahosseini, Hasani and Mahoor 2017): faces from the web, label, valence, arousal.

``train_set/images/0.jpg`` is described by the arrays ``train_set/annotations/0_exp.npy`` (its
label), ``0_val.npy`` and ``0_aro.npy`` (from -1 to 1, -2 for none) and ``0_lnd.npy`` (sixty-eight
points); ``val_set`` likewise. One person tagged each picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...faces.landmarks import POINTS
from ...labels import label_set
from ..table import Table
from . import Importer
from .collection import Collection, files_in

LAYOUT = "train_set/images/0.jpg, train_set/annotations/0_exp.npy and so on, and val_set"
TERMS = "non-commercial research only, by agreement; cite Mollahosseini et al. 2017"
AFFECT = ("valence", "arousal")
LABELS = (*label_set("affectnet").labels, "unknown", "unknown", "not_a_face")
"""By number; 8 is none of these, 9 uncertain, 10 no face."""


def _array(path: Path, size: int) -> npt.NDArray[np.float64]:
    """The numbers of an annotation, whatever type they were saved as; raises DataError."""
    try:
        values: npt.NDArray[Any] = np.load(path).astype(float).ravel()
    except (OSError, EOFError, ValueError) as err:
        raise DataError(f"{path} is not an array of {size} numbers: {err}") from err
    if values.size != size:
        raise DataError(f"{path} is not an array of {size} numbers: it has {values.size}")
    return values


def _label(path: Path) -> str:
    number = _array(path, 1)[0]
    if number not in range(len(LABELS)):
        raise DataError(f"{path}: a label is a number 0..{len(LABELS) - 1}, got {number:g}")
    return LABELS[int(number)]


def _affect(stem: Path) -> tuple[float, ...] | None:
    """Valence and arousal, moved from [-1, 1] to [0, 1]; None where one is missing."""
    files = [stem.with_name(f"{stem.name}_{part}.npy") for part in ("val", "aro")]
    if not all(file.is_file() for file in files):
        return None
    values = [float(_array(file, 1)[0]) for file in files]
    return tuple((v + 1) / 2 for v in values) if all(-1 <= v <= 1 for v in values) else None


def _landmarks(path: Path) -> tuple[float, ...] | None:
    return tuple(_array(path, 2 * POINTS).tolist()) if path.is_file() else None


def _number_first(file: Path) -> tuple[int, str]:
    return (int(file.stem) if file.stem.isdecimal() else -1), file.stem


def read_affectnet(path: Path) -> Table:
    """Both sets as the splits ``train`` and ``val``; valence and arousal as intensities."""
    collection = Collection("affectnet", path)
    for split in ("train", "val"):
        root = path / f"{split}_set"
        for file in sorted(files_in(root / "images"), key=_number_first):
            stem = root / "annotations" / file.stem
            label = stem.with_name(f"{stem.name}_exp.npy")
            if not label.is_file():
                collection.left_out[collection.relative(file)] = f"{label} is not there"
                continue
            collection.add(
                file,
                f"{split}/{file.stem}",
                split,
                _label(label),
                landmarks=_landmarks(stem.with_name(f"{stem.name}_lnd.npy")),
                intensity=_affect(stem),
            )
    return collection.table("train_set/images/*.jpg with annotations", intensity_labels=AFFECT)


def affectnet() -> Importer:
    return Importer(read_affectnet, LAYOUT, TERMS)
