"""A model file in eight bits: a quarter of the size, and faster where the processor multiplies so.

Weights are rounded channel by channel; what flows between layers is scaled by what real faces make
of it (static quantisation, Jacob et al. 2018, arXiv:1712.05877). What is before the first
convolution and behind the last one stays as it is: it costs next to nothing, and Grad-CAM and a
person's own recogniser read the network's features there.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.table import Table
from ..errors import DataError, MissingExtra, ModelError
from ..expression.recognize import OnnxRecognizer
from ..face import FloatArray, ImageArray
from ..media.preprocess import batch
from .export import metadata, with_metadata

FACES = 512
"""How many faces the scales are taken from: enough that no rare bright one decides alone."""
_BATCH = 16
_OPERATORS = ["Conv", "Relu", "Clip", "Add", "MaxPool", "AveragePool"]


def quantized(recognizer: OnnxRecognizer, crops: Sequence[ImageArray], name: str) -> bytes:
    """The same model in eight bits, called ``name``, scaled by faces cut as it wants them.

    Raises ModelError for one that is in eight bits already, or of another maker.
    """
    try:
        from onnxruntime import quantization
        from onnxruntime.quantization.preprocess import quant_pre_process
    except ImportError as err:
        raise MissingExtra(err.name or "onnx", "train", "quantising a model") from err
    logging.getLogger().setLevel(logging.ERROR)  # it advises on the root logger
    info = recognizer.info
    if "bits" in info.card:
        raise ModelError(f"{info.name} is in eight bits already; give the file that was made of it")
    with tempfile.TemporaryDirectory() as folder:
        plain, ready, small = (Path(folder) / f"{part}.onnx" for part in ("a", "b", "c"))
        plain.write_bytes(recognizer.content)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        quantization.quantize_static(
            ready,
            small,
            _Reader(recognizer, crops),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=_OPERATORS,
            per_channel=True,
            # Seven bits for weights: processors that add up products of bytes in sixteen bits (x86
            # before VNNI) would saturate, and answer otherwise than the others do.
            reduce_range=True,
        )
        content = small.read_bytes()
    meta = json.loads(metadata(recognizer.content))
    meta["name"] = name
    meta["card"]["bits"] = {"of": info.name, "sha256": info.sha256, "bits": 8, "faces": len(crops)}
    return with_metadata(content, meta)


def some(table: Table) -> list[ImageArray]:
    """Evenly chosen faces of a table, at most ``FACES``; raises DataError for an empty one."""
    if not len(table):
        raise DataError(f"{table.name} has no faces to take the scales from")
    step = -(-len(table) // FACES)
    return list(table.keep(i % step == 0 for i in range(len(table))).pictures())


class _Reader:
    """Faces as ONNX Runtime's calibration asks for them, one batch after another."""

    def __init__(self, recognizer: OnnxRecognizer, crops: Sequence[ImageArray]) -> None:
        self._input = recognizer.input
        self._batches = self._all(crops, recognizer)

    def _all(
        self, crops: Sequence[ImageArray], recognizer: OnnxRecognizer
    ) -> Iterator[dict[str, FloatArray]]:
        for start in range(0, len(crops), _BATCH):
            yield {self._input: batch(crops[start : start + _BATCH], recognizer.info.preprocess)}

    def get_next(self) -> dict[str, FloatArray] | None:
        return next(self._batches, None)


def agreement(
    one: OnnxRecognizer, other: OnnxRecognizer, crops: Sequence[ImageArray]
) -> dict[str, Any]:
    """How alike two models answer: the share of faces with the same likeliest label, and more."""
    a, b = (model.logits(crops) for model in (one, other))
    return {
        "faces": len(crops),
        "same_label": float((a.argmax(axis=1) == b.argmax(axis=1)).mean()),
        "mean_difference": float(np.abs(a - b).mean()),
    }
