"""Face detection: one protocol, and a registry of what implements it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .. import geometry
from ..errors import WeightsMissing
from ..face import Face, FloatArray, Frame
from ..registry import Registry
from .landmarks import Inset

_OVERLAP = 0.3


class FaceDetector(Protocol):
    """Finds faces; several threads may ask one at once.

    name : as on the command line.
    framing : the recogniser's crop is a square this many times the box's longer side. Every
        detector draws its boxes its own way; this brings them to what the net was trained on
        (benchmarks/framing.py measures it on the training pictures' own frame).
    inset : where in its boxes the landmark network is to look, for a detector that places no
        landmarks itself.
    """

    name: str
    framing: float
    inset: Inset

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        """Faces with box and score, best score first, boxes inside the frame; [] for none.

        known : faces with landmarks that somebody has placed in this frame. A detector may take
            them for found where it suspects a face, without a look of its own.
        """
        ...


detectors: Registry[FaceDetector] = Registry(
    "detector",
    {
        "haar": "mien.faces.detectors.haar:Haar",
        "mien": "mien.faces.detectors.mien:Mien",
        "yunet": "mien.faces.detectors.yunet:YuNet",
    },
    group="mien.detectors",
)


def build(name: str = "auto") -> FaceDetector:
    """The detector called ``name``; ``auto`` is YuNet where its file is found, else mien's own.

    Raises UnknownName, or WeightsMissing for a detector whose file is not there.
    """
    if name != "auto":
        return detectors.build(name)
    try:
        return detectors.build("yunet")
    except WeightsMissing:
        return detectors.build("mien")


def best_first(
    frame: Frame,
    boxes: FloatArray,
    scores: FloatArray,
    landmarks: Sequence[FloatArray | None],
) -> list[Face]:
    """Faces from raw detections in pixels of the frame: clipped, overlaps suppressed, sorted."""
    faces = []
    for i in geometry.suppress(boxes, scores, _OVERLAP):
        box = geometry.clip(boxes[i], frame.width, frame.height)
        if box[2] - box[0] >= 1 and box[3] - box[1] >= 1:
            faces.append(Face(box, float(scores[i]), landmarks[i]))
    return faces
