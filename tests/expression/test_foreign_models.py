"""Model files of whoever: what can be known before the first picture is known then, and said.

Half precision is used; weights in a file of their own, types that are no floats, graphs that fail,
answer what is no number or never end, metadata of odd types, names that steer a terminal, labels
that are columns, pipes and devices are one refusal each, without a traceback.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import ModelError
from mien.expression import explain, recognize
from mien.expression.baserates import BaseRates
from mien.expression.recognize import load_model
from mien.face import ImageArray
from mien.labels import RESERVED
from mien.results.records import flat_columns
from mien.weights import catalogue
from tests import FIRST_MODEL
from tests.expression.test_recognize import meta, saved, tiny

onnx: Any = pytest.importorskip("onnx", reason="onnx comes with the train extra")
FLOAT = onnx.TensorProto.FLOAT
TRAINING = BaseRates("training")


def shipped() -> Any:
    """A model of mien's in single precision; the default one is in eight bits."""
    return onnx.load(FIRST_MODEL)


def in_precision(model: Any, numbers: Any) -> bytes:
    """The model with all its floats as ``numbers`` (float16, float64), inputs and outputs too."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(numbers))

    def change(tensor: Any) -> None:
        if tensor.data_type == FLOAT:
            values = onnx.numpy_helper.to_array(tensor).astype(numbers)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    graph = model.graph
    for tensor in graph.initializer:
        change(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == FLOAT:
            value.type.tensor_type.elem_type = kind
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                change(attribute.t)
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture
def smile(astronaut: ImageArray) -> ImageArray:
    return astronaut[60:180, 165:285]


@pytest.mark.parametrize("numbers", [np.float16, np.float64])
def test_another_precision_answers_the_same(
    tmp_path: Path, smile: ImageArray, numbers: Any
) -> None:
    model = shipped() if numbers is np.float16 else onnx.load_from_string(tiny(meta()))
    plain = load_model(saved(tmp_path, model.SerializeToString()))
    changed = load_model(saved(tmp_path, in_precision(model, numbers)))
    expected, found = (m.probabilities([smile, smile[:50]], TRAINING) for m in (plain, changed))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert changed.info.base_rates == plain.info.base_rates


def test_half_precision_is_explained_as_well(tmp_path: Path, smile: ImageArray) -> None:
    half = load_model(saved(tmp_path, in_precision(shipped(), np.float16)))
    maps = [explain.Explainer(model).maps([smile])[0] for model in (load_model(FIRST_MODEL), half)]
    np.testing.assert_allclose(maps[1], maps[0], atol=0.05 * float(maps[0].max()))


def test_weights_in_a_file_of_their_own_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "outside.onnx"
    onnx.save(
        shipped(), path, save_as_external_data=True, location="outside.data", size_threshold=0
    )
    with pytest.raises(ModelError, match=r"in a file of their own; put them into one: onnx\.save"):
        load_model(path)


# -- graphs that do not run ---------------------------------------------------------------------


def made(nodes: list[Any], *stored: Any, taken: int = FLOAT, given: int = FLOAT) -> bytes:
    """A model file of a graph from ``face`` (n, 1, 16, 16) to ``logits`` (n, 3)."""
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("face", taken, ["n", 1, 16, 16])],
        [helper.make_tensor_value_info("logits", given, ["n", 3])],
        list(stored),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"mien": json.dumps(meta())})
    content: bytes = model.SerializeToString()
    return content


def constant(name: str, values: Any) -> Any:
    return onnx.numpy_helper.from_array(np.asarray(values), name)


def endless() -> bytes:
    """Adds to its answer for ever."""
    helper = onnx.helper
    body = helper.make_graph(
        [
            helper.make_node("Add", ["held", "held"], ["more"]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info("going", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("held", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("ReduceMean", ["face"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["column"]),
        helper.make_node("MatMul", ["column", "row"], ["start"]),
        helper.make_node("Loop", ["", "yes", "start"], ["logits"], body=body),
    ]
    row = constant("row", np.zeros((1, 3), np.float32))
    return made(nodes, constant("axis", np.array([1])), row, constant("yes", np.array(True)))


def test_a_graph_without_an_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognize, "_LONGEST_S", 0.5)
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"cannot be run: no answer in 0\.5 s"):
        load_model(saved(tmp_path, endless()))
    assert time.monotonic() - start < 20


def of_one_face() -> bytes:
    """Takes any number of faces for one."""
    nodes = [
        onnx.helper.make_node("Reshape", ["face", "shape"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    weights = constant("weights", np.zeros((256, 3), np.float32))
    return made(nodes, constant("shape", [1, 256]), weights)


def test_a_graph_that_takes_one_face_only(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be run|gives \[\[1, 3\]\]"):
        load_model(saved(tmp_path, of_one_face()))


@pytest.mark.parametrize("answer", [math.nan, math.inf])
def test_answers_that_are_no_numbers(tmp_path: Path, answer: float) -> None:
    with pytest.raises(ModelError, match="expected 3 numbers for each"):
        load_model(saved(tmp_path, tiny(meta(), slopes=(answer, 1.0, 0.0))))


@pytest.mark.parametrize("side", ["taken", "given"])
def test_numbers_that_are_no_floats(tmp_path: Path, side: str) -> None:
    whole, kinds = onnx.TensorProto.INT32, {"taken": FLOAT, "given": FLOAT}
    kinds[side] = whole
    nodes = [
        onnx.helper.make_node("Cast", ["face"], ["floats"], to=FLOAT),
        onnx.helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[2, 3], keepdims=0),
        onnx.helper.make_node("MatMul", ["mean", "row"], ["found"]),
        onnx.helper.make_node("Cast", ["found"], ["logits"], to=kinds["given"]),
    ]
    content = made(nodes, constant("row", np.ones((1, 3), np.float32)), **kinds)
    with pytest.raises(ModelError, match=r"tensor\(int32\) as its"):
        load_model(saved(tmp_path, content))


# -- files that are none ------------------------------------------------------------------------


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelError, match="it is a pipe or a device"):
        load_model(tmp_path / "pipe.onnx")


def test_a_pipe_is_not_imported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="it is a pipe or a device"):
        catalogue.take("yunet", tmp_path / "pipe")


def test_a_device_without_an_end_is_not_read() -> None:
    with pytest.raises(ModelError, match="/dev/zero: it is a pipe or a device"):
        load_model("/dev/zero")


def test_a_file_larger_than_any_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MOST_BYTES", 1 << 20)
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(ModelError, match="larger than 1 MB"):
        load_model(tmp_path / "large.onnx")


# -- what a file says of itself -----------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None,
    True,
    "warm",
    "1",
    [],
    [1],
    {},
    {"a": 1},
    math.nan,
    math.inf,
    -math.inf,
    -1,
    10**400,
)
_KEYS = [*meta(), "offsets", "look_again_below", "align", "intensity", "prediction_sets"]
_FINE: dict[str, tuple[Any, ...]] = {
    # absent, or what they are anyhow
    "offsets": (None,),
    "intensity": (None,),
    "prediction_sets": (None,),
    "card": ({}, {"a": 1}),
    "name": ("warm", "1"),
    "label_set": ("warm", "1"),
    "own_words": ODD,
    "preprocess": ({},),
}


def odd_metadata() -> list[tuple[str, Any]]:
    return [(key, odd) for key in _KEYS for odd in ODD if odd not in _FINE.get(key, ())]


@pytest.mark.parametrize("key", _KEYS)
def test_metadata_of_odd_types(tmp_path: Path, key: str) -> None:
    for odd in [odd for name, odd in odd_metadata() if name == key]:
        with pytest.raises(ModelError, match=r"damaged metadata|schema"):
            load_model(saved(tmp_path, tiny(meta(**{key: odd}))))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"base_rates": [0.5, 0.5, 0]}, "a base rate is a number above 0, got 0"),
        ({"base_rates": [0.5, 0.7, -0.2]}, "a base rate is a number from 0, got -0.2"),
        ({"base_rates": [0.5, 0.5, math.nan]}, "a base rate is a number from 0, got nan"),
        ({"base_rates": [0.5, 0.5, "0"]}, "a base rate is a number from 0, got '0'"),
        ({"uncertain_below": math.nan}, "uncertain_below is a number from 0 to 1, got nan"),
        ({"uncertain_below": 60}, "uncertain_below is a number from 0 to 1, got 60"),
        ({"look_again_below": -math.inf}, "look_again_below is a number from 0 to 1, got -inf"),
        ({"temperature": math.inf}, "temperature is a number from 0, got inf"),
        ({"temperature": True}, "temperature is a number from 0, got True"),
        ({"offsets": [0, 1, math.nan]}, "an offset is a number, got nan"),
        ({"offsets": [0, 1]}, "offsets is a list of 3, got one of 2"),
        ({"preprocess": {"size": 16.0, "color": "gray"}}, "size is a whole number, got 16.0"),
        ({"preprocess": {"size": True, "color": "gray"}}, "size is a whole number, got True"),
        ({"preprocess": {"size": 16, "color": ["gray"]}}, "color is a text, got"),
        ({"labels": ["happy"], "base_rates": [1]}, "labels are at least two"),
        ({"labels": ["happy", "neutral", 3]}, "a label is a word or two, got 3|is a text, got 3"),
        ({"labels": ["happy", "neutral", ""]}, "a label is a word or two, got ''"),
        ({"intensity": {"weights": [["a"]], "offsets": [0]}}, "a weight or offset is a number"),
        ({"intensity": {"weights": 3, "offsets": []}}, "is a list, got 3"),
        ({"card": []}, "card is a table of values by name"),
    ],
)
def test_metadata_says_what_it_was_to_be(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        load_model(saved(tmp_path, tiny(meta(**changed))))


def test_metadata_that_is_no_text(tmp_path: Path) -> None:
    content = tiny(meta(name="NAME"))
    with pytest.raises(ModelError, match="has damaged metadata: 'utf-8' codec"):
        load_model(saved(tmp_path, content.replace(b"NAME", b"\xba\xff\xfe\xff")))


def test_metadata_nested_too_deeply(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nested too deeply"):
        load_model(saved(tmp_path, tiny('{"schema":' + "[" * 100_000)))


@pytest.mark.parametrize("key", ["name", "label_set", "labels"])
@pytest.mark.parametrize("steering", ["\x1b]0;owned\x07", "a\rb", "\x9b2J", "a\nb", "\u202eabc"])
def test_names_that_steer_a_terminal(tmp_path: Path, key: str, steering: str) -> None:
    said: Any = ["happy", "neutral", steering] if key == "labels" else steering
    with pytest.raises(ModelError, match="is a word or two") as caught:
        load_model(saved(tmp_path, tiny(meta(own_words=True, **{key: said}))))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("column", ["face", "Uncertain", " top ", "x0", "quality_x", "intensity_a"])
def test_labels_that_are_columns(tmp_path: Path, column: str) -> None:
    labels = ["happy", "neutral", column]
    with pytest.raises(ModelError, match="is no label: records call something else that"):
        load_model(saved(tmp_path, tiny(meta(own_words=True, labels=labels))))


def test_every_column_is_taken() -> None:
    others = [name for name in flat_columns(()) if not name.startswith("quality_")]
    assert {*others} <= RESERVED
