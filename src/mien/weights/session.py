"""Model files in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Timer
from typing import Any

import numpy as np

from ..errors import ModelError
from ..face import FloatArray
from ..jsontext import parse
from . import catalogue

METADATA_KEY = "mien"
"""Under which a model file says what it is: JSON."""


def prepare() -> None:
    """Import ONNX Runtime now, for whoever goes on to do several things at once.

    An import holds Python's lock: in a thread of its own it would take turns with whatever else
    imports something, five milliseconds each, and both would be later.
    """
    import onnxruntime  # noqa: F401


class Session:
    """A model file in ONNX Runtime; floats in and floats out, whatever precision it keeps inside.

    content : the file's bytes. name : what an error calls it. threads : of ONNX Runtime within one
    call; 0 leaves it to the library. Raises ModelError.
    """

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        import onnxruntime as ort  # here, so that it loads in the background where the model does

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # its errors come as exceptions; the log repeats them
        self._name = name
        try:
            providers = ["CPUExecutionProvider"]
            self._session = ort.InferenceSession(content, options, providers=providers)
        except Exception as err:  # onnxruntime's own types share no public base class
            raise ModelError(
                f"{name} is not an ONNX model that can be loaded{_hint(err)}: {err}"
            ) from err
        self.inputs = self._session.get_inputs()
        self.outputs = self._session.get_outputs()
        self._takes = {side.name: self._type(side) for side in self.inputs}
        self._type(self.outputs[0])  # the others, if any, nobody asks for

    def kind(self, output: str) -> str:
        """What ONNX Runtime calls the numbers of an output; raises ModelError unless floats."""
        (side,) = (side for side in self.outputs if side.name == output)
        self._type(side)
        return str(side.type)

    def _type(self, side: Any) -> type[np.floating[Any]]:
        """The numbers of an input or output; raises ModelError for others than floats."""
        if side.type not in _FLOATS:
            known = ", ".join(_FLOATS)
            raise ModelError(
                f"{self._name} has {side.type} as its '{side.name}'; mien gives and takes {known}"
            )
        return _FLOATS[side.type]

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself, by key; raises ModelError where that is no text."""
        try:
            said: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError as err:
            raise ModelError(f"{self._name} has damaged metadata: {err}") from err
        return said

    def run(
        self, outputs: Sequence[str] | None, inputs: Mapping[str, FloatArray], options: Any = None
    ) -> list[FloatArray]:
        """The outputs asked for, all of them for None, as float32."""
        given = {k: x.astype(self._takes[k], copy=False) for k, x in inputs.items()}
        found = self._session.run(outputs, given, options)
        return [np.asarray(x, np.float32) for x in found]

    def tried(self, inputs: Mapping[str, FloatArray], longest_s: float) -> list[FloatArray]:
        """All outputs of a first run, so that what cannot run is known before there are faces.

        Raises ModelError where it fails, or takes longer than ``longest_s`` seconds: a graph may
        hold a loop without an end.
        """
        import onnxruntime as ort

        options = ort.RunOptions()
        options.log_severity_level = 4
        late = Timer(longest_s, lambda: setattr(options, "terminate", True))
        late.daemon = True
        late.start()
        try:
            return self.run(None, inputs, options)
        except Exception as err:
            why = f"no answer in {longest_s:g} s" if options.terminate else err
            raise ModelError(f"{self._name} cannot be run: {why}") from err
        finally:
            late.cancel()


_FLOATS: dict[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


def _hint(err: Exception) -> str:
    """What to do about a fault that has a usual cause."""
    if "external" in str(err).lower():
        return (
            " (its weights lie in a file of their own; put them into one: "
            "onnx.save(onnx.load('model.onnx'), 'whole.onnx'))"
        )
    return ""


class Network:
    """A network of the catalogue, ready to run; raises WeightsMissing or ModelError."""

    def __init__(self, name: str, threads: int) -> None:
        path, content = catalogue.read(catalogue.spec(name))
        self._session = Session(content, str(path), threads)

    @property
    def meta(self) -> dict[str, Any]:
        """What the file says of itself: preprocessing, training, licence."""
        said: dict[str, Any] = parse(self._session.metadata[METADATA_KEY])
        return said
