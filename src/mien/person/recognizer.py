"""A person's recogniser, loaded: a last layer on the face, a network on the mouth, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import ModelError
from ..expression.baserates import BaseRates
from ..expression.recognize import OnnxRecognizer, Reading, Recognizer, load_model
from ..face import FloatArray, Frame, ImageArray
from ..faces.finder import Finder, pixels
from ..weights.catalogue import sha256
from .people import get

HEAD, MOUTH, BOTH = "head", "mouth", "both"
FILES = {HEAD: "head.onnx", MOUTH: "mouth.onnx"}


class Averaged:
    """The mean of a last layer on the face and a network on the mouth, from one crop of a face."""

    def __init__(self, face: OnnxRecognizer, mouth: OnnxRecognizer) -> None:
        self._face, self._mouth, self._finder = face, mouth, Finder(None)
        digest = sha256((face.info.sha256 + mouth.info.sha256).encode())
        self.info = replace(face.info, name=f"person-{BOTH}", sha256=digest)

    def read(self, crops: Sequence[ImageArray], rates: BaseRates) -> Reading:
        mouths = [self._lips(crop) for crop in crops]
        parts = [self._face.probabilities(crops, rates), self._mouth.probabilities(mouths, rates)]
        return Reading(np.asarray(np.mean(parts, axis=0), np.float32))

    def probabilities(self, crops: Sequence[ImageArray], rates: BaseRates) -> FloatArray:
        return self.read(crops, rates).probs

    def _lips(self, crop: ImageArray) -> ImageArray:
        frame, size = Frame(crop), self._mouth.info.preprocess.size
        (face,) = self._finder.find(frame, "mouth")
        return pixels(frame, self._finder.framed(face, "mouth", size))


def recognizer(name: str, threads: int = 1) -> Recognizer:
    """The recogniser of a person, for ``Analyzer(recognizer=...)`` or by itself.

    It answers the person's own labels, and tells no intensities. Raises UnknownName for nobody's
    name, ModelError for a person without one.
    """
    person = get(name)
    files = {kind: person.folder / file for kind, file in FILES.items()}
    found = {k: load_model(path, threads) for k, path in files.items() if path.is_file()}
    if not found:
        raise ModelError(
            f"{person.name} has no recogniser yet; make one with: mien person train '{person.name}'"
        )
    return Averaged(found[HEAD], found[MOUTH]) if len(found) == 2 else next(iter(found.values()))
