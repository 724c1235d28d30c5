"""Where a model looks: the same maps as torch's, and maps that mean something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from PIL import Image
from torch import Tensor, nn

from mien.analysis.pipeline import Analyzer, Settings
from mien.app.verbs import main
from mien.data.cut import cut_faces
from mien.data.table import Table
from mien.errors import ModelError, UnknownName
from mien.evaluation import attention
from mien.expression import explain
from mien.expression.baserates import BaseRates
from mien.expression.explain import ALL, PARTS, Explainer
from mien.expression.recognize import METADATA_SCHEMA, OnnxRecognizer, load_model
from mien.face import Face, FloatArray, Frame, ImageArray
from mien.faces.finder import Finder
from mien.labels import label_set
from mien.media.image import read_file
from mien.media.preprocess import Preprocess, batch
from mien.testing import FakeRecognizer
from mien.training.export import to_onnx, with_metadata
from mien.training.models import networks
from mien.training.models.iliev2022 import Iliev2022
from mien.training.warmstart import fill
from tests import FIRST_MODEL


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


@pytest.fixture(scope="module")
def faces(astronaut: ImageArray) -> list[ImageArray]:
    """Sixteen crops about one face, by a little to a lot beside it."""
    places = [(y, x) for y in (30, 44, 60, 90) for x in (130, 154, 170, 200)]
    return [astronaut[y : y + 140, x : x + 140] for y, x in places]


@pytest.fixture(scope="module")
def face(analyzer: Analyzer, portrait: Frame) -> Face:
    return analyzer.analyze_frame(portrait)[0]


def grad_cam(net: nn.Module, layer: nn.Module, x: FloatArray) -> FloatArray:
    """Selvaraju et al. 2017, equations 1 and 2, for every label: (N, K, h, w)."""
    kept: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, out: kept.append(out))
    net.eval()
    answers = net(torch.from_numpy(x))
    hook.remove()
    (maps,) = kept
    found = []
    for k in range(answers.shape[1]):
        (slope,) = torch.autograd.grad(answers[:, k].sum(), maps, retain_graph=True)
        weighed = (slope.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1)
        found.append(torch.relu(weighed).detach().numpy())
    return np.stack(found, axis=1)


# -- the maps -----------------------------------------------------------------------------------


def test_a_model_as_torch_sees_it(faces: list[ImageArray]) -> None:
    """In single precision; what rounding to eight bits changes is another matter."""
    recognizer = load_model(FIRST_MODEL)
    info = recognizer.info
    net = networks.build("resnet10", len(info.label_set), info.preprocess)
    x = batch(faces, info.preprocess)
    fill(net, FIRST_MODEL.read_bytes(), info.label_set, torch.from_numpy(x).to(torch.uint8))
    blocks = net.blocks
    assert isinstance(blocks, nn.Module)
    theirs = grad_cam(net, blocks, x) * info.temperature  # which fill() puts into the weights
    ours = Explainer(recognizer).maps(faces)
    assert ours.shape == (16, 8, 6, 6)
    assert theirs.max() > 1
    assert np.abs(ours - theirs).max() < 1e-3


def test_a_network_that_does_more_than_weigh_its_maps(faces: list[ImageArray]) -> None:
    """Two dense layers behind the maps: the slopes differ from face to face."""
    torch.manual_seed(3)
    spec = Preprocess(24, "gray")
    net = Iliev2022(7, spec).eval()
    x = batch(faces, spec)
    net.measure(torch.from_numpy(x).to(torch.uint8))
    labels = label_set("fer2013")
    meta = {
        "schema": METADATA_SCHEMA,
        "name": "dense",
        "label_set": labels.name,
        "labels": list(labels.labels),
        "preprocess": {"size": 24, "color": "gray"},
        "temperature": 1.0,
        "base_rates": [1 / 7] * 7,
        "uncertain_below": 0.5,
        "card": {},
    }
    recognizer = OnnxRecognizer(with_metadata(to_onnx(net, 24, 1), meta), "dense", "")
    ours = Explainer(recognizer).maps(faces)
    theirs = grad_cam(net, [m for m in net.modules() if isinstance(m, nn.ReLU)][-2], x)
    assert ours.shape == theirs.shape == (16, 7, 12, 12)
    assert np.abs(ours - theirs).max() < 0.02 * theirs.max()


@pytest.mark.parametrize("model", ["face-api", "mini-xception"])
def test_models_of_other_makers(peer_models: Path, faces: list[ImageArray], model: str) -> None:
    maps = Explainer(load_model(model)).maps(faces)
    assert maps.shape[:2] == (16, 7)
    assert np.isfinite(maps).all()
    assert maps[0].max() > 0


def test_no_faces_and_a_model_that_is_no_file(analyzer: Analyzer) -> None:
    assert analyzer.explainer.maps([]).shape[:2] == (0, 8)
    with pytest.raises(ModelError, match="fake was not read from a file"):
        Explainer(FakeRecognizer())


# -- what they mean -----------------------------------------------------------------------------


def correlation(a: FloatArray, b: FloatArray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def random_weights(content: bytes, only: str) -> OnnxRecognizer:
    """The same file, the weights whose names hold ``only`` drawn anew, as widely spread."""
    model, rng = onnx.load_from_string(content), np.random.default_rng(5)
    for tensor in model.graph.initializer:
        if only in tensor.name and tensor.data_type == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            drawn = rng.normal(0, values.std() + 1e-6, values.shape).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(drawn, tensor.name))
    return OnnxRecognizer(model.SerializeToString(), "random", "")


@pytest.mark.parametrize("only", ["classifier.weight", "blocks.3", ".weight"])
def test_random_weights_change_the_map(faces: list[ImageArray], only: str) -> None:
    """The check of Adebayo et al. 2018 (arXiv:1810.03292): a map that survives it explains nothing.

    From the last layer alone to all of them.
    """
    recognizer = load_model(FIRST_MODEL)
    assert isinstance(recognizer, OnnxRecognizer)
    top = recognizer.probabilities(faces, BaseRates()).argmax(axis=1)
    before = Explainer(recognizer).maps(faces)
    after = Explainer(random_weights(recognizer.content, only)).maps(faces)
    alike = [correlation(before[i, k], after[i, k]) for i, k in enumerate(top) if after[i, k].any()]
    assert np.mean(alike or [0]) < 0.5


def test_blanking_the_hottest_tenth_hurts_most(analyzer: Analyzer, ferplus_table: Table) -> None:
    public = ferplus_table.of_split("PublicTest")
    some = public.keep(i % 15 == 0 for i in range(len(public)))
    info = analyzer.recognizer.info
    some, crops = cut_faces(some, Finder(None), info.align, info.preprocess.size)
    gone = attention.deletion(analyzer.explainer, analyzer.recognizer, crops)
    hottest, random = gone["hottest"], gone["random"]
    assert len(hottest) == len(some)
    assert hottest.mean() > random.mean() + 0.05
    difference = hottest - random
    assert difference.mean() > 2 * difference.std() / np.sqrt(len(difference))


def test_a_smile_is_read_below_the_eyes(analyzer: Analyzer, portrait: Frame, face: Face) -> None:
    (found,) = explain.explain(analyzer.explainer, portrait, face)
    assert found.label == "happiness"
    assert found.heat.shape == (64, 64)
    assert found.heat.max() == 1
    assert found.shares is not None
    assert found.areas is not None
    assert sum(found.shares.values()) == pytest.approx(1)
    assert tuple(found.shares) == PARTS
    assert found.shares["mouth"] > 2 * found.areas["mouth"]
    assert found.shares["outside"] < found.areas["outside"] / 2
    assert found.hottest in ("nose", "mouth")


def test_parts_lie_where_the_landmarks_are() -> None:
    points = np.zeros((68, 2), np.float32)
    points[:17] = np.stack([np.linspace(4, 44, 17), 40 - np.linspace(-1, 1, 17) ** 2 * 20], 1)
    points[8] = [24, 46]
    points[17:27] = np.stack([np.linspace(8, 40, 10), np.full(10, 16)], 1)
    points[27:36] = np.stack([np.full(9, 24), np.linspace(20, 30, 9)], 1)
    points[36:42], points[42:48] = [14, 20], [34, 20]
    points[48:68] = np.stack([np.linspace(16, 32, 20), np.full(20, 37)], 1)
    where = explain.parts(points, 48)
    assert where is not None
    at = {
        name: PARTS[where[y, x]]
        for name, (x, y) in {
            "eye": (14, 21),
            "nose": (24, 28),
            "lips": (24, 38),
            "forehead": (24, 11),
            "corner": (1, 1),
            "cheek": (9, 26),
        }.items()
    }
    assert at == {
        "eye": "eyes",
        "nose": "nose",
        "lips": "mouth",
        "forehead": "brows",
        "corner": "outside",
        "cheek": "jaw",
    }
    assert explain.parts(None, 48) is None


def test_points_of_a_wide_picture_lie_in_its_square() -> None:
    points = explain.square_points(np.array([[0, 0], [99, 49]], np.float32), (50, 100, 3), 10)
    np.testing.assert_allclose(points, [[-0.45, 2.05], [9.45, 6.95]], atol=1e-5)


# -- pictures and files -------------------------------------------------------------------------


def test_an_overlay_shows_the_face_and_the_heat(
    analyzer: Analyzer, portrait: Frame, face: Face
) -> None:
    found = explain.explain(analyzer.explainer, portrait, face, ALL)
    assert [one.label for one in found] == list(label_set("mien8").labels)
    page = explain.overlay(portrait.rgb[60:166, 172:278], found[1])
    bare, heated = page[6:262, 6:262], page[6:262, 268:524]
    gray = bare @ np.array([0.299, 0.587, 0.114])
    hot = np.kron(found[1].heat, np.ones((6, 6)))[16:272, 16:272]
    moved = np.abs(heated - gray[..., None]).mean(axis=2)
    large = np.asarray(Image.fromarray(found[1].heat).resize((256, 256)))
    assert hot.shape == (256, 256)
    assert correlation(large, moved.astype(np.float32)) > 0.6
    assert moved[large < 0.02].mean() < 6, "where there is no heat the face is left alone"
    coolest = heated.mean(axis=2)[large < 0.1]
    assert correlation(coolest, gray[large < 0.1].astype(np.float32)) > 0.95


def test_nothing_speaks_for_it() -> None:
    none = np.zeros((48, 48), np.float32)
    found = explain.Explanation("fear", 0.001, none, None, None)
    assert found.as_dict()["peak"] is None
    assert found.hottest is None
    page = explain.overlay(np.full((20, 30, 3), 128, np.uint8), found)
    assert (page[6:262, 268:524] == 128).all()


def run(*words: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["mien", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_command(
    astronaut: ImageArray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo, small, out = tmp_path / "photo.png", tmp_path / "s" / "photo.png", tmp_path / "out"
    small.parent.mkdir()
    Image.fromarray(astronaut).save(photo)
    Image.fromarray(astronaut[44:184, 154:294]).resize((24, 24)).save(small)
    assert run("explain", photo, "-o", out, monkeypatch=monkeypatch) == 0
    assert "1 face explained" in capsys.readouterr().err
    (one,) = json.loads((out / "photo.json").read_text())["faces"]
    assert [m["file"] for m in one["maps"]] == ["photo.face0.happiness.png"], "the answered one"
    assert run("explain", photo, "--emotion", "all", "-o", out, monkeypatch=monkeypatch) == 0
    told = json.loads((out / "photo.json").read_text())
    (one,) = told["faces"]
    assert [m["label"] for m in one["maps"]] == list(label_set("mien8").labels)
    for m in one["maps"]:
        assert read_file(out / m["file"]).shape == (302, 530, 3)
    words = ("explain", small, "--crops", "--emotion", "happy", "-o", out)
    assert run(*words, monkeypatch=monkeypatch) == 0, "an older explanation is replaced"
    (one,) = json.loads((out / "photo.json").read_text())["faces"]
    assert [m["label"] for m in one["maps"]] == ["happiness"]
    assert one["maps"][0]["shares"] is not None, "landmarks are looked for in a crop, too"

    (out / "photo.face0.happiness.png").write_bytes(photo.read_bytes())
    assert run(*words, monkeypatch=monkeypatch) == 1
    assert "no overlay of mien's" in capsys.readouterr().err
    (out / "photo.json").write_text("{}")
    (out / "photo.face0.happiness.png").unlink()
    assert run(*words, monkeypatch=monkeypatch) == 1
    assert "photo.json is there already" in capsys.readouterr().err
    assert run("explain", photo, "--emotion", "joi", "-o", out, monkeypatch=monkeypatch) == 2
    assert "no expression called 'joi'" in capsys.readouterr().err
    assert run("explain", "x.parquet", "-o", out, monkeypatch=monkeypatch) == 2
    assert "--average N" in capsys.readouterr().err
    assert run("explain", photo, "--average", 3, "-o", out, monkeypatch=monkeypatch) == 2
    assert "takes one mien table" in capsys.readouterr().err


def test_analyze_explains_the_likeliest(
    astronaut: ImageArray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out"
    Image.fromarray(astronaut).save(photo)
    assert run("analyze", photo, "--explain", out, monkeypatch=monkeypatch) == 0
    record = json.loads(capsys.readouterr().out)
    assert sorted(f.name for f in out.iterdir()) == ["photo.face0.happiness.png", "photo.json"]
    (one,) = json.loads((out / "photo.json").read_text())["faces"]
    assert one["box"] == record["faces"][0]["box"]


def test_names_of_expressions(analyzer: Analyzer) -> None:
    labels = analyzer.recognizer.info.label_set
    assert explain.chosen("sad", labels) == "sadness"
    assert explain.chosen("top", labels) == "top"
    with pytest.raises(UnknownName):
        explain.chosen("unknown", labels)


def test_it_needs_neither_torch_nor_onnx(astronaut: ImageArray, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(astronaut).save(photo)
    code = (
        "import sys; from mien.analysis import batch; from mien.analysis.pipeline import Analyzer\n"
        "from pathlib import Path\n"
        f"jobs = batch.plan([Path({str(photo)!r})], explain=Path({str(tmp_path / 'o')!r}))\n"
        "print([r['status'] for r in batch.analyze_files(jobs, Analyzer())])\n"
        "assert not {'torch', 'onnx', 'matplotlib', 'sklearn'} & set(sys.modules), sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "['ok']\n", done.stderr
    assert (tmp_path / "o" / "photo.face0.happiness.png").exists()


def test_another_alignment_brings_its_landmarks_along(portrait: Frame) -> None:
    analyzer = Analyzer(Settings(align="similarity"))
    face = analyzer.analyze_frame(portrait)[0]
    (found,) = explain.explain(analyzer.explainer, portrait, face, "happiness")
    assert found.areas is not None
    assert found.areas["mouth"] > 0.05
