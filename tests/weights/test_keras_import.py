"""mini-XCEPTION from Keras to ONNX: values against plain numpy, the real file, wrong files."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime  # type: ignore[import-untyped, unused-ignore]
import pytest

from mien.errors import MissingExtra, ModelError
from mien.weights import keras_import
from mien.weights.keras_import import mini_xception_to_onnx

h5py: Any = pytest.importorskip("h5py", reason="h5py comes with the train extra")
onnx: Any = pytest.importorskip("onnx", reason="onnx comes with the train extra")

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
WEIGHTS = "fer2013_mini_XCEPTION.102-0.66.hdf5"
EPSILON = 0.01  # neither Keras's default nor ONNX's, so that forgetting it shows


# -- a tiny network in the layout of the published file ---------------------------------------
#
#   in - conv 3x3 /2, bias - BN - relu -+- separable 3x3, M=2, bias - max pool 3x3 /2 -+- Add - GAP
#                                       +- conv 1x1 /2 --------------------------------+
#
# every window with "same" padding; a softmax at the end.


def layer(kind: str, name: str, inputs: list[str], **config: Any) -> dict[str, Any]:
    calls = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": calls,
    }


def window(strides: int, padding: str = "same") -> dict[str, Any]:
    return {
        "strides": [strides, strides],
        "padding": padding,
        "data_format": "channels_last",
    }


def conv(strides: int, *, use_bias: bool) -> dict[str, Any]:
    return {
        **window(strides),
        "use_bias": use_bias,
        "dilation_rate": [1, 1],
        "activation": "linear",
    }


def tiny_layers(height: int, width: int) -> list[dict[str, Any]]:
    return [
        layer("InputLayer", "in", [], batch_input_shape=[None, height, width, 1]),
        layer("Conv2D", "conv", ["in"], **conv(2, use_bias=True)),
        layer("BatchNormalization", "bn", ["conv"], axis=-1, epsilon=EPSILON),
        layer("Activation", "relu", ["bn"], activation="relu"),
        layer("SeparableConv2D", "sep", ["relu"], **conv(1, use_bias=True)),
        layer("Conv2D", "short", ["relu"], **conv(2, use_bias=False)),
        layer("MaxPooling2D", "pool", ["sep"], pool_size=[3, 3], **window(2)),
        layer("Add", "add", ["pool", "short"]),
        layer("GlobalAveragePooling2D", "gap", ["add"], data_format="channels_last"),
        layer("Activation", "softmax", ["gap"], activation="softmax"),
    ]


def tiny_weights() -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return {
        "conv": {"kernel": normal(3, 3, 1, 4), "bias": normal(4)},
        "bn": {
            "gamma": normal(4),
            "beta": normal(4),
            "moving_mean": normal(4),
            "moving_variance": rng.uniform(0.01, 1, 4).astype(np.float32),
        },
        "sep": {
            "depthwise_kernel": normal(3, 3, 4, 2),
            "pointwise_kernel": normal(1, 1, 8, 5),
            "bias": normal(5) - 50,  # all below zero: padding the pool with zeros would show
        },
        "short": {"kernel": normal(1, 1, 4, 5)},
    }


def save(
    path: Path,
    layers: list[dict[str, Any]],
    weights: dict[str, dict[str, np.ndarray]],
    output: str = "softmax",
) -> Path:
    config = {
        "layers": layers,
        "input_layers": [["in", 0, 0]],
        "output_layers": [[output, 0, 0]],
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config})
        for entry in layers:
            name = entry["name"]
            group = file.create_group(f"model_weights/{name}")
            arrays = {f"{name}_1/{key}:0": value for key, value in weights.get(name, {}).items()}
            group.attrs["weight_names"] = [key.encode() for key in arrays]
            for key, value in arrays.items():
                group[key] = value
    return path


# -- the same network in plain numpy: (H, W, C) float64, one image at a time, slow and obvious --


def windows(image: np.ndarray, size: int, stride: int, fill: float) -> np.ndarray:
    """Every window of TensorFlow's "same" padding: (H', W', size, size, C)."""
    counts, pads = [], []
    for length in image.shape[:2]:
        count = -(-length // stride)
        total = max((count - 1) * stride + size - length, 0)
        counts.append(count)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(image, [*pads, (0, 0)], constant_values=fill)
    rows = [
        [padded[y * stride :, x * stride :][:size, :size] for x in range(counts[1])]
        for y in range(counts[0])
    ]
    return np.array(rows)


def reference(image: np.ndarray, weights: dict[str, dict[str, np.ndarray]]) -> np.ndarray:
    """Logits (5,) of a (H, W) image in [0, 255]."""
    w = {
        name: {key: value.astype(np.float64) for key, value in arrays.items()}
        for name, arrays in weights.items()
    }
    x = (image.astype(np.float64)[..., None] / 255 - 0.5) * 2

    x = np.einsum("yxhwi,hwio->yxo", windows(x, 3, 2, 0), w["conv"]["kernel"]) + w["conv"]["bias"]
    bn = w["bn"]
    x = (x - bn["moving_mean"]) / np.sqrt(bn["moving_variance"] + EPSILON)
    x = np.maximum(x * bn["gamma"] + bn["beta"], 0)

    deep = np.einsum("yxhwi,hwim->yxim", windows(x, 3, 1, 0), w["sep"]["depthwise_kernel"])
    deep = deep.reshape(*deep.shape[:2], -1)
    deep = deep @ w["sep"]["pointwise_kernel"][0, 0] + w["sep"]["bias"]
    deep = windows(deep, 3, 2, -np.inf).max(axis=(2, 3))

    short = x[::2, ::2] @ w["short"]["kernel"][0, 0]
    return np.asarray((deep + short).mean(axis=(0, 1)))


def run(model: Any, images: np.ndarray) -> np.ndarray:
    """Logits (N, K) of images (N, H, W) in [0, 255]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    batch = images[:, None].astype(np.float32)
    return np.asarray(session.run(["logits"], {"input": batch})[0])


@pytest.mark.parametrize(
    ("height", "width"), [(9, 9), (10, 10), (11, 12), (12, 11), (15, 18), (16, 16)]
)
def test_tiny_network_equals_plain_numpy(tmp_path: Path, height: int, width: int) -> None:
    weights = tiny_weights()
    model = mini_xception_to_onnx(save(tmp_path / "m.hdf5", tiny_layers(height, width), weights))
    images = np.random.default_rng(1).uniform(0, 255, (3, height, width)).astype(np.float32)

    expected = np.array([reference(image, weights) for image in images])
    np.testing.assert_allclose(run(model, images), expected, rtol=1e-5, atol=1e-5)


def test_a_network_that_ends_before_the_softmax_gives_the_same(tmp_path: Path) -> None:
    layers, weights = tiny_layers(9, 10), tiny_weights()
    images = np.random.default_rng(2).uniform(0, 255, (2, 9, 10)).astype(np.float32)

    with_softmax = mini_xception_to_onnx(save(tmp_path / "a.hdf5", layers, weights))
    without = mini_xception_to_onnx(save(tmp_path / "b.hdf5", layers[:-1], weights, output="gap"))
    np.testing.assert_array_equal(run(with_softmax, images), run(without, images))


def test_import_needs_neither_h5py_nor_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, keras_import.__name__)
    importlib.import_module(keras_import.__name__)


@pytest.mark.parametrize("library", ["h5py", "onnx"])
def test_missing_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"h5py or onnx.*\[train\]"):
        mini_xception_to_onnx(tmp_path / "m.hdf5")


# -- the published file -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def published() -> Any:
    beside = Path(__file__).resolve().parents[3] / "shared" / "weights"
    folders = os.environ.get("MIEN_MODELS") or str(beside)
    for folder in filter(None, folders.split(os.pathsep)):
        if (Path(folder) / WEIGHTS).is_file():
            return mini_xception_to_onnx(Path(folder) / WEIGHTS)
    pytest.skip(f"{WEIGHTS} is not in {folders}; set MIEN_MODELS to the folder that has it")


def shape(value_info: Any) -> list[Any]:
    return [d.dim_param or d.dim_value for d in value_info.type.tensor_type.shape.dim]


def test_published_signature(published: Any) -> None:
    (entry,), (exit_,) = published.graph.input, published.graph.output
    assert (entry.name, shape(entry)) == ("input", ["N", 1, 64, 64])
    assert (exit_.name, shape(exit_)) == ("logits", ["N", 7])
    assert published.opset_import[0].version == 17
    assert "Softmax" not in {node.op_type for node in published.graph.node}


def test_published_batch_equals_loop(published: Any) -> None:
    images = np.random.default_rng(3).uniform(0, 255, (3, 64, 64)).astype(np.float32)
    loop = np.concatenate([run(published, image[None]) for image in images])
    np.testing.assert_allclose(run(published, images), loop, atol=1e-5)


def test_astronaut_is_happy(published: Any) -> None:
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    gray = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)

    # Her face is x0=178, y0=63, 90 wide, 113 high; a square around it with a little margin.
    side, x, y = 124, 178 + 90 // 2, 63 + 113 // 2
    crop = gray[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2]
    face = cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA)

    logits = run(published, face[None])[0]
    probs = np.exp(logits - logits.max())
    probs /= probs.sum()
    assert LABELS[int(probs.argmax())] == "happy"
    assert probs.max() > 0.9


# -- wrong files ------------------------------------------------------------------------------


def test_text_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.hdf5"
    path.write_text("not a model\n" * 100)
    with pytest.raises(ModelError, match=r"cannot read .*notes\.hdf5 as an HDF5 file"):
        mini_xception_to_onnx(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read .*absent\.hdf5"):
        mini_xception_to_onnx(tmp_path / "absent.hdf5")


def test_weights_without_architecture(tmp_path: Path) -> None:
    path = tmp_path / "weights.hdf5"
    with h5py.File(path, "w") as file:
        file["kernel"] = np.zeros(3)
    with pytest.raises(ModelError, match=r"weights\.hdf5.*no model_config attribute"):
        mini_xception_to_onnx(path)


def test_unknown_layer(tmp_path: Path) -> None:
    layers = tiny_layers(9, 9)
    layers[-2] = layer("Dense", "gap", ["add"])
    with pytest.raises(ModelError, match="layer 'gap' is a Dense, expected InputLayer or Conv2D"):
        mini_xception_to_onnx(save(tmp_path / "m.hdf5", layers, tiny_weights()))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("conv", "dilation_rate", [2, 2]),
        ("conv", "activation", "tanh"),
        ("conv", "data_format", "channels_first"),
        ("bn", "axis", 1),
        ("relu", "activation", "softmax"),  # only the last softmax may be left out
        ("pool", "padding", "causal"),
    ],
)
def test_unknown_option(tmp_path: Path, name: str, key: str, value: Any) -> None:
    layers = tiny_layers(9, 9)
    next(entry for entry in layers if entry["name"] == name)["config"][key] = value
    with pytest.raises(ModelError, match=rf"layer '{name}' .* has {key} .*, expected"):
        mini_xception_to_onnx(save(tmp_path / "m.hdf5", layers, tiny_weights()))


def test_missing_weight(tmp_path: Path) -> None:
    weights = tiny_weights()
    del weights["bn"]["gamma"]
    with pytest.raises(ModelError, match="gamma"):
        mini_xception_to_onnx(save(tmp_path / "m.hdf5", tiny_layers(9, 9), weights))


def test_weight_of_another_shape(tmp_path: Path) -> None:
    weights = tiny_weights()
    weights["short"]["kernel"] = weights["short"]["kernel"][..., :3]  # 3 channels to add to 5
    with pytest.raises(ModelError, match="InferenceError"):
        mini_xception_to_onnx(save(tmp_path / "m.hdf5", tiny_layers(9, 9), weights))


def test_config_that_is_not_a_network(tmp_path: Path) -> None:
    path = tmp_path / "m.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": []})
    with pytest.raises(ModelError, match="not a mini-XCEPTION saved by Keras 2"):
        mini_xception_to_onnx(path)
