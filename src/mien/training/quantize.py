"""A model file in eight bits: a quarter of the size, and faster where the processor multiplies so.

Weights are rounded channel by channel; what flows between layers is scaled by what real faces make
of it (static quantisation, Jacob et al. 2018, arXiv:1712.05877). The first convolution, which takes
longer in bytes of one channel at full size, and what is behind the last one stay as they are: they
cost little, and Grad-CAM and a person's own recogniser read the network's features there.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.table import Table
from ..errors import DataError, MissingExtra, ModelError
from ..expression.recognize import OnnxRecognizer
from ..face import FloatArray, Frame, ImageArray
from ..faces import landmarker, proposals
from ..faces.landmarks import POINTS, bounds
from ..media.preprocess import batch
from ..weights import catalogue, session
from .export import metadata, with_metadata

if TYPE_CHECKING:
    import onnx

FACES = 512
"""How many faces the scales are taken from: enough that no rare bright one decides alone."""
FINDERS = {landmarker.NAME: landmarker.INPUT, proposals.NAME: proposals.INPUT}
"""The networks that find faces, and what each calls its input."""
_BATCH = 16
_OPERATORS = ["Conv", "Relu", "Clip", "Add", "MaxPool", "AveragePool"]
# The proposal network's maps are large: in eight bits the rest of it takes longer than in floats.
_OF_FINDERS = {landmarker.NAME: _OPERATORS, proposals.NAME: ["Conv"]}


def quantized(recognizer: OnnxRecognizer, crops: Sequence[ImageArray], name: str) -> bytes:
    """The same model in eight bits, called ``name``, scaled by faces cut as it wants them.

    Raises ModelError for one that is in eight bits already, or of another maker.
    """
    info = recognizer.info
    meta = json.loads(metadata(recognizer.content))
    _not_yet(meta, info.name)
    meta["name"] = name
    meta["card"]["bits"] = {"of": info.name, "sha256": info.sha256, "bits": 8, "faces": len(crops)}
    chunks = (crops[i : i + _BATCH] for i in range(0, len(crops), _BATCH))
    batches = ({recognizer.input: batch(chunk, info.preprocess)} for chunk in chunks)
    return with_metadata(_rounded(recognizer.content, batches, _OPERATORS), meta)


def read_finder(model: str) -> bytes | None:
    """The landmark or proposal network of that name, or in that file; None for any other model."""
    if model in FINDERS:
        return catalogue.read(catalogue.spec(model))[1]
    # A name means what it means to ``load_model``, whatever files lie about.
    if model in catalogue.CATALOGUE or not Path(model).is_file():
        return None
    content = Path(model).read_bytes()
    return content if _finder_of(json.loads(metadata(content))) else None


def _finder_of(meta: dict[str, Any]) -> str | None:
    """Which network a file's metadata speaks of, a name of ``FINDERS``; None for another."""
    said = {"points": landmarker.NAME, "strides": proposals.NAME}
    return next((name for key, name in said.items() if key in meta), None)


def finder(content: bytes, table: Table, name: str) -> bytes:
    """The same landmark or proposal network in eight bits, called ``name``.

    It is scaled by what it sees of a table's pictures, the landmark network of faces with
    landmarks. Raises ModelError for one that is in eight bits already, DataError for a table
    without such pictures.
    """
    meta = json.loads(metadata(content))
    _not_yet(meta, meta["name"])
    kind = _finder_of(meta)
    assert kind is not None
    pictures = _seen_of(kind, table)
    batches = ({FINDERS[kind]: x} for x in pictures)
    about = {"of": meta["name"], "sha256": catalogue.sha256(content), "bits": 8}
    meta["card"]["bits"] = about | {"pictures": len(pictures)}
    meta["name"] = name
    return with_metadata(_rounded(content, batches, _OF_FINDERS[kind]), meta)


def _seen_of(name: str, table: Table) -> list[FloatArray]:
    """What the landmark or the proposal network sees of some of a table's pictures, one by one."""
    if name == landmarker.NAME:
        table = table.keep(row.landmarks is not None for row in table.rows)
    rows = some(table)
    seen = []
    for row, picture in zip(rows.rows, rows.pictures(), strict=True):
        frame = Frame(picture)
        if name == landmarker.NAME:
            around = bounds(np.array(row.landmarks, np.float32).reshape(POINTS, 2))
            (square,) = landmarker.squares(around[None])
            seen.append(landmarker.seen(frame, [landmarker.turned(square, 0.0)]))
        else:
            seen.append(proposals.searched(frame)[0])
    return seen


def _not_yet(meta: dict[str, Any], name: str) -> None:
    if "bits" in meta["card"]:
        raise ModelError(f"{name} is in eight bits already; give the file that was made of it")


