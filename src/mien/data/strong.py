"""The strong frames of a sequence from neutral to a peak and back, by measured intensity.

MUG's owners do not say where in a take the peak is, and people hold it for a moment or a second;
Xu et al. (2019) clean the set by keeping strong frames. Here a model measures how strongly each
frame shows what its sequence is labelled, and a contact sheet shows what that led to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelError, UnknownName
from ..expression.baserates import BaseRates
from ..expression.recognize import Recognizer
from ..face import FloatArray, ImageArray
from ..faces.finder import Finder
from ..media.image import read_bytes
from .cut import cut_faces
from .sheet import Strip, strips
from .table import Row, Table

SHOWN = 24
"""Sequences on a contact sheet, evenly chosen."""
_COLUMNS = 12  # frames of each, evenly chosen too


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """The frames of one sequence in order, how strong each is in [0, 1], and which are kept."""

    name: str
    rows: Sequence[Row]
    strengths: FloatArray
    kept: npt.NDArray[np.bool_]


def measured(
    table: Table, recognizer: Recognizer, share: float = 0.8, least: float = 0.5
) -> list[Take]:
    """Every sequence of a table of face crops with what is kept of it.

    share : of its peak, a frame must be at least so strong. least : the peak itself must be.
    Raises DataError for a table without sequences or a label the model does not answer,
    ModelError for a model that tells no intensities.
    """
    info = recognizer.info
    labels = {row.label for row in table.rows}
    for label in labels:
        if label not in info.label_set.labels:
            raise UnknownName("expression of this model", label, info.label_set.labels)
    places: dict[str, list[int]] = {}
    for place, row in enumerate(table.rows):
        if row.sequence:
            places.setdefault(f"{row.subject or ''} {row.sequence}".strip(), []).append(place)
    if not places:
        raise DataError(f"{table.name} has no sequences; import one that has, mug-frames for one")
    takes = []
    for name, of_take in places.items():
        chosen = {*of_take}
        frames = table.keep(place in chosen for place in range(len(table)))
        strengths = _strengths(frames, recognizer)
        peak = float(strengths.max())
        kept = (strengths >= share * peak) & (peak >= least)
        takes.append(Take(name, frames.rows, strengths, kept))
    return takes


def _strengths(frames: Table, recognizer: Recognizer) -> FloatArray:
    """Of each frame's own label; the mean of three neighbours, so that no single frame decides."""
    info = recognizer.info
    how = "box" if frames.notes.get("align") == info.align else info.align
    crops = cut_faces(frames, Finder(None), how, info.preprocess.size)[1]
    read = recognizer.read(crops, BaseRates("training"))
    if read.intensity is None:
        raise ModelError(f"{info.name} tells no intensities; fit them with: mien calibrate")
    index = [info.label_set.index(row.label) for row in frames.rows]
    plain = read.intensity[np.arange(len(index)), index]
    padded = np.concatenate([plain[:1], plain, plain[-1:]])
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3, np.float32)


def kept(table: Table, takes: Sequence[Take]) -> Table:
    """The table's rows that some take keeps, each with its measured strength in the notes."""
    strong = {row.id for take in takes for row, k in zip(take.rows, take.kept, strict=True) if k}
    return table.keep(row.id in strong for row in table.rows)


def sheet(takes: Sequence[Take], title: str) -> ImageArray:
    """Some sequences, a line each: frames in order, their strength, the kept ones framed."""
    step = -(-len(takes) // SHOWN)
    return strips([_strip(take) for take in takes[::step]], title)


def _strip(take: Take) -> Strip:
    count = min(_COLUMNS, len(take.rows))
    places = np.linspace(0, len(take.rows) - 1, count).round().astype(int)
    return Strip(
        take.name,
        f"{int(take.kept.sum())} of {len(take.rows)}",
        [read_bytes(take.rows[p].image, take.rows[p].id) for p in places],
        [f"{take.strengths[p]:.2f}" for p in places],
        [bool(take.kept[p]) for p in places],
    )
