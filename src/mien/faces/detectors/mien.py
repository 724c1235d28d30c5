"""mien's own detector: one network proposes, the landmark network decides and places the points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ... import geometry
from ...face import Face, FloatArray, Frame
from ...later import Later
from ..cascades import INSET
from ..detect import best_first
from ..landmarker import Landmarker
from ..landmarks import face_box
from ..proposals import FINE, LONGEST, Proposals, Proposer

# Scores of a proposal that may be a face, and of one that mostly is (ADR 26).
_LEAST, _LIKELY = 0.1, 0.3
_TIMES = 1.5  # looks for each that is likely
# What is nearly as likely as the likeliest is looked at, too: in dim and noisy pictures all scores
# are low. Where nobody is likely, a few are.
_NEAR, _NEAR_LEAST = 0.25, 0.15
_FEW = 3
_FAR = 0.1  # of the longer side: where a face is smaller, others may be smaller still
_MAYBE = 0.1  # the landmark network's score worth a second look
# Its score of a face. From 0.5 on half of the false alarms on HELEN's and AFW's crops go, and one
# in five hundred faces of LFW (benchmarks/detection.py).
_FACE = 0.8
_ALIKE = 0.3  # intersection over union from which a proposal is of a known face


class Mien:
    """Faces from about 4 % of the picture's longer side, turned and tilted ones too."""

    name = "mien"
    framing = 0.98
    inset = INSET

    def __init__(self) -> None:
        self._proposer = Later(Proposer)
        self._landmarker = Later(Landmarker, begin=False)

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        """Faces, best score first, each with its landmarks."""
        self._landmarker.begin()
        known = [face for face in known if face.score >= _FACE]
        faces = self._search(frame, LONGEST, [], known)
        if _are_far(frame, faces):
            faces = self._search(frame, FINE, faces, known)
        return faces

    def _search(
        self, frame: Frame, longest: int, found: list[Face], known: Sequence[Face]
    ) -> list[Face]:
        """The faces found before, and those seen in a picture of ``longest`` pixels; best first."""
        proposed = self._proposer.get().propose(frame, _LEAST, longest)
        met, rest = _met([*found, *known], proposed.where(slice(looks(proposed.scores))))
        return self._seen(frame, [*found, *met], rest)

    def _seen(self, frame: Frame, faces: list[Face], proposed: Proposals) -> list[Face]:
        """The faces, and those seen where something is proposed; best first."""
        placed = self._landmarker.get().place(
            frame, proposed.boxes, proposed.rolls.tolist(), _MAYBE
        )
        found = np.flatnonzero(placed.scores >= _FACE)
        points = [face.landmarks for face in faces if face.landmarks is not None]
        points += list(placed.points[found])
        boxes = np.array([face_box(p) for p in points], np.float32).reshape(-1, 4)
        scores = [*(face.score for face in faces), *placed.scores[found].tolist()]
        return best_first(frame, boxes, np.array(scores, np.float32), points)


def _are_far(frame: Frame, faces: Sequence[Face]) -> bool:
    """Whether there may be faces in a picture that are too small to be found in a small one."""
    longest = max(frame.width, frame.height)
    if longest <= LONGEST:
        return False
    return not faces or min(face.box[2] - face.box[0] for face in faces) < _FAR * longest


def looks(scores: FloatArray) -> int:
    """How many proposals are worth a look at most, by their scores (N,), the highest first."""
    likely = int((scores >= _LIKELY).sum())
    if not likely:
        return _FEW
    near = int((scores >= max(_NEAR_LEAST, _NEAR * scores[0])).sum())
    return max(math.ceil(_TIMES * likely), near)


def _met(known: list[Face], proposed: Proposals) -> tuple[list[Face], Proposals]:
    """The known faces that something was proposed for, and the proposals for others."""
    rest = np.ones(len(proposed), np.bool_)
    met = []
    for face in known:
        alike = geometry.alike(face.box, proposed.boxes, _ALIKE)
        if alike.any():
            met.append(face)
            rest &= ~alike
    return met, proposed.where(rest)
