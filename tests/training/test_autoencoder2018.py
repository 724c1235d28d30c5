"""The two networks of autoencoder2018, and training the first of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mien.data import table
from mien.data.table import Row, Table
from mien.errors import ConfigError
from mien.expression.explain import Explainer
from mien.expression.recognize import load_model
from mien.training import recipes
from mien.training.export import export
from mien.training.models.autoencoder2018 import Autoencoder, ReconstructedCnn, UnitsCnn
from mien.training.models.network import parameters
from mien.training.recipes import ReconstructionRecipe
from mien.training.reconstruction_task import reconstruct
from mien.training.train import train

CPU = torch.device("cpu")


@pytest.mark.parametrize("hidden", [300, 500])
def test_an_autoencoder_has_two_maps_and_two_biases(hidden: int) -> None:
    pixels = 48 * 48
    assert parameters(Autoencoder(hidden)) == 2 * pixels * hidden + hidden + pixels
    assert parameters(Autoencoder(hidden, tied=True)) == pixels * hidden + hidden + pixels


def test_units_leak_a_hundredth_of_what_is_negative() -> None:
    net = Autoencoder(2, size=1)
    with torch.no_grad():
        net.encode.copy_(torch.tensor([[1.0], [-1.0]]))
        assert net.decode is not None
        net.decode.copy_(torch.tensor([[1.0, 0.0]]))
    # 128 +- 64 gray levels are +-1 inside; the first unit alone is read.
    out = net(torch.tensor([192.0, 64.0]).view(2, 1, 1, 1))
    torch.testing.assert_close(out.flatten(), torch.tensor([192.0, 128 - 0.64]))


def test_an_untied_autoencoder_starts_as_the_tied_one() -> None:
    tied, untied = Autoencoder(7, 8, tied=True), Autoencoder(7, 8)
    x = torch.randint(0, 256, (3, 1, 8, 8)).float()
    assert not torch.allclose(tied(x), untied(x))
    untied.load_state_dict(tied.state_dict())
    torch.testing.assert_close(untied(x), tied(x))
    untied(x).sum().backward()
    assert untied.decode is not None
    assert untied.decode.grad is not None


def test_the_cnn_is_the_papers_at_its_width() -> None:
    net = UnitsCnn(2)
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.kernel_size, m.stride, m.out_channels) for m in convolutions] == [
        ((5, 5), (1, 1), 512),
        ((5, 5), (1, 1), 512),
        ((3, 3), (1, 1), 512),
    ]
    pools = [m for m in net.features if "Pool" in type(m).__name__]
    assert [type(m).__name__ for m in pools] == ["AvgPool2d", "MaxPool2d", "AdaptiveMaxPool2d"]
    assert pools[1].kernel_size == 3
    assert sum(isinstance(m, nn.Linear) for m in net.modules()) == 2
    assert parameters(net) == 11_288_066


def test_a_narrow_cnn_is_the_same_but_for_its_width() -> None:
    net = UnitsCnn(2, width=16)
    assert net.features(torch.zeros(1, 1, 48, 48)).shape == (1, 16, 3, 3)
    assert parameters(net) == (25 + 1) * 16 + 2 * 16 + 43 * 16**2 + 16 + (16 + 1) * 2


# -- training ------------------------------------------------------------------------------------

RECIPE = """
task = "reconstruction"

[data]
train = "train"
select = "select"
test = "test"

[autoencoder]
hidden = 6
tied = true

[model]
name = "autoencoder2018"
size = 12

[augment]
flip = false

