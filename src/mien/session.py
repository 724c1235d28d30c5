"""Model files in ONNX Runtime."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

METADATA_KEY = "mien"
"""Under which a model file says what it is: JSON."""


def metadata(of: InferenceSession) -> dict[str, Any]:
    """What a model file of mien's says of itself: preprocessing, training, licence."""
    said: dict[str, Any] = json.loads(of.get_modelmeta().custom_metadata_map[METADATA_KEY])
    return said


def load(content: bytes, name: str, threads: int) -> InferenceSession:
    """A session for a model file's bytes; ``name`` is what an error calls it.

    threads : of ONNX Runtime within one call; 0 leaves it to the library. Raises ModelError.
    """
    import onnxruntime as ort  # here, so that it loads in the background where the model does

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its errors come as exceptions; the log repeats them
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime's own types share no public base class
        raise ModelError(f"{name} is not an ONNX model that can be loaded: {err}") from err
