"""Where in a picture faces might be, by a small network of mien's own.

It looks at the whole picture once, shrunk, and need not be sure: ``landmarker.Landmarker`` then
says which of its proposals hold a face, and places the points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .. import geometry
from ..face import FloatArray, Frame, ImageArray
from ..media.preprocess import halve, halvings
from ..weights import session

NAME, INPUT = "proposals", "picture"
STRIDES = (8, 16, 32, 64)
"""Pixels of the picture a cell of each map answers for, each way."""
ANSWERS = 6
SIDES = 4.0
"""Strides in the side of the faces a map is there for, about: from 2.5 to 5, and the first less."""

LONGEST, FINE = 320, 640
"""Pixels of a picture's longer side when it is searched, and when small faces are sought."""
_ALIKE = 0.3  # proposals that overlap by more are one
_AS_SURE = 0.8  # of the likeliest cell's score, from which another's roll counts as much
_CANDIDATES, _MOST = 300, 40  # cells that are compared, and proposals that a picture has
_BEYOND = 128  # gray level of what is added to a picture
_LOG_SIDE = 3.0  # logarithm of the most times that a side is larger or smaller than its map's


@dataclass(frozen=True, slots=True)
class Proposals:
    """Where faces might be, likeliest first.

    boxes : (N, 4) float32, squares as wide as the face's landmarks, x0 y0 x1 y1.
    rolls : (N,) float32, how far each face is turned, in radians, clockwise as one looks at it.
    scores : (N,) float32 in [0, 1].
    """

    boxes: FloatArray
    rolls: FloatArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.boxes)

    def where(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> Proposals:
        """Those of a mask (N,), of indices or of a slice."""
        return Proposals(self.boxes[chosen], self.rolls[chosen], self.scores[chosen])


class Proposer(session.Network):
    """The shipped proposal network; raises WeightsMissing or ModelError."""

    def __init__(self, threads: int = 1) -> None:
        super().__init__(NAME, threads)

    def propose(self, frame: Frame, least: float, longest: int = LONGEST) -> Proposals:
        """What scores at ``least`` so much, in pixels of the frame; searched in ``longest``."""
        x, factor = searched(frame, longest)
        maps = self._session.run(None, {INPUT: x})
        found = distinct(decode([m[0] for m in maps], least))
        return Proposals(np.asarray(found.boxes * factor, np.float32), found.rolls, found.scores)


def searched(frame: Frame, longest: int = LONGEST) -> tuple[FloatArray, float]:
    """What the network gets of a frame, (1, 1, H, W) gray levels, and the factor back.

    Flat gray to the right and below fills the coarsest map's last cells.
    """
    # One channel first: averaging three takes three times as long.
    gray = np.asarray(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    small, factor = _shrunk(gray, longest)
    down, right = (-side % STRIDES[-1] for side in small.shape)
    whole = cv2.copyMakeBorder(
        small, 0, down, 0, right, cv2.BORDER_CONSTANT, value=[float(_BEYOND)]
    )
    return whole[None, None].astype(np.float32), factor


def _shrunk(gray: ImageArray, longest: int) -> tuple[ImageArray, float]:
    """A gray picture no longer than so many pixels, and the factor back.

    It is halved as often as it can be and interpolated from there, which takes a fifth of the time
    that averaging parts of pixels does (``preprocess.shrink``).
    """
    height, width = gray.shape
    factor = max(height, width) / longest
    if factor <= 1:
        return gray, 1.0
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    return np.asarray(cv2.resize(halve(gray, halvings(factor)), size), np.uint8), factor


def decode(maps: list[FloatArray], least: float) -> Proposals:
    """What the cells of four maps (6, h, w) say whose score is at least ``least``.

    The six numbers: log odds of a face; from the cell's middle to the face's, x and y in strides;
    the logarithm of its side in ``SIDES`` strides; sine and cosine of its roll.
    """
    said = np.concatenate([one.reshape(ANSWERS, -1) for one in maps], axis=1)
    likely = np.flatnonzero(said[0] >= math.log(least / (1 - least)))
    # In double precision: NumPy's single exp and arctan2 differ from machine to machine.
    logit, x, y, size, sine, cosine = said[:, likely].astype(np.float64)
    columns, rows, strides = _cells(maps, likely)
    middle = np.stack([columns + 0.5 + x, rows + 0.5 + y], axis=1) * strides[:, None]
    half = (np.exp(np.clip(size, -_LOG_SIDE, _LOG_SIDE)) * (SIDES / 2 * strides))[:, None]
    scores, rolls = 1 / (1 + np.exp(-logit)), np.arctan2(sine, cosine)
    every = np.column_stack([middle - half, middle + half, rolls, scores]).astype(np.float32)
    every = every[np.argsort(-every[:, 5], kind="stable")]
    return Proposals(every[:, :4], every[:, 4], every[:, 5])


def _cells(
    maps: list[FloatArray], numbers: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Column, row and stride of cells (N,) that are numbered through all maps."""
    ends = np.cumsum([one[0].size for one in maps])
    which = np.searchsorted(ends, numbers, "right")
    first = ends - [one[0].size for one in maps]
    rows, columns = np.divmod(
        numbers - first[which], np.array([one.shape[2] for one in maps])[which]
    )
    return columns, rows, np.array(STRIDES)[which]


def distinct(proposals: Proposals) -> Proposals:
    """Only the likeliest of those that lie alike, and only so many of a picture.

    Cells of different maps propose the same face in different sizes, or a part of it: what has its
    middle in a likelier proposal is that one's.
    """
    boxes = proposals.boxes
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    alike = cv2.dnn.NMSBoxes(
        corners.tolist(), proposals.scores.tolist(), 0.0, _ALIKE, top_k=_CANDIDATES
    )
    kept = np.asarray(alike, np.intp).reshape(-1)[:_MOST]
    middles = np.asarray((boxes[kept, :2] + boxes[kept, 2:]) / 2, np.float32)
    holding = geometry.holds(boxes[kept], middles[:, None])  # (K, K): each middle, each box
    kept = kept[~np.tril(holding, -1).any(axis=1)]
    return Proposals(boxes[kept], _rolls(proposals, kept), proposals.scores[kept])


def _rolls(proposals: Proposals, kept: npt.NDArray[np.intp]) -> FloatArray:
    """How far faces are turned, by all cells nearly as sure of one: one alone errs by a third."""
    boxes, scores = proposals.boxes, proposals.scores
    same = geometry.iou(boxes[kept, None], boxes) > _ALIKE
    sure = same & (scores >= _AS_SURE * scores[kept, None])
    rolls = proposals.rolls.astype(np.float64)
    return np.asarray(np.arctan2(sure @ np.sin(rolls), sure @ np.cos(rolls)), np.float32)
