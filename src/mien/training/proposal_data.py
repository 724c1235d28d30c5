"""What the proposal network is shown: scenes made of faces, pictures without people, and decoys."""

from __future__ import annotations

from dataclasses import dataclass

from ..data import scenes
from ..data.table import Table
from ..face import FloatArray, ImageArray
from .landmark_data import divided

Scenes = tuple[ImageArray, FloatArray]
"""Pictures (N, 1, S, S) uint8, and the faces of each as ``scenes.make`` has them."""


@dataclass(frozen=True, slots=True)
class ProposalData:
    """What the scenes of the proposal network are made of.

    faces : splits of the table with landmarks.
    backgrounds : its split of pictures without people.
    decoys : its splits of what is taken for a face and is none.
    scenes : how many are made; every epoch sees each once, changed.
    """

    faces: tuple[str, ...]
    backgrounds: str
    decoys: tuple[str, ...]
    scenes: int


def made(
    data: ProposalData, table: Table, seed: int
) -> tuple[Scenes, Scenes, dict[str, dict[str, int]]]:
    """Scenes to train on, scenes to select by, and of how many rows they are made.

    Raises DataError where the table has too few of something.
    """
    parts = (table.of_split(*names) for names in (data.faces, (data.backgrounds,), data.decoys))
    used, kept = divided(*parts)
    train = scenes.make(scenes.sources(*used), data.scenes, seed)
    select = scenes.make(scenes.sources(*kept), data.scenes // 20, 0)
    counts = {
        name: {"used": len(u), "kept_for_selection": len(k)}
        for name, u, k in zip(("faces", "backgrounds", "decoys"), used, kept, strict=True)
    }
    return train, select, counts
