"""RAF-DB's basic expressions (Li, Deng and Du 2017): 15,339 faces from the web, about 40 taggers.

``EmoLabel/list_patition_label.txt`` (the owners' spelling) says ``train_00001.jpg 5``: the split
and the label, counted from 1. The pictures are ``Image/aligned/train_00001_aligned.jpg``, 100 x
100, or ``Image/original/train_00001.jpg``.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from ...labels import label_set
from ..table import Table
from . import Importer
from .collection import Collection

LIST = Path("EmoLabel", "list_patition_label.txt")
LAYOUT = f"{LIST.as_posix()} beside Image/aligned/train_00001_aligned.jpg or Image/original"
TERMS = "non-commercial research only, by agreement with the owners; cite Li et al. 2017"
_SPLITS = ("train", "test")


def _listed(path: Path) -> list[tuple[str, str, str]]:
    """(stem, split, label) per line; raises DataError with the line."""
    labels = label_set("rafdb")
    numbers = {str(i): label for i, label in enumerate(labels.labels, labels.first)}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"cannot read {path}: {err}") from err
    rows = []
    for number, line in enumerate(lines, 1):
        name, _, given = line.strip().partition(" ")
        split = name.partition("_")[0]
        if not name:
            continue
        if split not in _SPLITS or given.strip() not in numbers:
            expected = f"a line like 'train_00001.jpg 5' with a label {labels.first}..{len(labels)}"
            raise DataError(f"{path}, line {number}: expected {expected}, got '{line}'")
        rows.append((Path(name).stem, split, numbers[given.strip()]))
    return rows


def read_rafdb(path: Path) -> Table:
    """The listed pictures, aligned where they are there, in the owners' split."""
    collection = Collection("rafdb", path / "basic" if (path / "basic").is_dir() else path)
    root = collection.root
    if not (root / LIST).is_file():
        raise DataError(f"no {LIST.as_posix()} in {path}")
    aligned = (root / "Image" / "aligned").is_dir()
    folder, ending = ("aligned", "_aligned.jpg") if aligned else ("original", ".jpg")
    for stem, split, label in _listed(root / LIST):
        if file := collection.listed(f"Image/{folder}/{stem}{ending}"):
            collection.add(file, stem, split, label)
    return collection.table(f"lines in {LIST.as_posix()}")


def rafdb() -> Importer:
    return Importer(read_rafdb, LAYOUT, TERMS)
