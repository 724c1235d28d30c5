"""What the landmark network is shown: patches of faces and decoys, and where their points are."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import cv2
import numpy as np

from ..data import patches
from ..data.table import Row, Table
from ..errors import ConfigError, DataError
from ..face import FloatArray, ImageArray
from ..faces.landmarks import POINTS

Y_POINTS = 2 * POINTS  # of a target row, then its weight, then whether there is a face


@dataclass(frozen=True, slots=True)
class LandmarkData:
    """What the landmark network sees in an epoch.

    splits : of the table; with landmarks, or of decoys.
    shares : how much of an epoch comes from each split, summing to 1.
    weights : what an error on a point of each split weighs: 1 where people placed it, less where a
        teacher did; 0 for decoys, which have none.
    draws : pictures an epoch.
    second_look : share of faces shown as a second look sees them, nearly in place and level.
    """

    splits: tuple[str, ...]
    shares: tuple[float, ...]
    weights: tuple[float, ...]
    draws: int
    second_look: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.splits) == len(self.shares) == len(self.weights):
            raise ConfigError("data.splits, data.shares and data.weights go together, one for one")
        if abs(sum(self.shares) - 1) > 1e-6 or min(self.shares) <= 0:
            raise ConfigError(f"data.shares are positive and sum to 1, got {self.shares}")
        if min(self.weights) < 0 or 1.0 not in self.weights:
            raise ConfigError("data.weights are at least 0, and 1 for points placed by hand")


def is_kept(row: Row) -> bool:
    """Whether a row is of the tenth that is never trained on; all rows of a person are."""
    return zlib.crc32((row.subject or row.source or row.id).encode()) % 10 == 0


def divided(*parts: Table) -> tuple[list[Table], list[Table]]:
    """Of each table the rows to train on, and those that are kept to select by.

    Raises DataError where a table has none of either.
    """
    used = [part.keep(not is_kept(row) for row in part.rows) for part in parts]
    kept = [part.keep(is_kept(row) for row in part.rows) for part in parts]
    if not all(map(len, [*kept, *used])):
        raise DataError(f"too few rows in {parts[0].name} to train on and to select by")
    return used, kept


def samples(parts: list[Table], data: LandmarkData) -> tuple[ImageArray, FloatArray]:
    """Patches (N, 1, 96, 96) uint8 and targets (N, 138) of each of ``data.splits``."""
    xs, ys = [], []
    for part, weight in zip(parts, data.weights, strict=True):
        x, y = _of_faces(part, weight) if weight else _of_decoys(part)
        xs.append(x[:, None])
        ys.append(y)
    return np.concatenate(xs), np.concatenate(ys)


def _of_faces(part: Table, weight: float) -> tuple[ImageArray, FloatArray]:
    missing = sum(row.landmarks is None for row in part.rows)
    if missing:
        raise DataError(f"{missing} rows of {part.splits} in {part.name} have no landmarks")
    x, points = patches.of_faces(part)
    relative = (points + 0.5) / patches.SIDE * 2 - 1  # the patch spans -1..1 from edge to edge
    y = np.ones((len(x), Y_POINTS + 2), np.float32)
    y[:, :Y_POINTS] = relative.reshape(len(x), Y_POINTS)
    y[:, Y_POINTS] = weight
    return x, y


def _of_decoys(part: Table) -> tuple[ImageArray, FloatArray]:
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in part.pictures()]
    if any(picture.shape != (patches.SIDE, patches.SIDE) for picture in gray):
        raise DataError(f"decoys are patches of {patches.SIDE} pixels; make them with: data decoys")
    x = np.asarray(np.stack(gray), np.uint8)
    random = np.random.default_rng(0)
    x[::2] = [with_border(patch, random) for patch in x[::2]]
    return x, np.zeros((len(x), Y_POINTS + 2), np.float32)


def with_border(patch: ImageArray, random: np.random.Generator) -> ImageArray:
    """A patch of which only a part is a picture, and the rest its border repeated.

    Most faces to train on come in tight crops, so that half of their patch is a repeated border.
    Where decoys had none, the network would take the streaks of the border for a face.
    """
    side = round(random.uniform(0.5, 0.9) * len(patch))
    top, left = random.integers(0, len(patch) - side + 1, 2)
    around = [(top, len(patch) - side - top), (left, len(patch) - side - left)]
    return np.pad(patch[top : top + side, left : left + side], around, mode="edge")
