"""mini-XCEPTION's Keras weights as an ONNX graph, built without Keras.

The published file is a Keras 2.0 HDF5 file: a ``model_config`` attribute holds the layers and
how they connect, ``model_weights`` holds the arrays. The graph is built by walking that config,
so no shape of the network is written here. Reading it this way needs h5py and onnx (the
``train`` extra) and neither TensorFlow nor Keras, whose newer versions no longer open such files.

Keras keeps images as NHWC and kernels as HWIO; ONNX wants NCHW and OIHW. All of that change of
order is in ``_conv`` and ``_separable_conv``.

References
----------
Arriaga, Valdenegro-Toro, Plöger (2017), "Real-time Convolutional Neural Networks for Emotion and
Gender Classification", arXiv:1710.07557; code and weights: github.com/oarriaga/face_classification
(MIT).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra, ModelError

if TYPE_CHECKING:
    import onnx

_OPSET = 17
_IR_VERSION = 8  # the oldest that carries opset 17, so that older runtimes read the file too

# With stride 2 TensorFlow's "same" puts the odd pixel of padding below and to the right.
_AUTO_PAD = {"same": "SAME_UPPER", "valid": "VALID"}


def mini_xception_to_onnx(hdf5: Path) -> onnx.ModelProto:
    """The mini-XCEPTION expression network of a Keras HDF5 file, as a checked ONNX model.

    The model takes raw gray levels and scales them itself, ``(x / 255 - 0.5) * 2``, because that
    scaling belongs to the weights. It stops before the softmax: callers get logits, as from
    every other model, and choose what to do with them.

    Parameters
    ----------
    hdf5
        A model saved by Keras 2 with ``model.save`` (architecture and weights), such as
        ``fer2013_mini_XCEPTION.102-0.66.hdf5``.

    Returns
    -------
    onnx.ModelProto
        Opset 17. ``input``: (N, 1, 64, 64) float32, gray in [0, 255]; ``logits``: (N, 7) float32,
        in the order angry, disgust, fear, happy, sad, surprise, neutral. N is free; the other
        sizes are those of the file.

    Raises
    ------
    ModelError
        The file cannot be read, or is not a network of the layers that mini-XCEPTION has.
    MissingExtra
        h5py or onnx is not installed.
    """
    try:
        import h5py  # type: ignore[import-untyped, unused-ignore]  # noqa: F401
        import onnx
    except ImportError as err:
        raise MissingExtra("h5py or onnx", "train", "reading a Keras file") from err

    malformed = (
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    )
    try:
        layers, output_name = _read(hdf5)
        return _to_model(_build(layers, output_name))
    except OSError as err:
        raise ModelError(f"cannot read {hdf5} as an HDF5 file: {err}") from err
    except malformed as err:
        raise ModelError(
            f"{hdf5} is not a mini-XCEPTION saved by Keras 2: {type(err).__name__}: {err}"
        ) from err


# -- the file ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer as the file describes it.

    kind    : Keras class name, such as ``Conv2D``.
    inputs  : names of the layers that feed it, in order; empty for the input layer.
    weights : float32 arrays by short name (``kernel``, ``gamma``), axes in Keras order.
    """

    kind: str
    name: str
    config: dict[str, Any]
    inputs: list[str]
    weights: dict[str, NDArray[np.float32]]


def _read(hdf5: Path) -> tuple[list[_Layer], str]:
    """The layers of a Keras file, each after those it needs, and the name of the output layer."""
    import h5py

    with h5py.File(hdf5, "r") as file:
        if "model_config" not in file.attrs:
            raise ValueError("no model_config attribute; are these weights without architecture?")
        config = json.loads(file.attrs["model_config"])["config"]
        layers = [_layer(entry, file["model_weights"]) for entry in config["layers"]]

    if len(config["input_layers"]) != 1 or len(config["output_layers"]) != 1:
        raise ValueError("expected one input layer and one output layer")
    return layers, config["output_layers"][0][0]


def _layer(entry: dict[str, Any], weights: Any) -> _Layer:
    """One entry of ``model_config`` with its arrays from ``weights``, the h5py group of all."""
    kind, name, calls = entry["class_name"], entry["name"], entry["inbound_nodes"]
    if len(calls) != (0 if kind == "InputLayer" else 1):
        raise ValueError(f"layer {name!r} ({kind}) is used {len(calls)} times; none is shared")
    return _Layer(
        kind=kind,
        name=name,
        config=entry["config"],
        inputs=[source[0] for call in calls for source in call],
        weights=_arrays(weights[name]),
    )


