"""Model files in ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..jsontext import parse
from . import catalogue

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

METADATA_KEY = "mien"
"""Under which a model file says what it is: JSON."""


def prepare() -> None:
    """Import ONNX Runtime now, for whoever goes on to do several things at once.

    An import holds Python's lock: in a thread of its own it would take turns with whatever else
    imports something, five milliseconds each, and both would be later.
    """
    import onnxruntime  # noqa: F401


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


class Network:
    """A network of the catalogue, ready to run; raises WeightsMissing or ModelError."""

    def __init__(self, name: str, threads: int) -> None:
        path, content = catalogue.read(catalogue.spec(name))
        self._session = load(content, str(path), threads)

    @property
    def meta(self) -> dict[str, Any]:
        """What the file says of itself: preprocessing, training, licence."""
        kept = self._session.get_modelmeta().custom_metadata_map
        said: dict[str, Any] = parse(kept[METADATA_KEY])
        return said
