"""Recognisers: probabilities, batches, what a model file says of itself, and damaged files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien import labels
from mien.data import table
from mien.errors import ConfigError, ModelError, UnknownName, WeightsMissing
from mien.expression.baserates import BaseRates
from mien.expression.logits import calibrated, softmax
from mien.expression.recognize import METADATA_SCHEMA, OnnxRecognizer, load_model
from mien.face import FloatArray, ImageArray
from mien.media.preprocess import prepare
from mien.weights import catalogue
from mien.weights.session import METADATA_KEY, Session

onnx: Any = pytest.importorskip("onnx", reason="onnx comes with the train extra")

TRAINING = BaseRates("training")
DEFAULT = catalogue.CATALOGUE[catalogue.DEFAULT_MODEL]


@pytest.fixture(scope="module")
def model() -> OnnxRecognizer:
    """The shipped one; it is looked for before any folder of the developer's."""
    return load_model()


@pytest.fixture
def smile(astronaut: ImageArray) -> ImageArray:
    return astronaut[60:180, 165:285]


def mixed_crops(count: int) -> list[ImageArray]:
    draw = np.random.default_rng(0)
    sides = draw.integers(1, 150, (count, 2))
    return [draw.integers(0, 256, (*side, 3)).astype(np.uint8) for side in sides]


# -- a tiny model: logits = mean gray level / 255 * slope, one slope per label ------------------


def meta(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "schema": METADATA_SCHEMA,
        "name": "tiny",
        "label_set": "three",
        "labels": ["happy", "neutral", "sad"],
        "preprocess": {"size": 16, "color": "gray"},
        "temperature": 1.0,
        "base_rates": [0.5, 0.25, 0.25],
        "uncertain_below": 0.6,
        "card": {"licence": "none"},
    }
    return values | changes