[train]
epochs = 6
batch = 8
optimizer = "adamw"
lr = 1e-2
weight_decay = 0.0
warmup_epochs = 0
ema_decay = 0.0
precision = "32-true"
"""


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "units.toml"
    path.write_text(RECIPE)
    return path


def stripes() -> Table:
    """Pictures of a few brightnesses and slopes: six units can hold them."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(96):
        across = np.linspace(-1, 1, 12) * rng.uniform(-50, 50)
        down = np.linspace(-1, 1, 12)[:, None] * rng.uniform(-50, 50)
        picture = np.clip(rng.uniform(90, 160) + across + down, 0, 255).astype(np.uint8)
        split = ("train", "train", "train", "select", "test", "train")[i % 6]
        png = cv2.imencode(".png", picture)[1].tobytes()
        rows.append(Row(f"{i}", split, "neutral", png, 12, 12))
    return Table("stripes", rows)


class Silent:
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, object]) -> None: ...


def test_pre_trained_tied_and_fine_tuned_free(recipe_file: Path, tmp_path: Path) -> None:
    """``mien train``, then again with --init: each stage reconstructs better than before."""
    data = stripes()
    table.write(data, tmp_path / "t.parquet")
    tied, free = recipes.read(recipe_file), recipes.read(recipe_file, ["autoencoder.tied=false"])
    assert isinstance(tied, ReconstructionRecipe)
    first = train(tied, tmp_path / "t.parquet", tmp_path / "tied", Silent(), "cpu")
    second = train(free, tmp_path / "t.parquet", tmp_path / "free", Silent(), "cpu", init=first)
    assert "decode" not in load_file(first)
    assert "decode" in load_file(second)

    with pytest.raises(ConfigError, match="no model to export"):
        export(tmp_path / "free", tmp_path / "t.parquet", tmp_path / "m.onnx")
    x = torch.from_numpy(data.of_split("test").planes(tied.model.preprocess))
    errors = [float((x.float() - x.float().mean(0)).square().mean().sqrt())]
    for net, weights in ((Autoencoder(6, 12, True), first), (Autoencoder(6, 12), second)):
        net.load_state_dict(load_file(weights))
        seen = reconstruct(net, x, CPU)
        assert seen.shape == x.shape
        assert seen.dtype == torch.uint8
        errors.append(float((x.float() - seen.float()).square().mean().sqrt()))
    assert errors[1] < 0.7 * errors[0]
    assert errors[2] < errors[1]


def test_what_cannot_be_trained_says_so(recipe_file: Path, tmp_path: Path) -> None:
    table.write(stripes(), tmp_path / "t.parquet")

    def tried(name: str | Path, *overrides: str) -> None:
        path = recipes.find(str(name))
        out = tmp_path / "-".join(("x", *overrides))
        train(recipes.read(path, overrides), tmp_path / "t.parquet", out, Silent())

    with pytest.raises(ConfigError, match="hidden = 0 is no autoencoder"):
        tried(recipe_file, "autoencoder.hidden=0")
    with pytest.raises(ConfigError, match="takes gray pictures, not rgb"):
        tried(recipe_file, "model.color=rgb")
    with pytest.raises(ConfigError, match="one for each expression and fold: mien reproduce"):
        tried("autoencoder2018")


# -- one network of both ---------------------------------------------------------------------------

EIGHT = (
    RECIPE.replace("reconstruction", "units").replace("tied = true\n", "")
    + """
[cnn]
width = 4

[pretrain]
epochs = 6
batch = 8
optimizer = "adamw"
lr = 1e-2
weight_decay = 0.0
warmup_epochs = 0
ema_decay = 0.0

[finetune]
epochs = 6
batch = 8
optimizer = "adamw"
lr = 1e-2
weight_decay = 0.0
warmup_epochs = 0
ema_decay = 0.0
"""
)


