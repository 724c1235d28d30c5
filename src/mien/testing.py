"""Stand-ins for the parts that need weights, so that users' own tests need none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .expression.baserates import BaseRates
from .expression.recognize import ModelInfo, Reading
from .face import Face, FloatArray, Frame, ImageArray
from .faces.landmarks import Inset
from .labels import label_set
from .media.preprocess import Preprocess


class FakeRecognizer:
    """Answers one expression for every crop, with a given probability."""

    def __init__(self, top: str = "happiness", probability: float = 0.9) -> None:
        labels = label_set("mien8")
        self.info = ModelInfo("fake", labels, Preprocess(), sha256="0" * 64)
        rest = (1 - probability) / (len(labels) - 1)
        self._probs = np.full(len(labels), rest, np.float32)
        self._probs[labels.index(top)] = probability

    def read(self, crops: Sequence[ImageArray], rates: BaseRates) -> Reading:
        return Reading(self.probabilities(crops, rates))

    def probabilities(self, crops: Sequence[ImageArray], rates: BaseRates) -> FloatArray:
        return np.tile(self._probs, (len(crops), 1))


class FakeDetector:
    """Finds the same boxes, x0 y0 x1 y1 in pixels, in every picture."""

    name = "fake"
    framing = 1.0
    inset = Inset(side=0.9, drop=0.15)

    def __init__(self, *boxes: tuple[float, float, float, float], score: float = 0.9) -> None:
        self._boxes, self._score = boxes, score

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        return [Face(np.array(box, np.float32), self._score) for box in self._boxes]
