"""Picture -> faces with landmarks, and where each is cut: in analysis, evaluation, data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from ..face import Face, FloatArray, Frame, ImageArray
from . import align
from .detect import FaceDetector
from .landmarker import Landmarker, Placed
from .landmarks import CROP, Inset

_SURE = 0.5  # the landmark network's score under which its points are of no use


class Finder:
    """Finds faces with a detector, or takes each picture for one face that is cut already.

    detector : None for pictures that are crops.
    threads : of ONNX Runtime within one call.
    """

    def __init__(self, detector: FaceDetector | None, threads: int = 1) -> None:
        self.detector, self._threads = detector, threads

    @cached_property
    def _landmarker(self) -> Landmarker:
        return Landmarker(self._threads)

    def find(self, frame: Frame, alignment: str | None, known: Sequence[Face] = ()) -> list[Face]:
        """The faces of a frame, best found first, with landmarks where the network sees a face.

        A picture that is a crop already gets them only if ``alignment`` needs them; with a
        detector nobody asks for it. ``known`` is for the detector.
        """
        if self.detector:
            faces = self.detector.detect(frame, known)
            return self._with_landmarks(frame, faces, self.detector.inset)
        whole = [Face(np.array([0, 0, frame.width, frame.height], np.float32), 1.0)]
        return whole if alignment == "box" else self._with_landmarks(frame, whole, CROP)

    def _with_landmarks(self, frame: Frame, faces: list[Face], inset: Inset) -> list[Face]:
        bare = [face for face in faces if face.landmarks is None]
        if not bare:
            return faces
        placed = self._landmarker.place(frame, np.array([inset.of(face.box) for face in bare]))
        known = iter(zip(placed.points, placed.scores, strict=True))
        return [_placed(face, *next(known)) if face.landmarks is None else face for face in faces]

    def again(self, frame: Frame, boxes: FloatArray, rolls: list[float]) -> Placed:
        """The landmarks expected in boxes (N, 4) turned by their rolls: ``Landmarker.again``."""
        return self._landmarker.again(frame, boxes, rolls)

    def framed(self, face: Face, alignment: str, size: int) -> Face:
        """The face with its crop; a picture that is a crop already, and not aligned, has none."""
        if self.detector is None and face.landmarks is None:
            return face
        framing = self.detector.framing if self.detector else 1.0
        return replace(face, crop=align.place(face, alignment, size, framing))


def _placed(face: Face, points: FloatArray, score: float) -> Face:
    return replace(face, landmarks=points) if score >= _SURE else face


def pixels(frame: Frame, face: Face) -> ImageArray:
    """What a face is read from: its crop, or the whole picture where it has none."""
    return align.cut(frame, face.crop) if face.crop else frame.rgb
