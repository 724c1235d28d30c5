"""A picture of a data set: some faces of every label, to look at before trusting any of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import ConfigError, DataError
from ..face import ImageArray
from ..media.image import read_bytes
from ..media.preprocess import pad_to_square, resize
from .stats import label_order
from .table import Row, Table

_MARGIN, _GAP, _GUTTER = 24, 4, 20
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TITLE, _LABEL, _COUNT = 0.65, 0.55, 0.45
_INK, _FAINT, _MARK = (30, 30, 30), (125, 125, 125), (0, 114, 178)
_LEAST_CELL = 40
"""Pixels: a label with its count below it takes as much."""


def contact_sheet(
    table: Table, per_label: int = 12, cell: int = 64, seed: int = 1, split: str | None = None
) -> ImageArray:
    """Some pictures of every label as one (H, W, 3) uint8 RGB picture, a row per label.

    The sample is random and the same for the same seed: the first pictures of a set are often
    its owner's best. Each is shown as a network gets it, made square by repeating its border,
    ``cell`` pixels wide. A label with fewer than ``per_label`` pictures leaves the rest white.
    """
    if per_label < 1 or cell < _LEAST_CELL:
        raise ConfigError(
            f"a sheet shows at least 1 picture per label, {_LEAST_CELL} pixels wide; "
            f"got {per_label} of {cell} pixels"
        )
    shown = table.of_split(split) if split else table
    if not len(shown):
        raise DataError(f"{table.name} holds no pictures")
    rng = np.random.default_rng(seed)
    labels = label_order(shown)
    rows_of = {label: [row for row in shown.rows if row.label == label] for label in labels}
    names = [label.replace("_", " ") for label in labels]
    counts = [f"{len(rows_of[label]):,}" for label in labels]
    title = f"{table.name}{f', {split}' if split else ''}: {len(shown):,} pictures"

    left = _MARGIN + max(map(_width, names)) + _GUTTER
    top = 2 * _MARGIN + _height(_TITLE)
    columns = min(per_label, max(map(len, rows_of.values())))
    across = max(left + columns * (cell + _GAP) - _GAP, _MARGIN + _width(title, _TITLE))
    down = top + len(labels) * (cell + _GAP) - _GAP
    sheet = np.full((down + _MARGIN, across + _MARGIN, 3), 255, np.uint8)
    _write(sheet, title, _MARGIN, _MARGIN + _height(_TITLE), _TITLE, _INK)
    for line, (label, name, count) in enumerate(zip(labels, names, counts, strict=True)):
        y = top + line * (cell + _GAP)
        _write(sheet, name, _MARGIN, y + cell // 2 - 3, _LABEL, _INK)
        _write(sheet, count, _MARGIN, y + cell // 2 + 3 + _height(_COUNT), _COUNT, _FAINT)
        for column, row in enumerate(_sample(rows_of[label], per_label, rng)):
            x = left + column * (cell + _GAP)
            sheet[y : y + cell, x : x + cell] = resize(
                pad_to_square(read_bytes(row.image, row.id)), cell
            )
    return sheet


@dataclass(frozen=True, slots=True)
class Strip:
    """A line of ``strips``: name and a note, pictures with a word below each, which stand out."""

    name: str
    note: str
    pictures: Sequence[ImageArray]
    words: Sequence[str]
    marked: Sequence[bool]


def strips(lines: Sequence[Strip], title: str, cell: int = 72) -> ImageArray:
    """Lines of pictures as one (H, W, 3) uint8 RGB picture, the marked ones framed."""
    left = _MARGIN + max(max(_width(line.name), _width(line.note)) for line in lines) + _GUTTER
    top = 2 * _MARGIN + _height(_TITLE)
    columns = max(len(line.pictures) for line in lines)
    down = cell + _height(_COUNT) + 3 * _GAP
    across = max(left + columns * (cell + _GAP), _MARGIN + _width(title, _TITLE))
    sheet = np.full((top + len(lines) * down + _MARGIN, across + _MARGIN, 3), 255, np.uint8)
    _write(sheet, title, _MARGIN, _MARGIN + _height(_TITLE), _TITLE, _INK)
    for number, line in enumerate(lines):
        y = top + number * down
        _write(sheet, line.name, _MARGIN, y + cell // 2 - 3, _LABEL, _INK)
        _write(sheet, line.note, _MARGIN, y + cell // 2 + 3 + _height(_COUNT), _COUNT, _FAINT)
        shown = zip(line.pictures, line.words, line.marked, strict=True)
        for column, (picture, word, is_marked) in enumerate(shown):
            x = left + column * (cell + _GAP)
            sheet[y : y + cell, x : x + cell] = resize(pad_to_square(picture), cell)
            if is_marked:
                cv2.rectangle(sheet, (x, y), (x + cell - 1, y + cell - 1), _MARK, 3)
            ink = _MARK if is_marked else _FAINT
            _write(sheet, word, x + 2, y + cell + _GAP + _height(_COUNT), _COUNT, ink)
    return sheet


def _sample(rows: Sequence[Row], most: int, rng: np.random.Generator) -> list[Row]:
    """At most ``most`` of the rows, in their owner's order."""
    return [rows[i] for i in sorted(rng.permutation(len(rows))[:most])]


def _width(text: str, scale: float = _LABEL) -> int:
    return int(cv2.getTextSize(text, _FONT, scale, 1)[0][0])


def _height(scale: float) -> int:
    """Of a capital letter, in pixels."""
    return int(cv2.getTextSize("H", _FONT, scale, 1)[0][1])


def _write(
    sheet: ImageArray, text: str, x: int, y: int, scale: float, ink: tuple[int, int, int]
) -> None:
    """Text into the sheet; ``x y`` is where its base line begins."""
    cv2.putText(sheet, text, (x, y), _FONT, scale, ink, 1, cv2.LINE_AA)