def tiny(
    metadata: dict[str, Any] | str | None,
    slopes: Sequence[float] = (2.0, 1.0, 0.0),
    shape: Sequence[int | str] = ("n", 1, 16, 16),
) -> bytes:
    """An ONNX file with that metadata, or none."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    axes = list(range(1, len(shape)))
    nodes = [
        helper.make_node("ReduceMean", ["face"], ["mean"], axes=axes, keepdims=1),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "slopes"], ["logits"]),
    ]
    row = helper.make_tensor("slopes", number, [1, len(slopes)], [s / 255 for s in slopes])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("face", number, shape)],
        [helper.make_tensor_value_info("logits", number, [shape[0], len(slopes)])],
        [row],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        helper.set_model_props(made, {METADATA_KEY: text})
    content: bytes = made.SerializeToString()
    return content


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "tiny.onnx"
    path.write_bytes(content)
    return path


def white(count: int = 1) -> list[ImageArray]:
    return [np.full((20, 20, 3), 255, np.uint8)] * count


# -- probabilities ------------------------------------------------------------------------------


@pytest.mark.parametrize("rates", [TRAINING, BaseRates(), BaseRates("equal", 1)])
def test_probabilities_are_probabilities(model: OnnxRecognizer, rates: BaseRates) -> None:
    probs = model.probabilities(mixed_crops(20), rates)
    assert probs.shape == (20, 8)
    assert probs.dtype == np.float32
    assert (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)


def test_a_batch_equals_a_loop(model: OnnxRecognizer) -> None:
    crops = mixed_crops(130)  # two full chunks and a rest
    together = model.probabilities(crops, BaseRates())
    alone = np.concatenate([model.probabilities([crop], BaseRates()) for crop in crops])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 128])
def test_every_crop_has_its_row_at_the_edges_of_a_chunk(tmp_path: Path, count: int) -> None:
    tiny_model = load_model(saved(tmp_path, tiny(meta())))
    crops = [np.full((16, 16, 3), i, np.uint8) for i in range(count)]
    logits = tiny_model.logits(crops)
    np.testing.assert_allclose(logits[:, 0], np.arange(count) * 2 / 255, atol=1e-6)


def test_no_crops(model: OnnxRecognizer) -> None:
    assert model.probabilities([], BaseRates()).shape == (0, 8)
    assert model.logits([]).shape == (0, 8)


def test_the_crops_stay_as_they_were(model: OnnxRecognizer, smile: ImageArray) -> None:
    before = smile.copy()
    model.probabilities([smile], BaseRates())
    np.testing.assert_array_equal(smile, before)


def test_one_thread_answers_the_same(model: OnnxRecognizer) -> None:
    crops = mixed_crops(5)
    single = load_model(threads=1).probabilities(crops, BaseRates())
    np.testing.assert_allclose(single, model.probabilities(crops, BaseRates()), atol=1e-5)


def test_values_by_hand(tmp_path: Path) -> None:
    """White through the tiny model: logits 2, 1, 0; temperature 2 and base rates applied after."""
    made = load_model(saved(tmp_path, tiny(meta(temperature=2.0))))
    np.testing.assert_allclose(made.logits(white())[0], [2, 1, 0], rtol=1e-5)
    plain = np.exp([1, 0.5, 0]) / np.exp([1, 0.5, 0]).sum()
    np.testing.assert_allclose(made.probabilities(white(), TRAINING)[0], plain, rtol=1e-5)
    even = plain / [0.5, 0.25, 0.25]
    ours = made.probabilities(white(), BaseRates("equal", 1))[0]
    np.testing.assert_allclose(ours, even / even.sum(), rtol=1e-5)


def test_the_network_sees_what_preprocess_makes(tmp_path: Path) -> None:
    made = load_model(saved(tmp_path, tiny(meta())))
    crop = mixed_crops(1)[0]
    mean = prepare(crop, made.info.preprocess).mean()
    np.testing.assert_allclose(made.logits([crop])[0], mean / 255 * np.array([2, 1, 0]), rtol=1e-5)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([0, 0, 0, 0], [0.25] * 4),
        ([1e4, 0, -1e4, 0], [1, 0, 0, 0]),
        ([3e38, 3e38, 0, 0], [0.5, 0.5, 0, 0]),
        ([-3e38, -3e38, -3e38, -3e38], [0.25] * 4),
        ([np.log(1), np.log(2), np.log(3), np.log(4)], [0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_softmax_never_overflows(logits: list[float], expected: list[float]) -> None:
    rows = softmax(np.array([logits, logits[::-1]], np.float32))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [expected, expected[::-1]], atol=1e-6)


# -- the shipped model --------------------------------------------------------------------------


def test_the_shipped_model_s_labels_are_fer_plus_s_in_order(model: OnnxRecognizer) -> None:
    fer_plus = (
        "neutral",
        "happiness",
        "surprise",
        "sadness",
        "anger",
        "disgust",
        "fear",
        "contempt",
    )
    assert model.info.label_set.labels == fer_plus == labels.label_set("ferplus").labels
    assert model.info.name == catalogue.DEFAULT_MODEL
    assert model.info.sha256 == DEFAULT.sha256


def test_the_shipped_model_says_what_users_need(model: OnnxRecognizer) -> None:
    info = model.info
    assert info.base_rates is not None
    assert len(info.base_rates) == 8
    assert sum(info.base_rates) == pytest.approx(1, abs=1e-3)
    assert min(info.base_rates) > 0
    assert 0.2 < info.temperature < 5
    assert 1 / 8 < info.uncertain_below < 1
    assert {"training", "licence", "figures", "parity"} <= set(info.card)


def test_the_shipped_model_sees_the_smile(model: OnnxRecognizer, smile: ImageArray) -> None:
    probs = model.probabilities([smile, np.ascontiguousarray(smile[:, ::-1])], BaseRates())
    assert (probs.argmax(axis=1) == model.info.label_set.index("happiness")).all()
    assert (probs.max(axis=1) > 0.9).all()


# -- other makers' models -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label_set"), [("face-api", "faceapi"), ("mini-xception", "fer2013")]
)
def test_other_makers_models_see_it_too(
    peer_models: Path, smile: ImageArray, name: str, label_set: str
) -> None:
    if name == "mini-xception":
        pytest.importorskip("h5py", reason="h5py comes with the train extra")
    peer = load_model(name)
    assert peer.info.label_set == labels.label_set(label_set)
    assert peer.info.name == name
    assert peer.info.card["licence"] == "MIT"
    probs = peer.probabilities([smile], TRAINING)[0]
    assert probs.sum() == pytest.approx(1, abs=1e-5)
    assert peer.info.label_set.labels[probs.argmax()] == "happiness"
    assert probs.max() > 0.8


def test_a_model_that_does_not_say_its_base_rates(peer_models: Path, smile: ImageArray) -> None:
    peer = load_model("face-api")
    with pytest.raises(ConfigError, match="--base-rates training"):
        peer.probabilities([smile], BaseRates("equal", 0.5))
    np.testing.assert_allclose(
        peer.probabilities([smile], BaseRates("equal", 0)), peer.probabilities([smile], TRAINING)
    )


# -- names and files ----------------------------------------------------------------------------


def test_a_model_file_of_one_s_own(tmp_path: Path) -> None:
    path = saved(tmp_path, tiny(meta()))
    for given in (path, str(path)):
        info = load_model(given).info
        assert info.name == "tiny"
        assert info.label_set.labels == ("happiness", "neutral", "sadness")
        assert info.label_set.native == ("happy", "neutral", "sad")
        assert (info.preprocess.size, info.preprocess.color) == (16, "gray")
        assert info.base_rates == (0.5, 0.25, 0.25)
        assert info.uncertain_below == 0.6
        assert info.card == {"licence": "none"}
        assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_catalogue_name_is_not_taken_for_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / catalogue.DEFAULT_MODEL).write_bytes(b"no model")
    monkeypatch.chdir(tmp_path)
    assert load_model(catalogue.DEFAULT_MODEL).info.sha256 == DEFAULT.sha256


@pytest.mark.parametrize(
    ("wrong", "right"), [("resnet10-ferplu", "resnet10-ferplus"), ("faceapi", "face-api")]
)
def test_an_unknown_name_suggests_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(UnknownName, match=rf"no model called '{wrong}'; did you mean {right}\?"):
        load_model(wrong)


def test_a_detector_is_no_recognizer() -> None:
    with pytest.raises(ModelError, match="yunet is a detector"):
        load_model("yunet")


def test_a_file_that_is_nowhere() -> None:
    with pytest.raises(WeightsMissing, match=r"face_expression\.onnx"):
        load_model("face-api")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file") as caught:
        load_model(tmp_path / "gone.onnx")
    assert str(tmp_path / "gone.onnx") in str(caught.value)


@pytest.mark.parametrize("name", ["model", "model.onnx"])
def test_a_folder_is_no_model(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ModelError, match="is a folder; a model is one file, as mien export writes"):
        load_model(tmp_path / name)


# -- damaged files ------------------------------------------------------------------------------


def noise(size: int) -> bytes:
    return np.random.default_rng(0).bytes(size)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(noise(5000), id="noise"),
        pytest.param(b"<html>404</html>", id="html"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", id="lfs"),
        pytest.param(tiny(meta())[:-150], id="truncated"),
        pytest.param(tiny(meta())[:40], id="cut at the start"),
    ],
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_the_shipped_model_cut_short_is_no_model(tmp_path: Path) -> None:
    content = catalogue.read(DEFAULT)[1]
    with pytest.raises(ModelError, match="not an ONNX model that can be loaded"):
        load_model(saved(tmp_path, content[: len(content) // 2]))


@pytest.mark.parametrize("at", [0, 1000, -1])
def test_one_flipped_bit_of_a_catalogue_s_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    content = bytearray(catalogue.read(DEFAULT)[1])
    content[at] ^= 1
    row = replace(DEFAULT, file="elsewhere.onnx")  # not where the shipped one would be found first
    monkeypatch.setitem(catalogue.CATALOGUE, row.name, row)
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    (tmp_path / row.file).write_bytes(content)
    with pytest.raises(ModelError, match="sha256") as caught:
        load_model()
    assert str(tmp_path / row.file) in str(caught.value)


# -- metadata -----------------------------------------------------------------------------------


def test_a_model_without_metadata_says_what_to_do(tmp_path: Path) -> None:
    path = saved(tmp_path, tiny(None))
    with pytest.raises(ModelError, match=r"does not say its labels.*mien export") as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("schema", ["mien-model/2", "", None, 1])
def test_metadata_of_another_schema(tmp_path: Path, schema: object) -> None:
    with pytest.raises(ModelError, match=f"schema {schema!r}; this mien reads mien-model/1"):
        load_model(saved(tmp_path, tiny(meta(schema=schema))))


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "null",
        "[]",
        "1",
        "[" * 100_000,
        '{"schema": ' + "1" * 5000 + "}",
        *({k: v for k, v in meta().items() if k != missing} for missing in meta()),
        meta(labels=["happy", "neutral", "sleepy"]),
        meta(labels=["happy", "joy", "sad"]),
        meta(labels=["face", "uncertain", "top"], own_words=True),
        meta(labels=["intensity_joy", "joy", "sad"], own_words=True),
        meta(labels=3),
        meta(preprocess={"size": 16, "color": "gray", "mean": 0.5}),
        meta(preprocess={"size": 16, "color": "hsv"}),
        meta(preprocess={"size": 1, "color": "gray"}),
        meta(temperature=0),
        meta(temperature="warm"),
        meta(temperature=None),
        meta(base_rates=None),
        meta(base_rates=[0.5, 0.5]),
        meta(uncertain_below=None),
    ],
)
def test_damaged_metadata(tmp_path: Path, damaged: dict[str, Any] | str) -> None:
    path = saved(tmp_path, tiny(damaged))
    with pytest.raises(ModelError, match="damaged metadata") as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("slopes", "shape"),
    [
        ((1.0, 2.0), ("n", 1, 16, 16)),
        ((1.0, 2.0, 3.0, 4.0), ("n", 1, 16, 16)),
        ((1.0, 2.0, 3.0), ("n", 3, 16, 16)),
        ((1.0, 2.0, 3.0), ("n", 1, 48, 48)),
        ((1.0, 2.0, 3.0), ("n", 16, 16)),
        ((1.0, 2.0, 3.0), (1, 1, 16, 16)),
    ],
    ids=["2 answers", "4 answers", "colour", "48 pixels", "no channel", "one face at a time"],
)
def test_a_graph_that_does_not_fit_its_metadata(
    tmp_path: Path, slopes: tuple[float, ...], shape: tuple[int | str, ...]
) -> None:
    with pytest.raises(ModelError, match="but its graph takes"):
        load_model(saved(tmp_path, tiny(meta(), slopes, shape)))


def test_a_graph_whose_sides_have_names_fits(tmp_path: Path) -> None:
    made = load_model(saved(tmp_path, tiny(meta(), shape=("n", "c", "h", "w"))))
    probs: FloatArray = made.probabilities(white(3), TRAINING)
    assert probs.shape == (3, 3)


# -- two looks, by hand ---------------------------------------------------------------------------


def sided(**changes: Any) -> bytes:
    """An ONNX file whose two logits are both 0 for what is left, and 3 and 0 for what is right."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.zeros((16, 16, 2), np.float32)
    weights[:, 8:, 0] = 3 / 255 / 128
    row = helper.make_tensor("w", number, [256, 2], weights.reshape(256, 2).ravel())
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["face"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["logits"]),
        ],
        "sided",
        [helper.make_tensor_value_info("face", number, ("n", 1, 16, 16))],
        [helper.make_tensor_value_info("logits", number, ("n", 2))],
        [row],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    said = meta(labels=["happy", "sad"], label_set="two", base_rates=[0.5, 0.5], **changes)
    helper.set_model_props(made, {METADATA_KEY: json.dumps(said)})
    content: bytes = made.SerializeToString()
    return content