def _rounded(
    content: bytes, batches: Iterator[dict[str, FloatArray]], operators: Sequence[str]
) -> bytes:
    """A model file in eight bits, without metadata; scaled by what it is given."""
    try:
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.preprocess import quant_pre_process
    except ImportError as err:
        raise MissingExtra(err.name or "onnx", "train", "quantising a model") from err
    with _without_advice(), tempfile.TemporaryDirectory() as folder:
        plain, ready, small = (Path(folder) / f"{part}.onnx" for part in ("a", "b", "c"))
        onnx.save(averaged_within_convolutions(onnx.load_from_string(content)), plain)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        nodes = onnx.load(ready).graph.node
        first = next(node.name for node in nodes if node.op_type == "Conv")
        quantization.quantize_static(
            ready,
            small,
            _Reader(batches),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=list(operators),
            nodes_to_exclude=[first],
            per_channel=True,
            # Seven bits for weights: processors that add up products of bytes in sixteen bits (x86
            # before VNNI) would saturate, and answer otherwise than the others do.
            reduce_range=True,
        )
        return small.read_bytes()


@contextmanager
def _without_advice() -> Iterator[None]:
    """ONNX Runtime's quantiser advises on the root logger, whose level is everybody's."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def averaged_within_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network, whose 1 x 1 convolutions of averages take the averages' pixels themselves.

    A short cut of ours that halves the picture averages 2 x 2 pixels before its convolution. Both
    together are one convolution of 2 x 2, quicker in bytes than two, and rounded once.
    """
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    weights = {weight.name: weight for weight in graph.initializer}
    taken = Counter(name for node in graph.node for name in node.input)
    for conv in [node for node in graph.node if node.op_type == "Conv"]:
        pool, weight = made_by.get(conv.input[0]), weights.get(conv.input[1])
        if pool is None or weight is None or not _is_plain_average(pool):
            continue
        if _is_pointwise(conv, weight) and taken[pool.output[0]] == taken[weight.name] == 1:
            _take_pixels(conv, pool, weight)
            graph.node.remove(pool)
    del graph.value_info[:]  # told the shapes of before
    return model


def _told(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    import onnx

    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _is_plain_average(node: onnx.NodeProto) -> bool:
    """Whether it averages squares beside each other, and nothing beyond a border takes part."""
    told = _told(node)
    beside = node.op_type == "AveragePool" and told["kernel_shape"] == told.get("strides")
    return beside and not any(told.get("pads", [])) and not told.get("ceil_mode", 0)


def _is_pointwise(conv: onnx.NodeProto, weight: onnx.TensorProto) -> bool:
    """Whether it takes all channels of one pixel, pixel by pixel."""
    told = _told(conv)
    sizes = {*weight.dims[2:], *told.get("strides", []), told.get("group", 1)}
    return sizes == {1} and not any(told.get("pads", []))


def _take_pixels(conv: onnx.NodeProto, pool: onnx.NodeProto, weight: onnx.TensorProto) -> None:
    """Have a 1 x 1 convolution take what its average was of."""
    import onnx

    kernel = _told(pool)["kernel_shape"]
    of_mean = onnx.numpy_helper.to_array(weight)  # (outputs, inputs, 1, 1)
    of_pixels = np.tile(of_mean / np.prod(kernel), (1, 1, *kernel)).astype(of_mean.dtype)
    weight.CopyFrom(onnx.numpy_helper.from_array(of_pixels, weight.name))
    conv.input[0] = pool.input[0]
    kept = [a for a in conv.attribute if a.name not in ("kernel_shape", "strides")]
    del conv.attribute[:]
    conv.attribute.extend(kept)
    conv.attribute.extend(
        onnx.helper.make_attribute(name, kernel) for name in ("kernel_shape", "strides")
    )


def some(table: Table) -> Table:
    """Evenly chosen faces of a table, at most ``FACES``; raises DataError for an empty one."""
    if not len(table):
        raise DataError(f"{table.name} has no faces to take the scales from")
    step = -(-len(table) // FACES)
    return table.keep(i % step == 0 for i in range(len(table)))


class _Reader:
    """Batches as ONNX Runtime's calibration asks for them, one after another."""

    def __init__(self, batches: Iterator[dict[str, FloatArray]]) -> None:
        self._batches = batches

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


def difference(one: bytes, other: bytes, table: Table) -> float:
    """How far the answers of two landmark or two proposal networks lie apart, on average."""
    name = _finder_of(json.loads(metadata(one)))
    assert name is not None
    given = [{FINDERS[name]: x} for x in _seen_of(name, table)]
    answers = []
    for content in (one, other):
        net = session.Session(content, name, 1)
        answers.append([np.concatenate([y.ravel() for y in net.run(None, x)]) for x in given])
    return float(np.mean([np.abs(a - b).mean() for a, b in zip(*answers, strict=True)]))