def bars() -> Table:
    """Two expressions at 48 pixels, a bar above or below, on stripes."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(120):
        label = ("happiness", "anger")[i % 2]
        picture = 100 + np.linspace(-1, 1, 48) * rng.uniform(-30, 30) + np.zeros((48, 1))
        picture[slice(8, 16) if label == "anger" else slice(32, 40)] += 90
        split = ("train", "train", "train", "select", "test")[(i // 2) % 5]
        png = cv2.imencode(".png", np.clip(picture, 0, 255).astype(np.uint8))[1].tobytes()
        rows.append(Row(f"{i}", split, label, png, 48, 48))
    return Table("bars", rows)


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a recipe of task "units", its run, and its model file."""
    place = tmp_path_factory.mktemp("eight")
    labels = 'label_set = "ferplus"\nlabels = ["happiness", "anger"]'
    text = EIGHT.replace('train = "train"', f'{labels}\ntrain = "train"', 1)
    (place / "eight.toml").write_text(text.replace("size = 12", "size = 48"))
    table.write(bars(), place / "t.parquet")
    train(recipes.read(place / "eight.toml"), place / "t.parquet", place / "run", Silent(), "cpu")
    export(place / "run", place / "t.parquet", place / "eight.onnx")
    return place


def test_the_autoencoder_stays_as_it_was_trained_alone(eight: Path) -> None:
    whole = load_file(eight / "run" / "weights.safetensors")
    alone = load_file(eight / "run" / "autoencoder" / "untied" / "weights.safetensors")
    for name, value in alone.items():
        torch.testing.assert_close(whole[f"autoencoder.{name}"], value, rtol=0, atol=0)
    assert whole["cnn.mean"] == alone["mean"]


def test_what_the_cnn_sees_is_the_reconstruction() -> None:
    net = ReconstructedCnn(Autoencoder(3), UnitsCnn(2, width=4)).eval()
    x = torch.randint(0, 256, (2, 1, 48, 48)).float()
    torch.testing.assert_close(net(x), net.cnn(net.autoencoder(x).clamp(0, 255)))
    net(x).sum().backward()
    assert all(p.grad is None for p in net.autoencoder.parameters())
    assert all(p.grad is not None for p in net.cnn.parameters())


def test_its_model_file_tells_faces_as_any_other(eight: Path) -> None:
    recognizer = load_model(str(eight / "eight.onnx"))
    test = bars().of_split("test")
    logits = recognizer.logits(list(test.pictures()))
    assert logits.argmax(1).tolist() == test.targets(recognizer.info.label_set).tolist()
    assert Explainer(recognizer).maps(list(test.pictures())).shape[:2] == (len(test), 2)


def test_a_run_that_was_cut_off_goes_on(eight: Path, tmp_path: Path) -> None:
    """The autoencoder is not trained again, and the weights are the same in the end."""
    shutil.copytree(eight / "run" / "autoencoder", tmp_path / "again" / "autoencoder")
    shutil.copy(eight / "run" / "recipe.json", tmp_path / "again")
    kept = tmp_path / "again" / "autoencoder" / "tied" / "checkpoint.safetensors"
    before = kept.stat().st_mtime_ns
    recipe = recipes.read(eight / "eight.toml")
    weights = train(recipe, eight / "t.parquet", tmp_path / "again", Silent(), "cpu")
    assert kept.stat().st_mtime_ns == before
    assert weights.read_bytes() == (eight / "run" / "weights.safetensors").read_bytes()


def test_without_hidden_units_the_cnn_sees_the_pictures(eight: Path, tmp_path: Path) -> None:
    recipe = recipes.read(eight / "eight.toml", ["autoencoder.hidden=0"])
    train(recipe, eight / "t.parquet", tmp_path / "run", Silent(), "cpu")
    assert not (tmp_path / "run" / "autoencoder").exists()
    export(tmp_path / "run", eight / "t.parquet", tmp_path / "m.onnx")
    assert load_model(str(tmp_path / "m.onnx")).info.label_set.labels == ("happiness", "anger")


@pytest.mark.parametrize("setting", ["model.pretrained=googlenet.imagenet", "model.color=rgb"])
def test_what_does_not_go_with_an_autoencoder_is_refused(setting: str, eight: Path) -> None:
    with pytest.raises(ConfigError, match=r"gray pictures .* no answers = intensities"):
        recipes.read(eight / "eight.toml", [setting])