def half(white_on: str) -> ImageArray:
    """Black, and white on one side."""
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:, 8:] = 255 * (white_on == "right")
    picture[:, :8] = 255 * (white_on == "left")
    return picture


def told(folder: Path, crops: list[ImageArray], **changes: Any) -> list[float]:
    """The odds of the two labels, as a logit."""
    made = load_model(saved(folder, sided(**changes)))
    probs = made.probabilities(crops, TRAINING).astype(np.float64)
    assert np.allclose(probs.sum(axis=1), 1)
    return [round(float(np.log(p[0] / p[1])), 4) for p in probs]


def test_one_look_and_the_mean_of_two(tmp_path: Path) -> None:
    """A face on the left answers 0, its mirror image 3: together 1.5; the sure one stays 3."""
    faces = [half("left"), half("right"), half("none"), half("left")]
    assert told(tmp_path, faces) == [0, 3, 0, 0]
    assert told(tmp_path, faces, look_again_below=0.6) == [1.5, 3, 0, 1.5]
    assert told(tmp_path, faces, look_again_below=0.96) == [1.5, 1.5, 0, 1.5]  # 3 is .953


def test_who_is_looked_at_twice(tmp_path: Path) -> None:
    """Below the threshold, not at it; as calibrated."""
    left = [half("left")]
    assert told(tmp_path, left, look_again_below=0.5) == [0]
    assert told(tmp_path, left, look_again_below=0.501) == [1.5]
    assert told(tmp_path, left, look_again_below=0.6, offsets=[0.0, 1.0]) == [-1]  # .73 by itself
    assert told(tmp_path, left, look_again_below=0.8, offsets=[0.0, 1.0]) == [0.5]
    right = [half("right")]
    assert told(tmp_path, right, look_again_below=0.8, temperature=3.0) == [0.5]  # .73 by itself
    assert told(tmp_path, right, look_again_below=0.8, temperature=2.0) == [1.5]  # .82


