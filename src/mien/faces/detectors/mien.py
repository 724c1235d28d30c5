"""mien's own detector: one network proposes, the landmark network decides and places the points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import geometry
from ...face import Face, FloatArray, Frame
from ...later import Later
from ..cascades import INSET
from ..detect import best_first
from ..landmarker import Landmarker, Placed
from ..landmarks import face_box
from ..proposals import Proposals, Proposer

_LEAST = 0.05  # score of a proposal worth a look
_AT_ONCE, _CROWD = 12, 2  # proposals looked at before there must have been so many faces
_MAYBE = 0.1  # the landmark network's score worth a second look
# Its score of a face. From 0.5 on half of the false alarms on HELEN's and AFW's crops go, and one
# in five hundred faces of LFW (benchmarks/detection.py).
_FACE = 0.8
_ALIKE = 0.3  # intersection over union from which a proposal is of a known face


class Mien:
    """Faces from about 5 % of the picture's longer side, turned and tilted ones too."""

    name = "mien"
    framing = 0.98
    inset = INSET

    def __init__(self) -> None:
        self._proposer = Later(Proposer)
        self._landmarker = Later(Landmarker, begin=False)

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        """Faces, best score first, each with its landmarks."""
        self._landmarker.begin()
        proposed = self._proposer.get().propose(frame, _LEAST)
        met, proposed = _met([face for face in known if face.score >= _FACE], proposed)
        points = [face.landmarks for face in met if face.landmarks is not None]
        boxes, scores = [face_box(p) for p in points], [face.score for face in met]
        faces = _best(frame, boxes, scores, points)
        # Of a portrait, or nobody, the likeliest proposals are looked at; of a crowd, all of them.
        for start in range(0, len(proposed), _AT_ONCE):
            placed = self._looked_at(frame, proposed, slice(start, start + _AT_ONCE))
            found = np.flatnonzero(placed.scores >= _FACE)
            boxes += [face_box(p) for p in placed.points[found]]
            points += list(placed.points[found])
            scores += placed.scores[found].tolist()
            faces = _best(frame, boxes, scores, points)
            if not len(found) or len(faces) < _CROWD:
                break
        return faces

    def _looked_at(self, frame: Frame, proposed: Proposals, part: slice) -> Placed:
        rolls = proposed.rolls[part].tolist()
        return self._landmarker.get().place(frame, proposed.boxes[part], rolls, _MAYBE)


def _met(known: list[Face], proposed: Proposals) -> tuple[list[Face], Proposals]:
    """The known faces that something was proposed for, and the proposals for others."""
    rest = np.ones(len(proposed), bool)
    met = []
    for face in known:
        alike = geometry.alike(face.box, proposed.boxes, _ALIKE)
        if alike.any():
            met.append(face)
            rest &= ~alike
    return met, Proposals(proposed.boxes[rest], proposed.rolls[rest], proposed.scores[rest])


def _best(
    frame: Frame, boxes: list[FloatArray], scores: list[float], points: list[FloatArray]
) -> list[Face]:
    each = np.array(boxes, np.float32).reshape(-1, 4)
    return best_first(frame, each, np.array(scores, np.float32), points)