def _arrays(group: Any) -> dict[str, NDArray[np.float32]]:
    """The arrays of one layer's h5py group by short name: ``conv2d_1_1/kernel:0`` is ``kernel``."""
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in group.attrs["weight_names"]]
    return {
        name.split("/")[-1].split(":")[0]: np.asarray(group[name], dtype=np.float32)
        for name in names
    }


# -- the graph --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Node:
    """One ONNX operator: the tensors it reads, the one it makes, and its attributes."""

    op: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]


@dataclass(slots=True)
class _Graph:
    """An ONNX graph in the making: plain data, so that only ``_to_model`` needs onnx.

    input_shape : C, H, W of one image; filled by the input layer.
    """

    nodes: list[_Node] = field(default_factory=list)
    constants: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    input_shape: tuple[int, ...] = ()

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append an operator; returns the name of the tensor it makes."""
        self.nodes.append(_Node(op, inputs, output, attributes))
        return output

    def constant(self, name: str, value: NDArray[np.float32]) -> str:
        """Keep an array with the graph; returns the name of its tensor."""
        self.constants[name] = np.ascontiguousarray(value)
        return name


def _build(layers: list[_Layer], output_name: str) -> _Graph:
    """The graph of the layers, from ``input`` to ``logits``, less a softmax at the very end."""
    graph = _Graph()
    tensors: dict[str, str] = {}  # layer name -> name of the tensor it gives
    for layer in layers:
        inputs = [tensors[name] for name in layer.inputs]
        if layer.name == output_name and layer.config.get("activation") == "softmax":
            _expect_kind(layer, "Activation")
            tensors[layer.name] = inputs[0]
        else:
            _expect_kind(layer, *_CONVERTERS)
            tensors[layer.name] = _CONVERTERS[layer.kind](graph, layer, inputs)
    graph.add("Identity", [tensors[output_name]], "logits")
    return graph


def _to_model(graph: _Graph) -> onnx.ModelProto:
    """The graph as an ONNX model, its shapes inferred and checked from end to end."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    proto = helper.make_graph(
        [
            helper.make_node(n.op, n.inputs, [n.output], name=n.output, **n.attributes)
            for n in graph.nodes
        ],
        "mini_xception",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *graph.input_shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", None])],
        [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    model = helper.make_model(
        proto,
        producer_name="mien",
        doc_string="mini-XCEPTION, Arriaga et al. 2017, arXiv:1710.07557",
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    onnx.checker.check_model(model)
    return model


# -- one function per kind of layer: reads the tensors ``inputs``, returns the one it makes -----


def _input(graph: _Graph, layer: _Layer, _inputs: list[str]) -> str:
    """Gray levels in [0, 255] to [-1, 1], as the network was trained: ``preprocess_input``, v2."""
    _, height, width, channels = layer.config["batch_input_shape"]
    if not all(isinstance(size, int) for size in (height, width, channels)):
        raise ValueError(f"input layer {layer.name!r} must have fixed height, width and channels")
    graph.input_shape = (channels, height, width)

    tensor = "input"
    for op, value in (("Div", 255.0), ("Sub", 0.5), ("Mul", 2.0)):
        name = f"{layer.name}/{op}"
        constant = graph.constant(f"{name}/value", np.array(value, dtype=np.float32))
        tensor = graph.add(op, [tensor, constant], name)
    return tensor


def _conv(graph: _Graph, layer: _Layer, inputs: list[str]) -> str:
    """Convolution; kernel (H, W, I, O) in the file."""
    _expect(layer, "dilation_rate", [1, 1])
    kernel = layer.weights["kernel"].transpose(3, 2, 0, 1)  # (O, I, H, W)
    parameters = [graph.constant(f"{layer.name}/kernel", kernel), *_bias(graph, layer)]
    output = graph.add("Conv", inputs + parameters, layer.name, **_window(layer, kernel.shape[2:]))
    return _activate(graph, layer, output)


def _separable_conv(graph: _Graph, layer: _Layer, inputs: list[str]) -> str:
    """Depthwise convolution, kernel (H, W, I, M), then pointwise, kernel (1, 1, I * M, O).

    M is the depth multiplier. Stride and padding are the depthwise part's; the bias, where there
    is one, is added once, at the end.
    """
    _expect(layer, "dilation_rate", [1, 1])
    height, width, channels, multiplier = layer.weights["depthwise_kernel"].shape
    # Keras numbers the depthwise output i * M + m, so I and M may be joined in this order only.
    depthwise = layer.weights["depthwise_kernel"].transpose(2, 3, 0, 1)  # (I, M, H, W)
    depthwise = depthwise.reshape(channels * multiplier, 1, height, width)
    pointwise = layer.weights["pointwise_kernel"].transpose(3, 2, 0, 1)  # (O, I * M, 1, 1)

    middle = graph.add(
        "Conv",
        [*inputs, graph.constant(f"{layer.name}/depthwise_kernel", depthwise)],
        f"{layer.name}/depthwise",
        group=channels,
        **_window(layer, (height, width)),
    )
    parameters = [graph.constant(f"{layer.name}/pointwise_kernel", pointwise)]
    parameters += _bias(graph, layer)
    return _activate(graph, layer, graph.add("Conv", [middle, *parameters], layer.name))


def _batch_norm(graph: _Graph, layer: _Layer, inputs: list[str]) -> str:
    """Normalisation by the stored mean and variance, each (C,)."""
    _expect(layer, "axis", -1, 3, [3])
    parameters = [
        graph.constant(f"{layer.name}/{name}", layer.weights[name])
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    ]
    epsilon = float(layer.config["epsilon"])  # 1e-3 in Keras; ONNX's default is 1e-5
    return graph.add("BatchNormalization", inputs + parameters, layer.name, epsilon=epsilon)


def _activation(graph: _Graph, layer: _Layer, inputs: list[str]) -> str:
    return _activate(graph, layer, inputs[0])


def _max_pool(graph: _Graph, layer: _Layer, inputs: list[str]) -> str:
    window = _window(layer, layer.config["pool_size"])
    return graph.add("MaxPool", inputs, layer.name, **window)


def _add(graph: _Graph, layer: _Layer, inputs: list[str]) -> str:
    return graph.add("Sum", inputs, layer.name)


def _global_average_pool(graph: _Graph, layer: _Layer, inputs: list[str]) -> str:
    _expect(layer, "data_format", "channels_last")
    pooled = graph.add("GlobalAveragePool", inputs, f"{layer.name}/pooled")  # (N, C, 1, 1)
    return graph.add("Flatten", [pooled], layer.name, axis=1)  # (N, C)


_Converter = Callable[[_Graph, _Layer, list[str]], str]

_CONVERTERS: dict[str, _Converter] = {
    "InputLayer": _input,
    "Conv2D": _conv,
    "SeparableConv2D": _separable_conv,
    "BatchNormalization": _batch_norm,
    "Activation": _activation,
    "MaxPooling2D": _max_pool,
    "Add": _add,
    "GlobalAveragePooling2D": _global_average_pool,
}


# -- what the layers share --------------------------------------------------------------------


def _window(layer: _Layer, size: tuple[int, ...] | list[int]) -> dict[str, Any]:
    """The ONNX attributes of a window of ``size`` (height, width) that slides over the image."""
    _expect(layer, "data_format", "channels_last")
    _expect(layer, "padding", *_AUTO_PAD)
    return {
        "kernel_shape": list(size),
        "strides": layer.config["strides"],
        "auto_pad": _AUTO_PAD[layer.config["padding"]],
    }


def _bias(graph: _Graph, layer: _Layer) -> list[str]:
    """The bias tensor, (O,), in a list; an empty list for a layer without one."""
    if not layer.config["use_bias"]:
        return []
    return [graph.constant(f"{layer.name}/bias", layer.weights["bias"])]


def _activate(graph: _Graph, layer: _Layer, tensor: str) -> str:
    """The tensor after the layer's activation."""
    _expect(layer, "activation", "linear", "relu")
    if layer.config["activation"] == "linear":
        return tensor
    return graph.add("Relu", [tensor], f"{layer.name}/relu")


def _expect(layer: _Layer, key: str, *allowed: Any) -> None:
    if layer.config[key] not in allowed:
        raise ValueError(
            f"layer {layer.name!r} ({layer.kind}) has {key} {layer.config[key]!r}, "
            f"expected {' or '.join(map(repr, allowed))}"
        )


def _expect_kind(layer: _Layer, *allowed: str) -> None:
    if layer.kind not in allowed:
        raise ValueError(f"layer {layer.name!r} is a {layer.kind}, expected {' or '.join(allowed)}")