def test_the_logits_for_learning_are_of_one_look(tmp_path: Path) -> None:
    made = load_model(saved(tmp_path, sided(look_again_below=1.0)))
    found = made.logits([half("left"), half("right")])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0, 0], [3, 0]], atol=1e-5)


def test_what_a_file_may_leave_out(tmp_path: Path) -> None:
    info = load_model(saved(tmp_path, tiny(meta()))).info
    assert (info.look_again_below, info.offsets, info.strengths) == (0, None, None)
    assert info.align == "box"
    more = meta(look_again_below=0.7, offsets=[0.5, 0, -1], align="xu2019")
    info = load_model(saved(tmp_path, tiny(more))).info
    assert (info.look_again_below, info.offsets) == (0.7, (0.5, 0.0, -1.0))
    assert info.align == "xu2019"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"look_again_below": 1.1}, "look_again_below"),
        ({"look_again_below": -0.1}, "look_again_below"),
        ({"uncertain_below": 1.01}, "uncertain_below"),
        ({"offsets": [0, 0]}, "offsets"),
        ({"offsets": [0, 0, "x"]}, "offset"),
        ({"base_rates": [0.5, 0.5, 0]}, "base rate"),
        ({"labels": ["happy"], "base_rates": [1]}, "labels are at least two"),
        ({"name": "x" * 201}, "its name"),
        ({"name": " "}, "its name"),
        ({"name": "a\x1bb"}, "its name"),
        ({"label_set": ""}, "label_set"),
        ({"align": "sideways"}, "alignment"),
        ({"card": []}, "card"),
        ({"preprocess": []}, "preprocess"),
    ],
    ids=str,
)
def test_metadata_out_of_range_names_what(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=f"damaged metadata.*{said}.*mien export"):
        load_model(saved(tmp_path, tiny(meta(**wrong))))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": 5}, "its name"),
        ({"label_set": 5}, "label_set"),
        ({"labels": [5, "happy", "sad"]}, "a label"),
        ({"temperature": "warm"}, "temperature"),
        ({"uncertain_below": "x"}, "uncertain_below"),
        ({"base_rates": 5}, "base_rates"),
        ({"intensity": 5}, "intensity"),
    ],
    ids=str,
)
def test_metadata_of_odd_types_begins_with_what_it_is(
    tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError, match=rf"damaged metadata \({said} "):
        load_model(saved(tmp_path, tiny(meta(**wrong))))


