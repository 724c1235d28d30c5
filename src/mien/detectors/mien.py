"""mien's own detector: one network proposes, the landmark network decides and places the points."""

from __future__ import annotations

import numpy as np

from ..cascades import INSET
from ..detect import best_first, detectors
from ..face import Face, Frame
from ..landmarker import Landmarker, Placed
from ..landmarks import face_box
from ..later import Later
from ..proposals import Proposals, Proposer

_LEAST = 0.05  # score of a proposal worth a look
_AT_ONCE, _CROWD = 12, 2  # proposals looked at before there must have been so many faces
_MAYBE = 0.1  # the landmark network's score worth a second look
# Its score of a face. From 0.5 on half of the false alarms on HELEN's and AFW's crops go, and one
# in five hundred faces of LFW (benchmarks/detection.py).
_FACE = 0.8


@detectors.register("mien")
class Mien:
    """Faces from about 5 % of the picture's longer side, turned and tilted ones too."""

    name = "mien"
    framing = 0.98
    inset = INSET

    def __init__(self) -> None:
        self._proposer = Later(Proposer)
        self._landmarker = Later(Landmarker, begin=False)

    def detect(self, frame: Frame) -> list[Face]:
        """Faces, best score first, each with its landmarks."""
        self._landmarker.begin()
        proposed = self._proposer.get().propose(frame, _LEAST)
        boxes, points, scores = [], [], []
        faces: list[Face] = []
        # Of a portrait, or nobody, the likeliest proposals are looked at; of a crowd, all of them.
        for start in range(0, len(proposed), _AT_ONCE):
            placed = self._looked_at(frame, proposed, slice(start, start + _AT_ONCE))
            found = np.flatnonzero(placed.scores >= _FACE)
            boxes += [face_box(p) for p in placed.points[found]]
            points += list(placed.points[found])
            scores += placed.scores[found].tolist()
            faces = best_first(
                frame,
                np.array(boxes, np.float32).reshape(-1, 4),
                np.array(scores, np.float32),
                points,
            )
            if not len(found) or len(faces) < _CROWD:
                break
        return faces

    def _looked_at(self, frame: Frame, proposed: Proposals, part: slice) -> Placed:
        rolls = proposed.rolls[part].tolist()
        return self._landmarker.get().place(frame, proposed.boxes[part], rolls, _MAYBE)
