"""10k US Adult Faces (Bainbridge, Isola and Oliva 2013): attributes of 2,222 photographs.

The pictures lie in ``Face Images``. The attributes come as a workbook; its sheet of final values
saved as CSV is ``demographic-others-labels-final.csv``, its sheet of single answers, several a
face, ``demographic-others-labels.csv``. Both have ``Filename`` and a column for the emotion, a
number from 0. Nobody is on two pictures, so there are no subjects.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ...errors import DataError
from ..table import Table
from . import Importer, csv_rows
from .collection import Collection

LAYOUT = "Face Images/*.jpg and demographic-others-labels-final.csv, in any folder beside them"
TERMS = "research only, on request to the owners; cite Bainbridge et al. 2013"
LABELS = ("neutral", "happiness", "sadness", "anger", "fear", "surprise", "disgust")
"""The emotions by their number."""
_TABLES = ("demographic-others-labels-final.csv", "demographic-others-labels.csv")


def _table(root: Path) -> Path:
    for name in _TABLES:
        found = sorted(root.rglob(name))
        if found:
            return found[0]
    raise DataError(
        f"{root} holds no {_TABLES[0]}: save the sheet 'Final Values' of "
        "demographic-others-labels.xlsx under that name"
    )


def _number(text: str, where: str) -> int | None:
    """The emotion's number; None where the answers had no single one."""
    try:
        value = float(text.replace(",", ".")) if text.strip() else float("nan")
    except ValueError:
        raise DataError(f"{where}: an emotion is a number 0..6, got '{text}'") from None
    if not value.is_integer():
        return None
    if int(value) not in range(len(LABELS)):
        raise DataError(f"{where}: an emotion is a number 0..6, got '{text}'")
    return int(value)


def _answers(table: Path) -> dict[str, Counter[int]]:
    """How often each emotion was given to each picture."""
    answers: dict[str, Counter[int]] = {}
    for line, record in csv_rows(table, ("Filename",)):
        column = next((c for c in record if c.strip(" ?").lower() == "emotion"), None)
        if column is None:
            raise DataError(f"{table} has no column 'Emotion'; it has {list(record)}")
        emotion = _number(record[column], f"{table}, line {line}")
        counts = answers.setdefault(record["Filename"], Counter())
        if emotion is not None:
            counts[emotion] += 1
    return answers


def read_faces10k(path: Path) -> Table:
    """The pictures with an emotion; of several answers a face the votes, and the first of most."""
    collection = Collection("faces10k", path)
    table = _table(path)
    answers = _answers(table)
    voted = any(counts.total() > 1 for counts in answers.values())
    for name, counts in answers.items():
        votes = tuple(float(counts[i]) for i in range(len(LABELS)))
        if not any(votes):
            collection.left_out[name] = f"{table} gives {name} no single emotion"
            continue
        label = LABELS[votes.index(max(votes))]
        file = collection.listed(f"Face Images/{name}")
        if file is None:
            continue
        collection.add(file, name, "all", label, votes=votes if voted else None)
    vote_labels = LABELS if voted else ()
    return collection.table(f"rows in {table}", vote_labels=vote_labels)


def faces10k() -> Importer:
    return Importer(read_faces10k, LAYOUT, TERMS)