def test_intensities_are_told_where_the_file_says_how(tmp_path: Path) -> None:
    """Here as the sigmoid of its answers, whatever the temperature; none where it does not say."""
    told = meta(intensity={"weights": None, "offsets": []}, temperature=2.0)
    reading = load_model(saved(tmp_path, tiny(told))).read(white(), TRAINING)
    assert reading.intensity is not None
    expected = 1 / (1 + np.exp(-np.array([[2.0, 1.0, 0.0]])))
    np.testing.assert_allclose(reading.intensity, expected, rtol=1e-5)
    assert load_model(saved(tmp_path, tiny(meta()))).read(white(), TRAINING).intensity is None


def test_threads_are_those_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def noted(content: bytes, name: str, threads: int = 0) -> Session:
        asked.append(threads)
        return Session(content, name, threads)

    monkeypatch.setattr("mien.expression.recognize.Session", noted)
    path = saved(tmp_path, tiny(meta()))
    load_model(path)
    load_model(path, 2)
    assert asked == [0, 2]


def test_a_name_may_have_so_many_characters(tmp_path: Path) -> None:
    assert load_model(saved(tmp_path, tiny(meta(name="x" * 200)))).info.name == "x" * 200


def test_a_persons_own_words_are_labels_where_the_file_says_so(tmp_path: Path) -> None:
    words = ["pain", "yes", "no"]
    made = load_model(saved(tmp_path, tiny(meta(labels=words, own_words=True))))
    assert made.info.label_set.labels == ("pain", "yes", "no")
    with pytest.raises(ModelError, match="pain"):
        load_model(saved(tmp_path, tiny(meta(labels=words))))


