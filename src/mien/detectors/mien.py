"""mien's own detector: one network proposes, the landmark network decides and places the points."""

from __future__ import annotations

import numpy as np

from ..cascades import INSET
from ..detect import best_first, detectors
from ..face import Face, Frame
from ..landmarker import Landmarker, Placed
from ..landmarks import face_box
from ..later import Later
from ..proposals import Proposer

_LEAST = 0.1  # score of a proposal worth a look
_MAYBE, _FACE = 0.1, 0.5  # scores worth a second look, and of a face


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
        rolls = proposed.rolls.tolist()
        return _faces(frame, self._landmarker.get().place(frame, proposed.boxes, rolls, _MAYBE))


def _faces(frame: Frame, placed: Placed, least: float = _FACE) -> list[Face]:
    """Faces with their landmarks, overlaps suppressed, from what the network said."""
    scores, points = placed.scores, placed.points[placed.scores >= least]
    boxes = np.array([face_box(p) for p in points], np.float32).reshape(-1, 4)
    return best_first(frame, boxes, scores[scores >= least], list(points))
