"""Backbones give what their makers measured; what is not frozen trains on what the rest gives."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from skimage import data as pictures
from torch import Generator, Tensor

from mien.data import table
from mien.data.table import Table
from mien.errors import ConfigError, ModelError, UnknownName
from mien.expression.recognize import load_model
from mien.face import ImageArray
from mien.media.preprocess import Preprocess, batch
from mien.training import recipes, transfer
from mien.training.export import export
from mien.training.models import Model, networks
from mien.training.models.mobileface import MobileFace
from mien.training.models.network import Backbone, LocalResponse, parameters
from mien.training.recipes import ExpressionRecipe
from mien.training.train import train
from mien.weights import catalogue
from mien.weights.catalogue import WeightSpec
from tests.stripes import rows

RECIPE = """
[data]
label_set = "mien8"
labels = ["happiness", "sadness", "fear"]
train = "train"
select = "select"
test = "select"
drop_overlap = false

[model]
name = "mobilenetv2"
pretrained = "made"
frozen = "trunk"
size = 16
enlarge = 32

[augment]
flip = true

[train]
epochs = 4
batch = 16
optimizer = "adamw"
lr = 0.02
warmup_epochs = 0
ema_decay = 0.0
"""
MOBILENET = "mobilenetv2-imagenet"


class Silent:
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


# -- the weights of others ----------------------------------------------------------------------


def test_googlenet_gives_the_activations_of_caffe(peer_models: Path) -> None:
    with np.load(peer_models / "googlenet_bvlc_reference.npz", allow_pickle=False) as reference:
        data, pool5, logits = (reference[k] for k in ("data", "pool5", "loss3_classifier"))
    net = transfer.pretrained(Model("googlenet", color="rgb", pretrained="googlenet-bvlc"), 1000)
    net.eval()
    mean_rgb = np.array([123.0, 117.0, 104.0], np.float32)[:, None, None]
    x = torch.from_numpy(np.ascontiguousarray(data[:, ::-1] + mean_rgb, np.float32))
    with torch.inference_mode():
        assert np.abs(net.features(x)[0].numpy() - pool5).max() < 1e-3
        answers = net(x)[0]
    assert np.abs(answers.numpy() - logits).max() < 1e-3
    assert answers.argmax() == 967  # espresso


def test_mobilenet_knows_a_cup_of_coffee(peer_models: Path) -> None:
    net = transfer.pretrained(Model("mobilenetv2", color="rgb", pretrained=MOBILENET), 1001)
    coffee: ImageArray = pictures.coffee()[:, 100:500]  # type: ignore[no-untyped-call]
    x = torch.from_numpy(batch([coffee], Preprocess(224, "rgb")))
    with torch.inference_mode():
        probs = net.eval()(x).softmax(1)[0]
    names = (peer_models / "imagenet_labels.txt").read_text().splitlines()
    assert names[int(probs.argmax())] == "espresso"
    assert probs.max() > 0.9


def test_another_networks_weights_are_refused(peer_models: Path) -> None:
    with pytest.raises(ModelError, match="another network's weights"):
        transfer.pretrained(Model("googlenet", pretrained=MOBILENET), 3)
    with pytest.raises(ConfigError, match=r"is a recognizer; model\.pretrained names a backbone"):
        transfer.tensors("face-api")


def _catalogued(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    row = WeightSpec("made", "backbone", file.name, sha256, "none", "made for a test")
    monkeypatch.setitem(catalogue.CATALOGUE, "made", row)
    monkeypatch.setenv("MIEN_MODELS", str(file.parent))


def test_pickles_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return pytest.fail, ("a pickle was opened",)

    np.savez(tmp_path / "trap.npz", weight=np.array([Trap()], object))
    _catalogued(tmp_path / "trap.npz", monkeypatch)
    with pytest.raises(ModelError, match="does not hold NumPy arrays"):
        transfer.tensors("made")


# -- the networks -------------------------------------------------------------------------------


def test_local_response_is_torchs() -> None:
    x = torch.randn(2, 7, 5, 5) * 100
    expected = torch.nn.functional.local_response_norm(x, 5, 1e-4, 0.75, 1.0)
    torch.testing.assert_close(LocalResponse(7)(x), expected)


@pytest.mark.parametrize("name", ["googlenet", "mobilenetv2"])
def test_gray_is_the_same_as_three_equal_colours_and_enlarging_is_inside(name: str) -> None:
    net = networks.build(name, 3, Preprocess(40, "gray")).eval()
    assert isinstance(net, Backbone)
    gray = torch.randint(0, 256, (2, 1, 40, 40)).float()
    torch.testing.assert_close(net(gray), net(gray.expand(-1, 3, -1, -1)))
    large = torch.nn.functional.interpolate(gray, (64, 64), mode="bilinear")
    expected = net(large)
    net.side = 64
    torch.testing.assert_close(net(gray), expected)


@pytest.mark.parametrize(
    ("name", "part", "maps", "trained"),
    [
        ("googlenet", "inception_4e", (832, 2, 2), 2_487_536 + 3_075),
        ("googlenet", "conv1", (64, 16, 16), 5_973_552 - 9_472 + 3_075),
        ("googlenet", "trunk", (1024,), 3_075),
        ("mobilenetv2", "blocks.1", (24, 16, 16), 2_203_995),  # not blocks.10 to 16
        ("mobilenetv2", "last", (1280,), 3_843),
        ("mobileface", "stem", (32, 32, 32), 393_472 - 5 * 256 - 928 + 771),
    ],
)
def test_a_network_can_be_entered_behind_any_of_its_parts(
    name: str, part: str, maps: tuple[int, ...], trained: int
) -> None:
    net = networks.build(name, 3, Preprocess(64, "gray")).eval()
    assert isinstance(net, Backbone)
    x = torch.randint(0, 256, (2, 1, 64, 64)).float()
    answers, made = net(x), net.between(net.shown(x), "", part)
    assert made.shape[1:] == maps
    net.enter_behind(part)
    assert torch.equal(net(made), answers)
    assert sum(p.numel() for p in net.parameters()) == trained


def test_an_unknown_part_names_the_nearest() -> None:
    net = networks.build("googlenet", 3, Preprocess(64, "gray"))
    assert isinstance(net, Backbone)
    with pytest.raises(UnknownName, match="did you mean inception_4e"):
        net.enter_behind("inceptoin_4e")


# -- a last layer of one's own ------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backbone of random weights in the catalogue, a table and a recipe."""
    torch.manual_seed(3)
    net = networks.build("mobilenetv2", 5, Preprocess(16, "gray"))
    named = {_in_the_file(key): value for key, value in net.state_dict().items()}
    scaled = {k: v * (2.1 if k.endswith("weight") else 1.0) for k, v in named.items()}
    np.savez(tmp_path / "made.npz", **{k: v.numpy() for k, v in scaled.items()})
    _catalogued(tmp_path / "made.npz", monkeypatch)
    random = np.random.default_rng(5)
    labels = ("happiness", "sadness", "fear")
    found = [r for label in labels for r in rows(label, 24, "train", random)]
    found += [r for label in labels for r in rows(label, 10, "select", random)]
    table.write(Table("stripes", found), tmp_path / "stripes.parquet")
    (tmp_path / "last.toml").write_text(RECIPE)
    return tmp_path


