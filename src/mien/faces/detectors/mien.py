"""mien's own detector: one network proposes, the landmark network decides and places the points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ... import geometry
from ...face import Face, FloatArray, Frame
from ...later import Later
from ..cascades import INSET
from ..detect import best_first
from ..landmarker import Landmarker
from ..landmarks import face_box
from ..proposals import Proposals, Proposer

_LEAST = 0.05  # score of a proposal worth a look
_LIKELY, _UNLIKELY = 0.3, 0.1  # of one that mostly is a face; of one that hardly ever is
# How many that are not likely are looked at: where nobody was seen, and beside one face (ADR 25).
# In a crowd, all of them are.
_FOR_SOMEBODY, _FOR_A_SECOND, _CROWD = 12, 4, 2
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
        faces, proposed = _met([face for face in known if face.score >= _FACE], proposed)
        likely = proposed.scores >= _LIKELY
        faces = self._seen(frame, faces, proposed.where(likely))
        rest = proposed.where(~likely)
        if not faces:
            faces = self._seen(frame, faces, rest.where(slice(_FOR_SOMEBODY)))
            rest = rest.where(slice(_FOR_SOMEBODY, None))
        elif len(faces) < _CROWD:
            rest = rest.where(_outside(faces, rest.boxes))
            second = np.flatnonzero(rest.scores >= _UNLIKELY)[:_FOR_A_SECOND]
            faces = self._seen(frame, faces, rest.where(second))
            rest = rest.where(np.setdiff1d(np.arange(len(rest)), second))
        return self._seen(frame, faces, rest) if len(faces) >= _CROWD else faces

    def _seen(self, frame: Frame, faces: list[Face], proposed: Proposals) -> list[Face]:
        """The faces, and those seen where something is proposed outside of them; best first."""
        proposed = proposed.where(_outside(faces, proposed.boxes))
        placed = self._landmarker.get().place(
            frame, proposed.boxes, proposed.rolls.tolist(), _MAYBE
        )
        found = np.flatnonzero(placed.scores >= _FACE)
        points = [face.landmarks for face in faces if face.landmarks is not None]
        points += list(placed.points[found])
        boxes = np.array([face_box(p) for p in points], np.float32).reshape(-1, 4)
        scores = [*(face.score for face in faces), *placed.scores[found].tolist()]
        return best_first(frame, boxes, np.array(scores, np.float32), points)


def _outside(faces: list[Face], boxes: FloatArray) -> npt.NDArray[np.bool_]:
    """Which of many boxes (N, 4) have their middle in no face: one in another is the same one."""
    middles = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)
    inside = [geometry.holds(face.box[None], middles) for face in faces]
    return ~np.any(inside, axis=0) if inside else np.ones(len(boxes), np.bool_)


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
