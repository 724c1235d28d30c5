"""mien reads facial expressions from pictures, on your own machine.

>>> import mien
>>> analyzer = mien.Analyzer()  # the default model, a detector, calibrated probabilities
>>> faces = analyzer.analyze("portrait.jpg")  # doctest: +SKIP
>>> faces[0].emotions.top  # doctest: +SKIP
('happiness', 0.98)

An expression is not a determination of what a person feels.

Nothing is loaded before it is asked for: ``import mien`` alone imports neither OpenCV nor torch,
opens no file and touches no network.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analysis.batch import analyze_pictures
    from .analysis.pipeline import Analyzer, Settings
    from .analysis.recording import analyze_video
    from .errors import MienError
    from .expression.baserates import BaseRates
    from .expression.recognize import load_model
    from .face import Emotions, Face, Frame, Intensity, Quality, RecognizedFace
    from .labels import LabelSet, label_set
    from .media.image import read_frame
    from .results.records import open_records, record_of
    from .service.client import Client
    from .version import __version__ as __version__

_HOME = {
    "Analyzer": "analysis.pipeline",
    "BaseRates": "expression.baserates",
    "Client": "service.client",
    "Emotions": "face",
    "Face": "face",
    "Frame": "face",
    "Intensity": "face",
    "LabelSet": "labels",
    "MienError": "errors",
    "Quality": "face",
    "RecognizedFace": "face",
    "Settings": "analysis.pipeline",
    "__version__": "version",
    "analyze_pictures": "analysis.batch",
    "analyze_video": "analysis.recording",
    "label_set": "labels",
    "load_model": "expression.recognize",
    "open_records": "results.records",
    "read_frame": "media.image",
    "record_of": "results.records",
}
__all__ = [
    "Analyzer",
    "BaseRates",
    "Client",
    "Emotions",
    "Face",
    "Frame",
    "Intensity",
    "LabelSet",
    "MienError",
    "Quality",
    "RecognizedFace",
    "Settings",
    "analyze_pictures",
    "analyze_video",
    "label_set",
    "load_model",
    "open_records",
    "read_frame",
    "record_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mien' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
