"""eNTERFACE'05 (Martin et al. 2006): 42 people speak five sentences in each of six emotions.

``subject 1/anger/sentence 1/s1_an_1.avi``, 25 frames a second. Some copies have the videos of a
subject without the folders of sentences.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...media.video import SUFFIXES
from ..table import Table
from . import Importer, visible_folders
from .collection import Collection
from .videos import FPS, add_frames

LAYOUT = "subject 1/anger/sentence 1/s1_an_1.avi and so on"
TERMS = "research only; cite Martin et al. 2006"
_SUBJECT = re.compile(r"subject[ _-]?(\d+)", re.IGNORECASE)


def read_enterface05(path: Path, fps: float = FPS) -> Table:
    """Frames of every video; a sequence is one sentence said in one emotion."""
    collection = Collection("enterface05", path)
    for person in visible_folders(path):
        named = _SUBJECT.fullmatch(person.name)
        if not named:
            name = collection.relative(person)
            collection.left_out[name] = f"folder {person} is not named like 'subject 1'"
            continue
        for folder in visible_folders(person):
            label = collection.label(folder)
            for file in collection.files(folder, SUFFIXES) if label else []:
                sequence = file.relative_to(person).with_suffix("").as_posix()
                add_frames(collection, file, fps, label or "", subject=named[1], sequence=sequence)
    return collection.table("folders like 'subject 1/anger' of videos", {"fps": fps})


def enterface05() -> Importer:
    return Importer(read_enterface05, LAYOUT, TERMS, read_enterface05)
