"""The stages in order: picture -> faces -> crops -> expressions."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import align, detect, image, quality
from .baserates import BaseRates, default_for
from .errors import ConfigError
from .face import Emotions, Face, Frame, ImageArray
from .recognize import Recognizer, load_model
from .weights import DEFAULT_MODEL

Picture = str | os.PathLike[str] | bytes | npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What an analysis is made with; plain values, so that it travels to other processes.

    model : a catalogue name or a model file.
    detector : "auto", or a name of the registry.
    base_rates : what the probabilities are turned to; None: half way to equal where the model
        knows its training rates, else nothing.
    crops : each picture is one face, cut already; no detector runs.
    align : how a face is cut, a name of ``mien.align.ALIGNMENTS``; None: as the model was trained.
        A face without landmarks is always cut by its box.
    threads : within one call of ONNX Runtime and OpenCV. 0 leaves it to OpenCV, and is one in
        ONNX Runtime: a face takes it 2 ms, starting its threads 40.
    """

    model: str = DEFAULT_MODEL
    detector: str = "auto"
    base_rates: BaseRates | None = None
    crops: bool = False
    align: str | None = None
    threads: int = 0

    def __post_init__(self) -> None:
        if self.base_rates is not None and not isinstance(self.base_rates, BaseRates):
            raise ConfigError(
                f"base_rates is a mien.BaseRates, got {self.base_rates!r}; "
                f"write mien.BaseRates({self.base_rates!r})"
            )


class Analyzer:
    """Reads the expressions in pictures; owns its detector and its model.

    ``recognizer`` and ``detector`` may be handed in, which is how tests bring fakes.

    Examples
    --------
    >>> import numpy as np
    >>> Analyzer().analyze(np.zeros((64, 64, 3), np.uint8))
    []
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        recognizer: Recognizer | None = None,
        detector: detect.FaceDetector | None = None,
    ) -> None:
        self.settings = settings or Settings()
        if self.settings.threads:
            import cv2

            cv2.setNumThreads(self.settings.threads)
        self.recognizer = recognizer or load_model(self.settings.model, self.settings.threads or 1)
        self.base_rates = self.settings.base_rates or default_for(self.recognizer.info.base_rates)
        # Base rates the model cannot use are an error here, once, not one for every picture.
        self.recognizer.probabilities([], self.base_rates)
        self.alignment = align.chosen(self.settings.align)
        self.detector = detector
        if detector is None and not self.settings.crops:
            self.detector = detect.build(self.settings.detector)

    def analyze(self, picture: Picture) -> list[Face]:
        """The faces of a file, its bytes, or an RGB array, best found first; [] for none.

        Raises ImageError for a picture that cannot be read, ShapeError for an unfit array.
        """
        source = str(picture) if isinstance(picture, str | Path) else ""
        return self.analyze_frame(Frame(image.read(picture), source=source))

    def analyze_frame(self, frame: Frame) -> list[Face]:
        """The faces of a frame with everything filled in."""
        return self.recognize(frame, self.find(frame))

    def find(self, frame: Frame) -> list[Face]:
        """The faces of a frame with the crop each is read from; nothing recognised yet."""
        if self.detector is None:
            whole = np.array([0, 0, frame.width, frame.height], np.float32)
            return [Face(whole, 1.0)]
        size, framing = self.recognizer.info.preprocess.size, self.detector.framing
        return [
            replace(face, crop=align.place(face, self.alignment, size, framing))
            for face in self.detector.detect(frame)
        ]

    def recognize(self, frame: Frame, faces: list[Face]) -> list[Face]:
        """The same faces with emotions, quality and confidence."""
        crops = [self._crop(frame, face) for face in faces]
        probs = self.recognizer.probabilities(crops, self.base_rates)
        return [
            self._finish(frame, face, crop, Emotions(self.recognizer.info.label_set, p))
            for face, crop, p in zip(faces, crops, probs, strict=True)
        ]

    def _crop(self, frame: Frame, face: Face) -> ImageArray:
        if face.crop:
            return align.cut(frame, face.crop)
        assert self.detector is None, "find() places it"
        return frame.rgb

    def _finish(self, frame: Frame, face: Face, crop: ImageArray, emotions: Emotions) -> Face:
        measured = quality.measure(frame, face, crop)
        confidence = quality.confidence(face.score, measured)
        unsure = emotions.top[1] < self.recognizer.info.uncertain_below
        return replace(
            face,
            emotions=emotions,
            quality=measured,
            confidence=confidence,
            uncertain=unsure or confidence < quality.LOW,
        )