def _in_the_file(key: str) -> str:
    for ours, theirs in (("blocks.", "block"), ("head.1.", "classifier."), ("last.", "head.")):
        if key.startswith(ours):
            return key.replace(ours, theirs, 1)
    return key


def recipe(place: Path, *changes: str) -> ExpressionRecipe:
    found = recipes.read(place / "last.toml", changes)
    assert isinstance(found, ExpressionRecipe)
    return found


def _run(place: Path, name: str, *changes: str) -> Path:
    data = place / "stripes.parquet"
    shared = place / "features"
    train(recipe(place, *changes), data, place / name, Silent(), "cpu", features=shared)
    return place / name


def _facts(run: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((run / "environment.json").read_text())["features"]
    return facts


def test_features_are_computed_once_and_only_what_is_missing(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_CHUNK", 20)
    assert _facts(_run(made, "first"))["computed"] == 2 * 102
    assert len(list((made / "features").iterdir())) == 2 * 6
    assert _facts(_run(made, "seed", "train.seed=2"))["computed"] == 0
    next((made / "features").iterdir()).unlink()
    assert _facts(_run(made, "again", "train.seed=3"))["computed"] in (2, 20)
    assert _facts(_run(made, "larger", "model.enlarge=48"))["computed"] == 2 * 102


def test_features_are_those_of_the_picture_and_its_mirror_image(made: Path) -> None:
    """In float32, and in whichever order the rows are asked for."""
    wanted = recipe(made, "train.precision=32-true")
    whole = table.read(made / "stripes.parquet")
    kept = transfer.Features(wanted, whole, made / "f", torch.device("cpu"))
    few = replace(whole, rows=[whole.rows[i] for i in (80, 3, 41)])
    net = transfer.pretrained(wanted.model, 3).eval()
    x = torch.from_numpy(few.planes(wanted.model.preprocess)).float()
    with torch.inference_mode():
        views = torch.stack([net.features(x), net.features(x.flip(3))], 1)
    torch.testing.assert_close(kept.of(few).float(), views, rtol=2e-3, atol=2e-3)
    assert (views[:, 0] - views[:, 1]).abs().max() > 0.01


def test_the_last_layer_is_trained_and_the_model_file_is_all_of_it(made: Path) -> None:
    run = _run(made, "run", "train.epochs=40", "train.lr=0.05")
    last = load_file(run / "weights.safetensors")
    assert {key: tuple(value.shape) for key, value in last.items()} == {
        "head.1.weight": (3, 1280),
        "head.1.bias": (3,),
    }
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert max(line["select"]["accuracy"] for line in log) > 0.7
    data = made / "stripes.parquet"
    meta = export(run, data, made / "mine.onnx", features=made / "features")
    assert meta["card"]["parity"]["largest_difference"] < 1e-4
    assert meta["card"]["features"]["largest_difference"] < 0.05
    assert meta["card"]["training"]["pretrained"] == "made"
    select = table.read(data).of_split("select")
    answers = load_model(made / "mine.onnx").logits(list(select.pictures())).argmax(1)
    right = answers == select.targets(recipe(made).data.names)
    best = max(line["select"]["accuracy"] for line in log)
    assert right.mean() == pytest.approx(best, abs=0.07)  # features are in half precision


def test_what_follows_a_frozen_part_is_trained_from_the_backbones_weights(made: Path) -> None:
    """A step of almost nothing leaves them; and the model file is the frozen parts and the rest."""
    changes = ["model.frozen=blocks.14", "train.epochs=1", "train.lr=1e-6"]
    run = _run(made, "top", *changes)
    own = load_file(run / "weights.safetensors")
    above = ("blocks.15.", "blocks.16.", "last.", "head.")
    assert {key for key in own if not key.startswith(above)} == set()
    assert {key.split(".")[0] for key in own} == {"blocks", "last", "head"}
    net = transfer.pretrained(recipe(made).model, 3).eval()
    before = net.state_dict()
    moved = {key: _apart(value, before[key]) for key, value in own.items() if "head" not in key}
    assert 0 < max(moved.values()) < 1e-4
    files = list((made / "features").iterdir())
    assert all(np.load(file).shape[1:] == (160, 1, 1) for file in files)
    meta = export(run, made / "stripes.parquet", made / "top.onnx", features=made / "features")
    assert meta["card"]["parity"]["largest_difference"] < 1e-4
    assert meta["card"]["features"]["largest_difference"] < 0.05
    picture = next(table.read(made / "stripes.parquet").pictures())
    net.load_state_dict(before | own)
    with torch.inference_mode():
        expected = net(torch.from_numpy(batch([picture], Preprocess(16, "gray"))).float())
    answers = load_model(made / "top.onnx").logits([picture])
    np.testing.assert_allclose(answers, expected.numpy(), atol=1e-4)


def test_where_pictures_change_the_whole_network_sees_them_and_frozen_parts_stay(
    made: Path,
) -> None:
    changes = ["model.frozen=blocks.14", "augment.noise=3.0", "train.epochs=1"]
    run = _run(made, "held", *changes)
    assert not (made / "features").exists()
    assert "features" not in json.loads((run / "environment.json").read_text())
    after = load_file(run / "weights.safetensors")
    before = transfer.pretrained(recipe(made).model, 3).state_dict()
    still = {key for key, value in after.items() if torch.equal(value, before[key])}
    above = ("blocks.15.", "blocks.16.", "last.", "head.")
    assert {key for key in after if not key.startswith(above)} == still
    meta = export(run, made / "stripes.parquet", made / "held.onnx")
    assert meta["card"]["parity"]["largest_difference"] < 1e-4
    assert "features" not in meta["card"]
    task = transfer.task(recipe(made, *changes))
    assert parameters(task.network()) == sum(
        value.numel() for key, value in after.items() if key.startswith(above)
    )


def test_normalisations_are_not_held(made: Path) -> None:
    net = networks.build("mobileface", 3, Preprocess(64, "gray"))
    assert isinstance(net, Backbone)
    with pytest.raises(ConfigError, match=r"stem holds normalisations.*augment\.flip is the only"):
        net.hold("blocks.2")


def test_a_run_from_before_parts_had_names_reads_as_it_was(made: Path) -> None:
    """frozen was true or false."""
    now = recipe(made)
    then = json.loads(json.dumps(asdict(now)))
    then["model"]["frozen"] = True
    assert recipes.is_same(now, then)
    then["model"]["frozen"] = False
    assert not recipes.is_same(now, then)
    assert recipes.is_same(recipe(made, "model.frozen="), then)


def test_a_run_goes_on_where_it_stopped(made: Path) -> None:
    whole = load_file(_run(made, "whole") / "weights.safetensors")

    class Stop(Silent):
        def epoch(self, record: dict[str, Any]) -> None:
            if record["epoch"] == 1:
                raise KeyboardInterrupt

    data, shared = made / "stripes.parquet", made / "features"
    with pytest.raises(KeyboardInterrupt):
        train(recipe(made), data, made / "half", Stop(), "cpu", features=shared)
    resumed = load_file(_run(made, "half") / "weights.safetensors")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_without_frozen_everything_learns_from_there(made: Path) -> None:
    run = _run(made, "all", "model.frozen=", "train.epochs=1", "train.lr=1e-5")
    after = load_file(run / "weights.safetensors")
    before = transfer.pretrained(recipe(made).model, 3).state_dict()
    moved = {key: _apart(after[key], before[key]) for key in before if key.startswith("blocks")}
    assert 0 < max(moved.values()) < 1e-3
    assert not (made / "features").exists()


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def test_a_later_parts_features_go_on_from_an_earlier_ones(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To half precision those made of the pictures themselves, which are not looked at again."""
    table_of = table.read(made / "stripes.parquet")
    wanted = recipe(made, "train.precision=32-true")
    alone = transfer.Features(wanted, table_of, made / "alone", torch.device("cpu"))
    below = recipe(made, "train.precision=32-true", "model.frozen=blocks.14")
    transfer.Features(below, table_of, made / "both", torch.device("cpu"))
    show = Backbone.shown

    def shown(net: Backbone, x: torch.Tensor) -> torch.Tensor:
        assert x.is_meta, "pictures were shown again"  # shapes alone are, when it is built
        return show(net, x)

    monkeypatch.setattr(Backbone, "shown", shown)
    after = transfer.Features(wanted, table_of, made / "both", torch.device("cpu"))
    assert after.facts["computed"] == 2 * len(table_of)
    a, b = (kept.of(table_of).float() for kept in (alone, after))
    torch.testing.assert_close(a, b, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.init=resnet10-ferplus"], "begins with one of them"),
        (["model.name=resnet10"], "resnet10 is no backbone"),
    ],
)
def test_what_does_not_go_together_is_refused(made: Path, changes: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _run(made, "run", *changes)


def test_frozen_without_weights_is_refused(made: Path) -> None:
    (made / "last.toml").write_text(RECIPE.replace('pretrained = "made"\n', ""))
    with pytest.raises(ConfigError, match=r"name them, model\.pretrained"):
        recipe(made)


def test_a_body_of_face_recognition_is_taken_over(peer_models: Path) -> None:
    """Its answers at 112 pixels, up to the layer that follows the body, are the original's."""
    import onnxruntime as ort
    from onnx import helper, load

    net = transfer.pretrained(Model("mobileface", size=112, pretrained="mobileface-id"), 7).eval()
    assert isinstance(net, MobileFace)
    x = torch.randint(0, 256, (2, 3, 112, 112), generator=Generator().manual_seed(1)).float()
    with torch.no_grad():
        ours = net.blocks(F.relu6(net.stem((x - 127.5) / 128)))
    graph = load(str(peer_models / "mobileface_id_v2.onnx"))
    flat = next(node for node in graph.graph.node if node.op_type in ("Flatten", "Reshape"))
    graph.graph.output.extend([helper.make_empty_tensor_value_info(flat.input[0])])
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [session.run([flat.input[0]], {name: part.numpy()[None]})[0] for part in x]
    np.testing.assert_allclose(ours.numpy(), np.concatenate(parts), atol=1e-3)
    with pytest.raises(ModelError, match="another network's weights"):
        transfer.pretrained(Model("mobileface", pretrained="mobilenetv2-imagenet"), 3)