@pytest.mark.parametrize("slopes", [(np.nan, 0.0, 0.0), (np.inf, 0.0, 0.0)])
def test_a_model_that_answers_no_number_is_told_at_once(
    tmp_path: Path, slopes: tuple[float, ...]
) -> None:
    with pytest.raises(ModelError, match="answers two gray faces with"):
        load_model(saved(tmp_path, tiny(meta(), slopes)))


def test_a_file_of_ones_own_is_known_by_its_ending_or_by_being_there(tmp_path: Path) -> None:
    content = tiny(meta())
    (tmp_path / "without ending").write_bytes(content)
    assert load_model(tmp_path / "without ending").info.name == "tiny"
    with pytest.raises(UnknownName):
        load_model(tmp_path / "nowhere")


def test_the_content_stays_at_hand_for_maps_of_it(tmp_path: Path) -> None:
    path = saved(tmp_path, tiny(meta()))
    made = load_model(path)
    assert made.content == path.read_bytes()
    assert made.input == "face"


def test_unsure_faces_are_looked_at_twice(small_ferplus: Path) -> None:
    """The mirror image changes an unsure answer to the mean of both, and no sure one."""
    faces = list(table.read(small_ferplus).of_split("PublicTest").pictures())
    once, always = load_model(), load_model()
    once.info = replace(once.info, look_again_below=0.0)
    always.info = replace(always.info, look_again_below=1.01)
    mirrored = [np.ascontiguousarray(face[:, ::-1]) for face in faces]
    mean = np.asarray((once.logits(faces) + once.logits(mirrored)) / 2, np.float32)
    info = once.info
    expected = softmax(calibrated(mean, info.temperature, info.offsets))
    both = always.probabilities(faces, TRAINING)
    np.testing.assert_allclose(both, expected, atol=1e-5)
    np.testing.assert_allclose(always.probabilities(mirrored, TRAINING), both, atol=1e-5)
    single, default = once.probabilities(faces, TRAINING), load_model()
    unsure = single.max(axis=1) < default.info.look_again_below
    np.testing.assert_allclose(
        default.probabilities(faces, TRAINING),
        np.where(unsure[:, None], both, single),
        atol=1e-5,
    )
