"""FER2013 (Goodfellow et al. 2013, arXiv:1307.0414), FER+ (Barsoum et al. 2016, arXiv:1608.01041).

FER2013's pictures come as ``fer2013.csv`` or as the Kaggle folders ``train/<label>/*.png`` and
``test/<label>/*.png``. FER+ labels the same rows anew, ten taggers each, in ``fer2013new.csv``;
it has no pictures and joins by row number, so only a layout that kept the row can take it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from ...errors import DataError
from ...labels import CANONICAL, NOT_EMOTIONS, label_set
from ...media.image import SUFFIXES, file_bytes, read_bytes
from ..table import Row, Table
from . import Importer, csv_rows, label_of, visible_folders

SPLITS = ("Training", "PublicTest", "PrivateTest")
VOTE_LABELS = (*CANONICAL, *NOT_EMOTIONS)
_VOTE_COLUMNS = (*CANONICAL, "unknown", "NF")
_SIZE = 48
_NUMBERED = re.compile(rf"({'|'.join(SPLITS)})_(\d+)$")
TERMS = "FER2013: research use; its photographs carry no licence. FER+ labels: MIT."


def _from_csv(path: Path) -> Iterator[Row]:
    fer2013 = label_set("fer2013")
    numbers = {str(i): label for i, label in enumerate(fer2013.labels)}
    rows = csv_rows(path, ("emotion", "pixels", "Usage"))
    for number, (line, record) in enumerate(rows):
        where = f"{path}, line {line}"
        if record["emotion"] not in numbers:
            raise DataError(f"{where}: emotion is a number 0..6, got '{record['emotion']}'")
        if record["Usage"] not in SPLITS:
            raise DataError(f"{where}: Usage is one of {SPLITS}, got '{record['Usage']}'")
        try:
            gray = bytes(map(int, record["pixels"].split()))
            pixels = np.frombuffer(gray, np.uint8).reshape(_SIZE, _SIZE)
        except ValueError as err:
            raise DataError(f"{where}: pixels are 48 x 48 numbers 0..255: {err}") from err
        png = cv2.imencode(".png", pixels)[1].tobytes()
        row_id, label = f"fer2013/{number:05d}", numbers[record["emotion"]]
        yield Row(row_id, record["Usage"], label, png, _SIZE, _SIZE, source=path.name)


def _from_folders(root: Path) -> Iterator[Row]:
    """The Kaggle folders; the row number is kept where the file names carry it."""
    for side in ("train", "test"):
        for folder in visible_folders(root / side):
            label = label_of(folder)
            for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
                content = file_bytes(path)
                height, width = read_bytes(content, str(path)).shape[:2]
                numbered = _NUMBERED.match(path.stem)
                split = numbered[1] if numbered else side
                row_id = (
                    f"fer2013/{int(numbered[2]):05d}"
                    if numbered
                    else f"fer2013/{side}/{folder.name}/{path.stem}"
                )
                source = str(path.relative_to(root))
                yield Row(row_id, split, label, content, width, height, source=source)


def read_fer2013(path: Path) -> Table:
    """FER2013 with its own seven labels, from ``fer2013.csv`` or the Kaggle folders."""
    if path.is_dir() and (path / "fer2013.csv").is_file():
        path = path / "fer2013.csv"
    if path.is_dir() and (path / "fer2013" / "train").is_dir():
        path = path / "fer2013"
    if path.is_file():
        rows = list(_from_csv(path))
    elif (path / "train").is_dir() and (path / "test").is_dir():
        rows = sorted(_from_folders(path), key=lambda row: row.id)
    else:
        raise DataError(
            f"{path} holds neither fer2013.csv nor the folders train/ and test/ "
            "with one folder per emotion"
        )
    if not rows:
        raise DataError(f"{path} holds no pictures")
    return Table("fer2013", rows)


def read_votes(path: Path) -> list[tuple[str, str, tuple[float, ...]]]:
    """FER+'s ``fer2013new.csv``: (Usage, image name, ten votes) per row, in FER2013's order."""
    rows = []
    for line, record in csv_rows(path, ("Usage", "Image name", *_VOTE_COLUMNS)):
        try:
            votes = tuple(float(record[c]) for c in _VOTE_COLUMNS)
        except ValueError as err:
            raise DataError(f"{path}, line {line}: votes are numbers: {err}") from err
        rows.append((record["Usage"], record["Image name"].strip(), votes))
    return rows


def majority(votes: Sequence[float]) -> str:
    """The label with most votes, the first of several; one of VOTE_LABELS."""
    return VOTE_LABELS[int(np.argmax(votes))]


def read_ferplus(path: Path) -> Table:
    """FER2013's pictures with FER+'s votes, joined by row; ``label`` is the majority.

    FER+ names no picture for rows it left out (black frames, "image removed" signs): they are
    left out here too and counted in the notes.
    """
    votes_csv = next((p for p in (path / "fer2013new.csv", path) if p.is_file()), None)
    if votes_csv is None:
        raise DataError(f"no fer2013new.csv in {path}; it lies in github.com/microsoft/FERPlus")
    votes = read_votes(votes_csv)
    pictures = read_fer2013(votes_csv.parent)
    if len(pictures) != len(votes):
        raise DataError(f"{len(pictures)} pictures but {len(votes)} rows of votes in {votes_csv}")
    rows, left_out = [], 0
    for number, (row, (usage, name, counts)) in enumerate(zip(pictures.rows, votes, strict=True)):
        if row.id != f"fer2013/{number:05d}":
            raise DataError(
                f"the file names in {votes_csv.parent} do not carry FER2013's row numbers "
                f"({row.source}), so votes cannot be joined; use fer2013.csv"
            )
        if row.split != usage:
            raise DataError(
                f"row {number} is of {row.split} in {row.source} but of {usage} in {votes_csv}: "
                "these two files do not belong together"
            )
        if not name:
            left_out += 1
            continue
        label = majority(counts)
        rows.append(
            Row(row.id, usage, label, row.image, row.width, row.height, counts, source=row.source)
        )
    told = {"rows": f"FER+ names no picture for {left_out} rows of FER2013's"} if left_out else {}
    notes = {"left_out_by_ferplus": left_out, "left_out": told}
    return Table("ferplus", rows, VOTE_LABELS, notes)


def fer2013() -> Importer:
    return Importer(
        read_fer2013, "fer2013.csv, or train/<label>/*.png and test/<label>/*.png", TERMS
    )


def ferplus() -> Importer:
    return Importer(read_ferplus, "fer2013new.csv beside fer2013.csv or numbered folders", TERMS)
